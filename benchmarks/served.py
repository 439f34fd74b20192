"""A server as its users start it: a process of its own, on loopback."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.settings import ROOT, Settings


@contextmanager
def served(settings: Settings, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Runs `scd serve`, and ends it.

    Args:
        settings: The settings.
        folder: The student's.
        *options: What else stands on the command line.

    Yields:
        The process, and the port on which it answers.

    Raises:
        RuntimeError: It ended before it answered; the message has what it said.
    """
    line = [sys.executable, "-m", "scd_lightning", "serve", str(folder), "--port", "0", *options]
    # Models as small gain nothing from a second thread, and the clients need a core.
    environment = settings.environment | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        if "http://" not in told:
            raise RuntimeError(f"{line} failed:\n{told}{process.stdout.read()}")
        yield process, int(told.split("http://")[1].split(";")[0].rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
