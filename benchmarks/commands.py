"""Commands as measurements: processes of their own whose output is shown only where they fail."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.settings import ROOT, Settings


def run_python(arguments: Sequence[str], environment: Mapping[str, str], code: int = 0) -> None:
    """Runs this Python.

    Args:
        arguments: What follows it on the command line.
        environment: The process's environment variables.
        code: What it is to end with.

    Raises:
        RuntimeError: It ended otherwise; the message ends with what it printed last.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise RuntimeError(f"{command} failed:\n{(done.stdout + done.stderr)[-4000:]}")


def fine_tune_teacher(settings: Settings, store: Path, overrides: Sequence[str], threads: int | None = None) -> None:
    """Has run.py fine-tune a teacher from scratch, and do nothing else.

    Args:
        settings: The settings.
        store: Where the teacher goes.
        overrides: What else is set on the command line.
        threads: OpenMP's; None for as many as it takes by itself.

    Raises:
        RuntimeError: It failed; the message ends with what it printed last.
    """
    environment = settings.environment | {"PYTHONPATH": str(ROOT)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    alone = ["teacher=scratch", "student=scratch", "phases=[teacher_sft]", "teacher.checkpoints=1", "logger=none"]
    folders = [f"paths.store={store}", f"hydra.run.dir={store}-run"]
    run_python(["run.py", *alone, *folders, *overrides], environment)
