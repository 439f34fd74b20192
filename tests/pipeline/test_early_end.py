"""Trainings that a callback ends before all of their stages, before a validation, and before they begin."""

import json

import pytest
from lightning import Callback

from scd_lightning.errors import ConfigError

RARELY = ("budget.stage_epochs=2", "teacher.epochs=4", "teacher.checkpoints=2", "+trainer.check_val_every_n_epoch=2")


class StopsAtOnce(Callback):
    """Ends a training before its first step."""

    def on_fit_start(self, trainer, *_):
        trainer.should_stop = True


class StopsBeforeTheSecondEpoch(Callback):
    """Ends a training when its second epoch, and stage, has begun, and no step of it is made."""

    def on_train_epoch_start(self, trainer, *_):
        trainer.should_stop = trainer.current_epoch == 1


class StopsAfterAnEpoch(Callback):
    """Ends a training after its first epoch."""

    def on_train_epoch_end(self, trainer, *_):
        trainer.should_stop = True


def test_what_was_done_is_kept_and_told(make_job, run_job, capsys):
    job = make_job("method=td", *RARELY)
    job.callbacks = [StopsAfterAnEpoch]
    made = run_job(job)

    def told(name):
        return json.loads((job.run_dir / name).read_text())

    assert [each["step"] for each in told("trajectory.json")] == [6]
    assert [stage["epochs"] for stage in told("schedule.json")["stages"]] == [[0, 0]]
    assert [stage["epochs"] for stage in told("results.json")["schedule"]] == [[0, 0]]
    for name in ("anchor", "student"):
        result = made[name].result
        assert result.best_epoch == 0
        (point,) = result.curve
        assert (point["step"], point["validation_metric"]) == (6, pytest.approx(result.validation_metric))
    printed = capsys.readouterr().out
    for phase in ("teacher_sft", "student_sft", "distill"):
        assert f"{phase}: a callback has ended the training after optimizer step 6 of 24" in printed


def test_a_stage_without_a_step_is_none(make_job, run_job):
    job = make_job("method=td")
    job.callbacks = [StopsBeforeTheSecondEpoch]
    result = run_job(job)["student"].result
    assert [point["epoch"] for point in result.curve] == [0]
    assert [stage["stage"] for stage in result.schedule] == [0]


def test_a_training_without_a_step_is_refused(make_job, run_job):
    job = make_job("phases=[teacher_sft]")
    job.callbacks = [StopsAtOnce]
    with pytest.raises(ConfigError, match=r"before its first optimizer step.*Got: teacher_sft: 0 of 12 steps"):
        run_job(job)
