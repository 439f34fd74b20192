"""A run that ends early, in any phase, leaves a report of what exists; once it is finished, nothing of that."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from lightning import Callback, Trainer

from scd_lightning.cli.report import main
from scd_lightning.errors import NotFinite, Preempted
from scd_lightning.launch import preemption
from scd_lightning.pipeline import runner
from scd_lightning.pipeline import unfinished as module
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.unfinished import partial_report
from scd_lightning.store.manifest import write_json
from scd_lightning.store.ownership import MARK

FINISHED = {"teacher_sft": [], "student_sft": ["teacher"], "distill": ["teacher", "anchor"]}


class Ending(Callback):
    """Raises in the training that a phase's module does, before its third optimizer step."""

    def __init__(self, phase: str, error: type[BaseException] | BaseException) -> None:
        self.phase, self.error = phase, error

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        kinds = {"teacher_sft": "FineTuning of teacher", "student_sft": "FineTuning of student"}
        kind = f"{type(pl_module).__name__} of {'teacher' if 'teacher' in pl_module.spec.name else 'student'}"
        if trainer.global_step == 2 and kind == kinds.get(self.phase, "Distillation of student"):
            raise self.error


def run(job: Any) -> None:
    steps = plan(job)
    with partial_report(job, steps, leads=True):
        made = execute(job, steps)
        if "report" in job.phases:
            report(job, steps, made)


def read(folder: Path, name: str = "partial.json") -> Any:
    return json.loads((folder / name).read_text())


def states(folder: Path) -> dict[str, str]:
    return {each["phase"]: each["state"] for each in read(folder)["phases"]}


@pytest.fixture
def interrupted(make_job):
    """Makes a job whose fit of a phase ends by an error."""

    def make(phase: str, error: Any, *overrides: str, **places: str) -> Any:
        job = make_job(*overrides, **places)
        job.callbacks = [*job.callbacks, lambda: Ending(phase, error)]
        return job

    return make


def test_each_phase_leaves_what_the_earlier_ones_made(interrupted, make_job):
    for phase, made in FINISHED.items():
        job = interrupted(phase, KeyboardInterrupt)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run(job)
        folder, partial = job.run_dir, read(job.run_dir)
        assert partial["ended"]["message"] == "Interrupted (Ctrl-C)."
        expected = {each: "finished" for each in FINISHED if list(FINISHED).index(each) < len(made)}
        assert {name: state for name, state in states(folder).items() if state != "not begun"} == (
            expected | {phase: "unfinished"}
        )
        assert list(read(folder, "curves.json")) == made
        assert (folder / "trajectory.json").exists() == ("teacher" in made)
        assert not (folder / "results.json").exists()
        page = (folder / "report.html").read_text()
        assert f"ended early in {phase}" in page
        assert "Interrupted (Ctrl-C)." in page
        assert ("The checkpoints that were kept of the" in page) == ("teacher" in made)

    job = make_job()
    run(job)
    assert not (job.run_dir / "partial.json").exists()
    assert "Partial" not in (job.run_dir / "report.html").read_text()
    again = make_job(run="other", store="other store")
    run(again)
    for name in ("results.json", "trajectory.json", "curves.json", "schedule.json"):
        assert read(job.run_dir, name) == read(again.run_dir, name)


def test_in_the_evaluation_the_models_that_have_answered_are_told(make_job, monkeypatch):
    answered: list[Any] = []

    def once(name: str, job: Any, folder: Path, made: Any) -> Any:
        if answered:
            raise NotFinite("The loss is NaN", where="sample 3", remedy="lower the rate")
        answered.append(name)
        return evaluate(name, job, folder, made)

    evaluate = runner.evaluate
    monkeypatch.setattr(runner, "evaluate", once)
    job = make_job()
    with pytest.raises(NotFinite):
        run(job)
    partial = read(job.run_dir)
    assert partial["ended"]["type"] == "NotFinite"
    assert list(partial["metrics"]) == ["teacher"]
    assert states(job.run_dir)["evaluate"] == "unfinished"
    assert partial["phases"][3]["missing"] == [
        "evaluation of anchor",
        "evaluation of student",
        "confidence of student",
    ]
    assert read(job.run_dir, "costs.json").keys() == {"teacher_sft", "student_sft", "distill", "evaluate"}
    page = (job.run_dir / "report.html").read_text()
    assert "NotFinite: The loss is NaN. Where: sample 3." in page
    assert "missing: evaluation of anchor, evaluation of student, confidence of student" in page
    assert "Once that is mended, the same command goes on" in page


def test_in_the_report_all_phases_before_are_finished(make_job, monkeypatch):
    monkeypatch.setattr("scd_lightning.pipeline.report.write_student", lambda *_: 1 / 0)
    job = make_job()
    with pytest.raises(ZeroDivisionError):
        run(job)
    assert states(job.run_dir)["report"] == "unfinished"
    assert set(states(job.run_dir).values()) == {"finished", "unfinished"}
    assert not (job.run_dir / "results.json").exists()


