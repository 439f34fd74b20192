"""run.py as a measurement: a process of its own whose output is shown only where it fails."""

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.settings import ROOT, Settings


def run_py(settings: Settings, overrides: Sequence[str], threads: int | None = None) -> None:
    """Runs run.py.

    Args:
        settings: The settings.
        overrides: What follows it on the command line.
        threads: OpenMP's; None for as many as it takes by itself.

    Raises:
        RuntimeError: It failed; the message ends with what it printed last.
    """
    environment = settings.environment | {"PYTHONPATH": str(ROOT)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "run.py", *overrides]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{(done.stdout + done.stderr)[-4000:]}")
