"""Interrupted trainings of several processes, and of one number of them gone on with by another."""

import json
import os
import signal
from functools import partial

import numpy as np
import pytest
from lightning import Callback
from safetensors.torch import load_file

from scd_lightning.errors import Preempted
from scd_lightning.launch import preemption
from scd_lightning.pipeline.evaluate import PREDICTIONS
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.pipeline.student_training import WEIGHTS
from scd_lightning.schedules import scoring

RUN = ("method=scd_aw", "budget.stages=2", "budget.stage_epochs=2", "trainer.precision=64-true")
SAVING = ("resume.every_steps=1", "resume.every_minutes=null")
ENDED = 75


class Interrupted(Callback):
    """A signal that reaches one process in a phase's training, or that all of them die of."""

    def __init__(self, phase: str, step: int, number: signal.Signals, *, everywhere: bool) -> None:
        self.phase, self.step, self.number, self.everywhere = phase, step, number, everywhere

    def on_train_batch_start(self, trainer, pl_module, *_) -> None:
        hit = self.everywhere or trainer.global_rank == 1
        if pl_module.phase == self.phase and trainer.global_step == self.step and hit:
            os.kill(os.getpid(), self.number)


class WhileChoosing(Callback):
    """A signal that reaches one process while the checkpoint of a later stage is scored."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_start(self, trainer, pl_module) -> None:
        if pl_module.phase != "distill" or trainer.global_rank != 1:
            return
        original = scoring.chunked_forward_kl

        def sends(*arguments):
            if trainer.global_step == self.step:
                os.kill(os.getpid(), signal.SIGHUP)
            return original(*arguments)

        scoring.chunked_forward_kl = sends


def run(make, callback=None) -> None:
    """A job of one process, or what one of several does of it."""
    job = make()
    job.store.locking = False
    if callback is not None:
        job.callbacks = [callback]
    with preemption.watch(job.resume.signals):
        job = prepare(job)
        execute(job, plan(job))


def work(make, callback=None) -> None:
    """Likewise; ends as run.py would at a signal."""
    try:
        run(make, callback)
    except Preempted:
        os._exit(ENDED)


@pytest.fixture
def make(make_job, tmp_path):
    return lambda *overrides: partial(make_job, *RUN, *SAVING, *overrides, prepared=False)


def outcome(job):
    """Weights, schedule and answers, losses, and the artifacts of a finished run."""
    job = prepare(job)
    found = {step.name: job.store.find(step.key) for step in plan(job)}
    assert all(found.values())
    weights: dict[tuple[str, str], np.ndarray] = {}
    for name in ("anchor", "student"):
        for file in sorted((found[name].folder / WEIGHTS).glob("*.safetensors")):
            weights |= {(name, key): value.numpy() for key, value in load_file(file).items()}
    lines = (found["evaluation of student"].folder / PREDICTIONS).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    losses = np.array([row["loss"] for row in rows])
    schedule = [stage["checkpoint"] for stage in found["student"].result.schedule]
    return weights, (schedule, [row["answer"] for row in rows]), losses, found


@pytest.fixture(scope="module")
def one_process(make_job_in, tmp_path_factory):
    make = partial(make_job_in(tmp_path_factory.mktemp("one")), *RUN, prepared=False)
    work(make)
    return outcome(make())


def assert_equal(found, expected) -> None:
    assert found[1] == expected[1]
    for key, value in expected[0].items():
        np.testing.assert_allclose(found[0][key], value, rtol=0, atol=1e-9, err_msg=str(key))
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=1e-9)


def test_two_processes_go_on_bit_for_bit(make, in_two_processes, one_process):
    """One process gets a signal, and both save after the same step; the next time both are killed at once."""
    two = make("trainer=ddp_cpu")
    told = partial(Interrupted, "student_sft", 8, signal.SIGUSR1, everywhere=False)
    assert in_two_processes(partial(work, two, told)) == [ENDED, ENDED]
    (state,) = two().store.root.glob("anchor-*.partial/resume/state.json")
    assert json.loads(state.read_text())["step"] == 10  # What all wanted is heard one step later.
    killed = partial(Interrupted, "distill", 15, signal.SIGKILL, everywhere=True)
    assert in_two_processes(partial(work, two, killed)) == [-signal.SIGKILL, -signal.SIGKILL]
    assert in_two_processes(partial(work, two)) == [0, 0]
    interrupted = outcome(two())

    undisturbed = make("trainer=ddp_cpu")
    whole = partial(undisturbed, store="whole")
    assert in_two_processes(partial(work, whole)) == [0, 0]
    expected = outcome(whole())
    assert interrupted[3].keys() == expected[3].keys()
    for name, artifact in expected[3].items():
        assert json.dumps(vars(interrupted[3][name].result)) == json.dumps(vars(artifact.result)), name
    assert all(np.array_equal(interrupted[0][key], value) for key, value in expected[0].items())
    assert_equal(interrupted, one_process)


@pytest.mark.slow
def test_two_processes_save_where_one_is_told_between_two_epochs(make, in_two_processes):
    two = make("trainer=ddp_cpu", "resume.every_steps=null")
    assert in_two_processes(partial(work, two, partial(WhileChoosing, 12))) == [ENDED, ENDED]
    (state,) = two().store.root.glob("student-*.partial/resume/state.json")
    assert json.loads(state.read_text())["step"] == 12
    assert in_two_processes(partial(work, two)) == [0, 0]
    whole = partial(two, store="whole")
    assert in_two_processes(partial(work, whole)) == [0, 0]
    interrupted, expected = outcome(two()), outcome(whole())
    assert interrupted[1] == expected[1]
    assert all(np.array_equal(interrupted[0][key], value) for key, value in expected[0].items())


@pytest.mark.slow
def test_another_number_of_processes_and_micro_batches(make, in_two_processes, one_process):
    killed = partial(Interrupted, "student_sft", 8, signal.SIGKILL, everywhere=True)
    assert in_two_processes(partial(work, make("trainer=ddp_cpu"), killed)) == [-signal.SIGKILL, -signal.SIGKILL]
    # A state of two processes goes on in one, in smaller parts, as after a lack of memory; and back.
    told = partial(Interrupted, "distill", 9, signal.SIGTERM, everywhere=True)
    alone = make("trainer.micro_batches=3")
    with pytest.raises(Preempted):
        run(alone, told)
    assert in_two_processes(partial(work, make("trainer=ddp_cpu", "trainer.micro_batches=2"))) == [0, 0]
    assert_equal(outcome(alone()), one_process)


@pytest.mark.slow
def test_models_in_parts_go_on_in_parts_and_as_a_whole(make, in_two_processes, one_process):
    parts, whole = make("trainer=fsdp_cpu"), make("trainer=ddp_cpu")
    # The anchor goes from parts to the whole and back.
    for each, phase, step in (
        (parts, "teacher_sft", 5),
        (parts, "student_sft", 8),
        (whole, "student_sft", 15),
        (parts, "distill", 9),
    ):
        killed = partial(Interrupted, phase, step, signal.SIGKILL, everywhere=True)
        assert in_two_processes(partial(work, each, killed)) == [-signal.SIGKILL, -signal.SIGKILL], phase
    assert in_two_processes(partial(work, parts)) == [0, 0]
    assert_equal(outcome(parts()), one_process)
