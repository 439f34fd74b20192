"""Ctrl-C in each phase: a partial report, and the same command goes on to the results of a run that was let be."""

import json
import signal
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from subprocess import Popen

import pytest

from scd_lightning.cli.main import INTERRUPTED

# Long enough to be met in the middle.
LONGER = ("teacher.epochs=10", "budget.stage_epochs=12")
# Phase -> the kind of artifact that it makes, and when it is under way.
PHASES = {
    "teacher_sft": ("teacher", 0.4),
    "student_sft": ("anchor", 0.4),
    "distill": ("student", 0.4),
    "evaluate": ("evaluation", 0.0),
}
EQUAL = ("results.json", "trajectory.json", "curves.json", "schedule.json", "student/model.safetensors")


def interrupt(process: "Popen[str]", store: Path, kind: str, wait: float) -> tuple[int, str, float]:
    """Presses Ctrl-C some time after an artifact of a kind was begun: exit code, standard error, seconds to the end."""
    while not list(store.glob(f"{kind}-*.partial")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors, time.monotonic() - sent


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in EQUAL}


@pytest.mark.slow
def test_ctrl_c_in_each_phase_loses_nothing(start, command, ledger, tmp_path):
    folder, store = tmp_path / "run", tmp_path / "store"
    arguments = (*LONGER, f"hydra.run.dir='{folder}'")
    with ExitStack() as attempts:
        for phase in reversed(PHASES):
            attempts.enter_context(ledger.attempt(f"Ctrl-C in {phase}"))
        for phase, (kind, wait) in PHASES.items():
            code, errors, seconds = interrupt(start(*arguments), store, kind, wait)
            assert (code, errors.strip()) == (130, INTERRUPTED)
            assert seconds < 10
            partial = json.loads((folder / "partial.json").read_text())
            assert partial["ended"]["message"] == "Interrupted (Ctrl-C)."
            assert [each["phase"] for each in partial["phases"] if each["state"] == "unfinished"] == [phase]
            assert f"ended early in {phase}" in (folder / "report.html").read_text()
            assert not (folder / "results.json").exists()
        command(*arguments)
        assert not (folder / "partial.json").exists()
        assert "Partial report" not in (folder / "report.html").read_text()
        command(*LONGER, f"hydra.run.dir='{tmp_path / 'other'}'", f"paths.store='{tmp_path / 'other store'}'")
        assert digests(folder) == digests(tmp_path / "other")
