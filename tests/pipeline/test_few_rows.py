"""Fewer rows than a batch, than processes, or than micro-batches; a last batch of one: a smaller step, nothing else."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.store.checkpoints import CheckpointStore

RUN = ("method=scd_aw", "phases=[teacher_sft,student_sft,distill,evaluate]", "trainer.precision=64-true")
FEW = ("teacher.checkpoints=2", "budget.global_batch=4")  # Two epochs of one step have two checkpoints.


def rows(train):
    counts = {"train": train, "validation": 1, "test": 1}
    return tuple(f"task.data.synthetic.{split}={count}" for split, count in counts.items())


def work(job):
    prepared = prepare(job)
    return execute(prepared, plan(prepared))


def weights(job, artifact):
    model = job.build(job.student)
    CheckpointStore(artifact.folder / "weights").load_into(model, 0)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def numbers(made):
    return json.loads(json.dumps({name: vars(each.result) for name, each in made.items()}))


def flat(value):
    if isinstance(value, dict):
        return [each for key in sorted(value) for each in flat(value[key])]
    return [each for part in value for each in flat(part)] if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def make(make_job_in, tmp_path_factory):
    return partial(make_job_in(tmp_path_factory.mktemp("few")), *RUN, *FEW, prepared=False)


@pytest.mark.parametrize(("train", "options"), [(1, ()), (5, ("trainer.micro_batches=3",))])
def test_a_step_is_smaller_and_moves_the_model(make, run_job, train, options):
    job = prepare(
        make(*rows(train), *options, "phases=[teacher_sft,student_sft,distill,evaluate,report]", store=f"of-{train}")
    )
    made = run_job(job)
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["data"]["sizes"] == {"train": train, "validation": 1, "test": 1}
    found = [each for each in flat(numbers(made)) if isinstance(each, float)]
    assert found
    assert np.isfinite(found).all()
    start = torch.cat([parameter.detach().flatten() for parameter in job.build(job.student).parameters()])
    for name in ("anchor", "student"):
        assert float((weights(job, made[name]) - start).norm()) > 1e-3
    assert [point["step"] for point in made["anchor"].result.curve] == ([1, 2] if train == 1 else [2, 4])


def test_two_processes_with_one_row_do_as_one_does(make, in_two_processes):
    alone, two = make(*rows(1), store="of-1"), make(*rows(1), "trainer=ddp_cpu", store="of-two")
    assert in_two_processes(partial(work, two)) == [0, 0]
    for one, other in zip(flat(numbers(work(alone))), flat(numbers(work(two))), strict=True):
        assert other == (pytest.approx(one, rel=1e-9, abs=1e-12) if isinstance(one, float) else one)


def test_more_checkpoints_than_steps_are_refused_with_both(make):
    with pytest.raises(ConfigError, match=r"Got: 3 checkpoints of 2 steps\..*teacher\.epochs"):
        work(make(*rows(1), "teacher.checkpoints=3", store="refused"))
