"""Interrupted trainings go on where they were whatever options and callbacks of Lightning's a user adds."""

import shutil
import time
from functools import partial
from pathlib import Path

import pytest
from lightning import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from scd_lightning.pipeline.job import Job
from scd_lightning.pipeline.predict import PredictionLog
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import Artifacts, execute, plan

# Twelve steps of the teacher, 24 of the anchor, six an epoch.
RUN = (
    "method=sft",
    "budget.stage_epochs=2",
    "+student.architecture.attention_dropout=0.2",
    "resume.every_steps=1",
    "resume.every_minutes=null",
)


class Crash(RuntimeError):
    """What ends a training in these tests."""


class Crashes(Callback):
    """Ends a training at an optimizer step."""

    def __init__(self, phase: str, step: int, hook: str = "on_train_batch_start") -> None:
        self.phase, self.step = phase, step
        setattr(self, hook, self._look)

    def _look(self, trainer, pl_module, *_) -> None:
        if pl_module.phase == self.phase and trainer.global_step == self.step:
            raise Crash


class Seen(Callback):
    """Notes the optimizer steps that the anchor makes, and those after which it is validated."""

    def __init__(self, steps: list, validations: list) -> None:
        self.steps, self.validations = steps, validations

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        if pl_module.phase == "student_sft":
            self.steps.append(trainer.global_step)

    def on_validation_end(self, trainer, pl_module) -> None:
        if pl_module.phase == "student_sft":
            self.validations.append(trainer.global_step)


class Keeps(Callback):
    """Has a state that a file of tensors and plain values can't hold."""

    def state_dict(self) -> dict:
        return {"where": Path("here")}


def work(job: Job, *callbacks) -> Artifacts:
    job.callbacks = list(callbacks)
    prepared = prepare(job)
    return execute(prepared, plan(prepared))


@pytest.mark.parametrize(
    ("options", "step", "hook"),
    [
        (("+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=4"), 4, "on_train_batch_start"),
        pytest.param(("+trainer.val_check_interval=3",), 15, "on_train_batch_start", marks=pytest.mark.slow),
        pytest.param(("+trainer.check_val_every_n_epoch=2",), 8, "on_train_batch_start", marks=pytest.mark.slow),
        pytest.param(("+trainer.val_check_interval=3",), 24, "on_train_end", marks=pytest.mark.slow),
    ],
)
def test_no_validation_is_left_out(make_job, outcome, options, step, hook):
    validations: list = []
    expected = make_job(*RUN, *options, run="expected", store="expected", prepared=False)
    work(expected, partial(Seen, [], validations))
    found: list = []
    job = make_job(*RUN, *options, prepared=False)
    with pytest.raises(Crash):
        work(job, partial(Seen, [], found), partial(Crashes, "student_sft", step, hook))
    again = make_job(*RUN, *options, run="again", prepared=False)
    work(again, partial(Seen, [], found))
    assert sorted(set(found)) == validations
    assert outcome(again) == outcome(expected)


def test_a_phase_may_end_early(make_job):
    job = make_job("method=td", "budget.stage_epochs=2", prepared=False)
    made = work(job, partial(EarlyStopping, "train_loss", min_delta=100.0, patience=2, check_on_train_epoch_end=True))
    assert [phase["epochs"] for phase in made["student"].result.schedule] == [[0, 1], [2, 2]]


def test_a_training_that_was_stopped_early_stays_so(make_job, monkeypatch):
    """It is over, and the pass over the training split that follows is interrupted."""
    stop = partial(EarlyStopping, "train_loss", min_delta=100.0, patience=1, check_on_train_epoch_end=True)
    steps: list = []
    monkeypatch.setattr(PredictionLog, "append", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(make_job(*RUN, prepared=False), stop, partial(Seen, steps, []))
    monkeypatch.undo()
    assert steps[-1] == 12
    work(make_job(*RUN, run="again", prepared=False), stop, partial(Seen, steps, []))
    assert steps[-1] == 12


def test_users_callbacks_beside_the_states(make_job, tmp_path, capsys):
    """One with a state that would not be read back, and one of Lightning's that replaces its own files."""
    keep = partial(ModelCheckpoint, tmp_path / "own", monitor="train_loss", save_on_train_epoch_end=True)
    with pytest.raises(Crash):
        work(make_job(*RUN, prepared=False), Keeps, keep, partial(Crashes, "student_sft", 15))
    assert "The callback Keeps keeps what can't be read back" in capsys.readouterr().out
    # The best one of each training.
    assert len(list((tmp_path / "own").iterdir())) == 2
    steps: list = []
    work(make_job(*RUN, run="again", prepared=False), Keeps, keep, partial(Seen, steps, []))
    assert steps[0] == 16


def test_checkpoints_that_are_there_need_no_room(make_job, monkeypatch):
    job = make_job(*RUN, prepared=False)
    with pytest.raises(Crash):
        work(job, partial(Crashes, "teacher_sft", 9))
    kept = [path.stat().st_size for path in job.store.root.glob("teacher-*/trajectory/*.safetensors")]
    assert len(kept) == 2
    again = make_job(*RUN, run="again", prepared=False)
    # Room for one more checkpoint, and not for three.
    free = shutil.disk_usage(again.store.root)._replace(free=2 * kept[0])
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    work(again)


def test_an_evaluation_costs_what_it_had_cost_before_too(make_job, monkeypatch):
    settings = (*RUN, "task.evaluation_batch=4")
    work(make_job(*settings, "phases=[teacher_sft,student_sft]", run="trained", prepared=False))
    append, calls = PredictionLog.append, []

    def slow(*arguments) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise Crash
        append(*arguments)
        time.sleep(1)

    monkeypatch.setattr(PredictionLog, "append", slow)
    with pytest.raises(Crash):
        work(make_job(*settings, prepared=False))
    monkeypatch.undo()
    made = work(make_job(*settings, run="again", prepared=False))
    # What the second of the two batches has noted; the one that was cut off has not.
    assert made["evaluation of teacher"].costs["seconds"] > 1
    assert made["evaluation of teacher"].costs["samples"] == 14
