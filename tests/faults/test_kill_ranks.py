"""A job of two processes as a command, killed with all that belongs to it, and started again."""

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

ARGUMENTS = ("trainer=ddp_cpu", "method=scd_aw", "budget.stage_epochs=2", "resume.every_steps=3")
REPORTED = ("results.json", "schedule.json", "curves.json", "predictions/student.jsonl", "student/model.safetensors")


def left(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in REPORTED}


def test_killed_with_all_its_processes(start, command, tmp_path, ledger):
    whole = tmp_path / "whole"
    begun = time.monotonic()
    command(*ARGUMENTS, f"hydra.run.dir={whole}", f"paths.store={tmp_path / 'other'}")
    seconds = time.monotonic() - begun
    run = tmp_path / "run"
    # Each start takes a part of it for imports; what is killed later is further on.
    for part in (0.5, 0.6, 0.7, 0.75, 0.8):
        with ledger.attempt("SIGKILL of a job of two processes"):
            process = start(*ARGUMENTS, f"hydra.run.dir={run}")
            time.sleep(part * seconds)
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                for each in [*parent.children(recursive=True), parent]:
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
            process.wait()
    command(*ARGUMENTS, f"hydra.run.dir={run}")
    assert left(run) == left(whole)
    assert not list((tmp_path / "store").glob("*.partial"))