def test_a_begun_phase_tells_where_it_goes_on_and_which_checkpoints_it_has(interrupted, capsys):
    job = interrupted("student_sft", KeyboardInterrupt)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(job)
    steps = {step.name: step for step in plan(job)}
    state = {"step": 1200, "total_steps": 2400, "epoch": 3, "saved": "2030-01-01 12:00:00"}
    curve = [{"epoch": 0, "step": 6, "train_loss": 5.5, "validation_loss": 5.25, "validation_metric": 0.0}]
    anchor, teacher = (job.store.root / steps[name].key.folder for name in ("anchor", "teacher"))
    write_json(
        anchor.with_name(f"{anchor.name}.partial") / "resume" / "state.json",
        state | {"folder": "step-1200", "curve": curve},
    )
    write_partial(job)
    assert read(job.run_dir)["phases"][1]["saved"] == state
    assert read(job.run_dir, "curves.json")["anchor"] == curve
    assert "saved at optimizer step 1,200 of 2,400: goes on there" in (job.run_dir / "report.html").read_text()

    unfinished = teacher.rename(teacher.with_name(f"{teacher.name}.partial"))
    (unfinished / "artifact.json").unlink()
    write_partial(job)
    page = (job.run_dir / "report.html").read_text()
    assert "checkpoints kept so far: 3 (after optimizer step 4, 8, 12)" in page
    assert main([str(job.run_dir)]) == 0
    assert "partial report" in capsys.readouterr().out


def write_partial(job: Any) -> None:
    module.write_partial(job, plan(job), KeyboardInterrupt())


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), OSError("no room"), SystemExit(3)], ids=lambda f: type(f).__name__
)
def test_whatever_happens_to_the_partial_report_the_error_goes_on(make_job, monkeypatch, capsys, failure):
    def fail(*_: Any) -> None:
        raise failure

    job = make_job()
    monkeypatch.setattr(module, "write_partial_report", fail)
    with pytest.raises(RuntimeError, match="the real one") as ended, partial_report(job, plan(job), leads=True):
        raise RuntimeError("the real one")
    assert ended.value.__context__ is None
    assert capsys.readouterr().out.startswith(f"No partial report could be made ({type(failure).__name__}")


def test_a_signal_is_no_error(make_job):
    job = make_job()
    with pytest.raises(Preempted), partial_report(job, plan(job), leads=True):
        raise Preempted("SIGUSR1")
    page = (job.run_dir / "report.html").read_text()
    assert "Ended by SIGUSR1." in page
    assert "The same command goes on from there" in page


def test_a_process_that_does_not_lead_leaves_nothing(make_job):
    job = make_job()
    with pytest.raises(RuntimeError), partial_report(job, plan(job), leads=False):
        raise RuntimeError
    assert not (job.run_dir / "partial.json").exists()


def test_an_earlier_runs_results_stay_with_their_report(make_job):
    job = make_job()
    for name in ("results.json", "report.html"):
        (job.run_dir / name).write_text("{}")
    with pytest.raises(RuntimeError), partial_report(job, plan(job), leads=True):
        raise RuntimeError
    assert not (job.run_dir / "partial.json").exists()
    assert (job.run_dir / "report.html").read_text() == "{}"


def test_a_run_of_some_phases_that_finishes_takes_the_partial_report_away(interrupted, make_job):
    job = interrupted("teacher_sft", KeyboardInterrupt, "phases=[teacher_sft]")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(job)
    assert states(job.run_dir) == {"teacher_sft": "unfinished"}
    run(make_job("phases=[teacher_sft]"))
    assert {path.name for path in job.run_dir.iterdir() if path.is_file()} == {MARK}


def test_secrets_in_addresses_and_long_messages_are_cut(make_job):
    job = make_job()
    with pytest.raises(RuntimeError), partial_report(job, plan(job), leads=True):
        raise RuntimeError("https://me:pass@host/a?token=abc failed\n" + 5000 * "x")
    message = read(job.run_dir)["ended"]["message"]
    assert message.startswith("https://(hidden)@host/a?token=(hidden) failed xxx")
    assert len(message) < 2100


def test_a_second_ctrl_c_gives_the_partial_report_up(interrupted, monkeypatch, capsys):
    def press_again(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    job = interrupted("teacher_sft", KeyboardInterrupt)
    monkeypatch.setattr(module, "write_partial_report", press_again)
    with pytest.raises((KeyboardInterrupt, SystemExit)), preemption.watch(["SIGTERM"]):
        run(job)
    assert "No partial report could be made (KeyboardInterrupt)" in capsys.readouterr().out
