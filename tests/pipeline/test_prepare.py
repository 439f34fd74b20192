"""What a job says of its data before anything is trained."""

import warnings

import pytest

from scd_lightning.pipeline.prepare import few_rows, tell_of_data

FEW = ("task=ner", "task.data.synthetic.train=5", "task.max_new_tokens=90", "budget.warn=true")


def test_fewer_rows_than_a_step_takes(make_job):
    job = make_job(*FEW, "budget.global_batch=8", "teacher.global_batch=6")
    assert few_rows(job) == [
        "Train has 5 rows, fewer than budget.global_batch=8: an epoch is one step.",
        "Train has 5 rows, fewer than teacher.global_batch=6: an epoch is one step.",
    ]
    with pytest.warns(UserWarning, match="Train has 5 rows"):
        tell_of_data(job)


def test_fewer_rows_than_passes(make_job):
    job = make_job(*FEW, "budget.global_batch=3", "teacher.global_batch=5", "trainer.micro_batches=4")
    assert few_rows(job) == [
        "An optimizer step of budget has at most 3 rows, fewer than its 4 passes (trainer.devices=1 times "
        "trainer.num_nodes=1 times trainer.micro_batches=4)."
    ]


def test_every_machine_has_passes(make_job):
    job = make_job(*FEW, "budget.global_batch=3", "teacher.global_batch=4")
    job.trainer.num_nodes = 4
    assert few_rows(job) == [
        "An optimizer step of budget has at most 3 rows, fewer than its 4 passes (trainer.devices=1 times "
        "trainer.num_nodes=4 times trainer.micro_batches=1)."
    ]


def test_where_nothing_is_doubtful_nothing_is_said(make_job):
    job = make_job(*FEW, "budget.global_batch=2", "teacher.batch_tokens=200")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_of_data(job)


def test_a_trial_run_is_not_blamed_for_its_size(make_job):
    job = make_job(*FEW, "budget.warn=false", "budget.global_batch=8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_of_data(job)
