"""Budgets in samples: whole trainings, and what of them is told."""

import json
from collections import Counter
from functools import partial

import pytest
from lightning import Callback
from lightning.pytorch.callbacks import EarlyStopping

STAGES = ("budget.stages=2", "method=cd")  # Stage by stage another checkpoint, so that a stage's end shows in numbers.
# 48 rows: two epochs in each of two stages are 192 samples, and 200 are 2.08 of them.
EPOCHS, SAMPLES = "budget.stage_epochs=2", "budget.samples=200"
PHASES = {
    "student_sft": "FineTuning of scratch student",
    "distill": "Distillation of scratch student",
    "teacher_sft": "FineTuning of scratch teacher",
}


@pytest.fixture
def seen(recorder, read_losses, run_job):
    """Runs a job with callbacks more, and counts by phase the samples that its trainings see."""

    def of(job, *callbacks):
        job.callbacks = [partial(recorder, str(job.run_dir)), *callbacks]
        run_job(job)
        counts = Counter(kind for kind, _, _ in read_losses(job.run_dir))
        return {phase: counts[kind] for phase, kind in PHASES.items()}

    return of


def told(job, name):
    return json.loads((job.run_dir / name).read_text())


def samples_told(job):
    costs = told(job, "costs.json")
    return {phase: costs[phase]["samples"] for phase in PHASES}


def test_a_training_is_that_of_the_epochs_that_its_samples_come_to(make_job, seen, outcome):
    epochs = make_job(*STAGES, EPOCHS, run="epochs", store="epochs")
    samples = make_job(*STAGES, SAMPLES, run="samples", store="samples")
    of_epochs, of_samples = seen(epochs), seen(samples)
    assert of_samples == of_epochs == {"student_sft": 192, "distill": 192, "teacher_sft": 96}
    assert outcome(samples) == outcome(epochs)
    assert samples_told(samples) == of_samples
    results = told(samples, "results.json")
    assert results["budget"] == {"stages": 2, "stage_epochs": None, "samples": 200, "teacher_epochs": 2}
    assert results["samples_seen"] == {"anchor": 192, "student": 192}
    assert [stage["epochs"] for stage in results["schedule"]] == [[0, 1], [2, 3]]
    assert results["schedule"][0]["checkpoint"] != results["schedule"][1]["checkpoint"]
    assert "samples_seen" not in told(epochs, "results.json")
    page = (samples.run_dir / "report.html").read_text()
    assert "<dt>samples a student was to see</dt><dd>200</dd>" in page
    assert "<dd>anchor 192, student 192</dd>" in page


@pytest.mark.slow
def test_what_was_trained_by_epochs_is_not_trained_again(make_job, run_job):
    run_job(make_job(*STAGES, EPOCHS))
    again = run_job(make_job(*STAGES, SAMPLES, run="again"))
    assert all(artifact.reused for artifact in again.values())


def test_samples_of_a_training_that_ends_early_are_those_it_saw(make_job, seen):
    stop = partial(EarlyStopping, "train_loss", min_delta=100.0, patience=1, check_on_train_epoch_end=True)
    job = make_job(*STAGES, EPOCHS, "teacher.epochs=4")
    found = seen(job, stop)
    assert found == {"student_sft": 96, "distill": 96, "teacher_sft": 96}
    assert samples_told(job) == found


class StopsWithin(Callback):
    """Ends a training in the middle of its first epoch, between two checkpoints that a teacher keeps."""

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step == 3


def test_samples_of_an_epoch_that_is_cut_short_are_those_it_had(make_job, seen):
    job = make_job(*STAGES, EPOCHS)
    found = seen(job, StopsWithin)
    assert found == {"student_sft": 24, "distill": 24, "teacher_sft": 24}
    assert samples_told(job) == found
    assert [each["step"] for each in told(job, "trajectory.json")] == [3]
