"""Runs with `trainer=fsdp_cpu`: one process's artifacts, by two that have half of each model; and what is refused."""

import json
from functools import partial

import pytest
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.evaluate import PREDICTIONS
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.training.trainer import TrainerFactory

CHECKPOINTED = ("teacher.gradient_checkpointing=true", "student.gradient_checkpointing=true")
RUNS = {
    "adapters": ("method=td", "teacher.lora.r=4", "student.lora.r=2", *CHECKPOINTED),
    "answers by text": ("method=td", "task.validation=task", "task.evaluation_batch=5"),
    "answers by candidates": ("method=td", "task=classification", "task.validation=task", "task.evaluation_batch=3"),
    "clipped by value": ("method=td", "+trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_val=0.01"),
}


def work(make) -> None:
    job = make()
    job.store.locking = False
    job = prepare(job)
    execute(job, plan(job))


def found(make):
    job = make()
    job = prepare(job)
    artifacts = {step.name: job.store.find(step.key) for step in plan(job)}
    assert all(artifacts.values())
    return artifacts


def rows(artifact):
    return [json.loads(line) for line in (artifact.folder / PREDICTIONS).read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_results_of_one_process(make_job, in_two_processes, name):
    options = (*RUNS[name], "trainer.precision=64-true")
    one = partial(make_job, *options, store="one", prepared=False)
    two = partial(make_job, *options, "trainer=fsdp_cpu", store="two", prepared=False)
    work(one)
    assert in_two_processes(partial(work, two)) == [0, 0]
    expected, parts = found(one), found(two)
    assert {name: each.key.folder for name, each in parts.items()} == {
        name: each.key.folder for name, each in expected.items()
    }
    for each in [name for name in expected if name.startswith("evaluation")]:
        for row, of_one in zip(rows(parts[each]), rows(expected[each]), strict=True):
            assert row["loss"] == pytest.approx(of_one["loss"], abs=1e-9, rel=0)
            assert row["answer"] == of_one["answer"]


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [("fsdp_cpu", "cpu"), ("cpu", "fsdp_cpu")])
def test_a_teacher_of_the_other_trainer(make_job, in_two_processes, first, then):
    """In float32 and by the same store: the second run takes the teacher as it is."""
    for trainer, stages in ((first, "[teacher_sft]"), (then, "[teacher_sft,student_sft,distill,evaluate]")):
        make = partial(make_job, "method=td", f"trainer={trainer}", f"phases={stages}", prepared=False)
        if trainer == "cpu":
            work(make)
        else:
            assert in_two_processes(partial(work, make)) == [0, 0]
        if stages == "[teacher_sft]":
            (made,) = make().store.root.glob("teacher-*/artifact.json")
            before = made.read_bytes()
    assert made.read_bytes() == before
    CheckpointStore(found(make)["teacher"].folder / TRAJECTORY).verify()
    assert len(list(make().store.root.glob("teacher-*"))) == 1


@pytest.mark.parametrize("strategy", [FSDPStrategy, partial(ModelParallelStrategy, data_parallel_size=2)])
def test_strategies_that_would_not_cut_the_model(strategy):
    with pytest.raises(ConfigError, match="trainer=fsdp"):
        TrainerFactory(devices=2, strategy=strategy, accelerator="cpu").check_options()


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", "transformer-engine"])
def test_precisions_that_parts_are_not_trained_in(make_job, precision):
    with pytest.raises(ConfigError, match="bf16-mixed"):
        make_job("trainer=fsdp_cpu", f"trainer.precision={precision}")


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed", "bf16-true"])
def test_precisions_that_they_are(make_job, precision):
    trainer = make_job("trainer=fsdp_cpu", f"trainer.precision={precision}", prepared=False).trainer
    trainer.check_options()
    assert trainer(devices=1).precision == precision


def test_quantized_weights_are_refused(make_job):
    quantized = (
        "teacher.path=some/model",
        "teacher.architecture=null",
        "teacher.quantization=8bit",
        "teacher.lora.r=4",
    )
    with pytest.raises(ConfigError, match=r"teacher\.quantization.*trainer=ddp"):
        prepare(make_job("trainer=fsdp_cpu", *quantized, prepared=False))
