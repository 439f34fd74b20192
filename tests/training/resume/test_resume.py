"""Interrupted trainings go on where they were: bit for bit what they would have been without."""

import os
import signal
from functools import partial

import pytest
from lightning import Callback

from scd_lightning.errors import Preempted
from scd_lightning.launch import preemption
from scd_lightning.pipeline import teacher_sft
from scd_lightning.pipeline.job import Job
from scd_lightning.pipeline.predict import PredictionLog
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.schedules import scoring
from scd_lightning.teachers.live import LiveSource

# Dropout draws from the generators that a state has to bring back; two epochs a phase have one end within a phase.
RUN = (
    "method=scd_aw",
    "budget.stages=2",
    "budget.stage_epochs=2",
    "+teacher.architecture.attention_dropout=0.2",
    "+student.architecture.attention_dropout=0.2",
    "task.evaluation_batch=4",
)
PHASES = {
    "teacher_sft": ("FineTuning", "teacher"),
    "student_sft": ("FineTuning", "student"),
    "distill": ("Distillation", "student"),
}


class Crash(RuntimeError):
    """What ends a training in these tests."""


class Crashes(Callback):
    """Ends one phase's training once an optimizer step is made, before or after the states of that step are saved."""

    def __init__(self, phase: str, step: int, hook: str) -> None:
        self.phase, self.step = phase, step
        setattr(self, hook, self._look)

    def _look(self, trainer, pl_module, *_) -> None:
        if pl_module.phase == self.phase and trainer.global_step == self.step:
            raise Crash


class Signals(Crashes):
    """Sends this process a signal instead."""

    def __init__(self, phase: str, step: int, hook: str, number: signal.Signals) -> None:
        super().__init__(phase, step, hook)
        self.number = number

    def _look(self, trainer, pl_module, *_) -> None:
        try:
            super()._look(trainer, pl_module)
        except Crash:
            os.kill(os.getpid(), self.number)


class Counter(Callback):
    """Notes the optimizer steps that are made."""

    def __init__(self, seen: list) -> None:
        self.seen, self._last = seen, None

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        if trainer.global_step != self._last:
            self._last = trainer.global_step
            self.seen.append((pl_module.phase, self._last))


def work(job: Job) -> None:
    prepared = prepare(job)
    execute(prepared, plan(prepared))


@pytest.fixture(scope="module")
def uninterrupted(make_job_in, tmp_path_factory, outcome) -> dict:
    job = make_job_in(tmp_path_factory.mktemp("uninterrupted"))(*RUN, prepared=False)
    work(job)
    assert not list(job.store.root.glob("*.partial"))
    return outcome(job)


# Twelve steps of the teacher, 24 of a student, six an epoch.
@pytest.mark.parametrize(
    ("phase", "step", "hook", "every", "expected"),
    [
        ("teacher_sft", 5, "on_train_batch_end", 1, 4),
        pytest.param("teacher_sft", 7, "on_train_batch_start", 1, 7, marks=pytest.mark.slow),
        pytest.param("student_sft", 15, "on_train_batch_start", 4, 12, marks=pytest.mark.slow),
        pytest.param("student_sft", 12, "on_train_epoch_start", 1, 12, marks=pytest.mark.slow),
        pytest.param("student_sft", 24, "on_train_end", 5, 20, marks=pytest.mark.slow),
        pytest.param("distill", 3, "on_train_batch_end", 1, 2, marks=pytest.mark.slow),
        pytest.param("distill", 6, "on_validation_start", 1, 5, marks=pytest.mark.slow),
        ("distill", 12, "on_train_epoch_start", 1, 12),
        ("distill", 18, "on_train_batch_start", 7, 14),
        pytest.param("distill", 22, "on_train_batch_start", 1, 22, marks=pytest.mark.slow),
    ],
)
def test_resumed_equals_uninterrupted(make_job, outcome, uninterrupted, phase, step, hook, every, expected):
    settings = (*RUN, f"resume.every_steps={every}", "resume.every_minutes=null")
    job = make_job(*settings, prepared=False)
    job.callbacks = [partial(Crashes, phase, step, hook)]
    with pytest.raises(Crash):
        work(job)
    assert list(job.store.root.glob("*.partial/resume/state.json"))

    seen: list = []
    again = make_job(*settings, run="again", prepared=False)
    again.callbacks = [partial(Counter, seen)]
    work(again)
    assert min(made for where, made in seen if where == phase) == expected + 1
    assert outcome(again) == uninterrupted
    assert not list(job.store.root.glob("*.partial"))
    assert not list(job.store.root.glob("*/resume"))


@pytest.mark.parametrize(
    ("phase", "step", "hook", "number", "expected"),
    [
        ("teacher_sft", 4, "on_train_batch_start", signal.SIGTERM, 5),
        pytest.param("student_sft", 6, "on_validation_start", signal.SIGUSR1, 6, marks=pytest.mark.slow),
        pytest.param("distill", 8, "on_train_batch_end", signal.SIGUSR2, 8, marks=pytest.mark.slow),
        ("distill", 17, "on_train_batch_start", signal.SIGINT, 18),
    ],
)
def test_a_signal_loses_no_step(make_job, outcome, uninterrupted, phase, step, hook, number, expected):
    settings = (*RUN, "resume.every_minutes=null")
    job = make_job(*settings, prepared=False)
    job.callbacks = [partial(Signals, phase, step, hook, number)]
    # Lightning makes an exit of Ctrl-C.
    with pytest.raises(SystemExit if number == signal.SIGINT else Preempted), preemption.watch(job.resume.signals):
        work(job)

    seen: list = []
    again = make_job(*settings, run="again", prepared=False)
    again.callbacks = [partial(Counter, seen)]
    work(again)
    assert min(made for where, made in seen if where == phase) == expected + 1
    assert outcome(again) == uninterrupted


@pytest.mark.parametrize(
    ("teacher", "owner", "name"),
    [
        pytest.param("cached", scoring, "chunked_forward_kl", id="scores"),
        pytest.param("cached", LiveSource, "hidden", marks=pytest.mark.slow, id="signals"),
        pytest.param("live", LiveSource, "hidden", marks=pytest.mark.slow, id="scores of live answers"),
    ],
)
def test_a_signal_between_two_epochs_loses_no_step(make_job, outcome, uninterrupted, monkeypatch, teacher, owner, name):
    """The second stage begins after step 12: its checkpoint is chosen, and its signals are made."""
    settings = (*RUN, "resume.every_minutes=null", f"method.teacher={teacher}")
    original = getattr(owner, name)
    seen: list = []

    def sends(*arguments):
        if seen[-1] == ("distill", 12):
            os.kill(os.getpid(), signal.SIGHUP)
        return original(*arguments)

    job = make_job(*settings, prepared=False)
    job.callbacks = [partial(Counter, seen)]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, sends)
        with pytest.raises(Preempted, match="SIGHUP"), preemption.watch(job.resume.signals):
            work(job)
    assert seen[-1] == ("distill", 12)
    seen.clear()
    again = make_job(*settings, run="again", prepared=False)
    again.callbacks = [partial(Counter, seen)]
    work(again)
    assert seen[0] == ("distill", 13)
    if teacher == "cached":
        assert outcome(again) == uninterrupted


@pytest.mark.parametrize("where", ["test split", pytest.param("train split", marks=pytest.mark.slow), "trajectory"])
def test_passes_over_a_split_go_on_where_they_were(make_job, outcome, uninterrupted, monkeypatch, where):
    """After three batches of an evaluation or of the anchor's losses, or two of the teacher's three checkpoints."""
    calls: list = []
    owner, name, stops = {
        "test split": (PredictionLog, "append", 16),  # 12 batches are the anchor's losses.
        "train split": (PredictionLog, "append", 4),
        "trajectory": (teacher_sft, "_validate", 3),
    }[where]
    original = getattr(owner, name)

    def count(*arguments):
        calls.append(arguments)
        if len(calls) == stops:
            raise Crash
        return original(*arguments)

    settings = (*RUN, "resume.every_steps=5")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, count)
        with pytest.raises(Crash):
            work(make_job(*settings, prepared=False))
    left, stops, calls[:] = len(calls) - 1, 0, []
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, count)
        again = make_job(*settings, run="again", prepared=False)
        work(again)
    # 12 of the anchor's losses, 4 of each evaluation, and 3 of validation.
    assert left + len(calls) == (3 if where == "trajectory" else 12 + 3 * 4 + 3)
    assert outcome(again) == uninterrupted


@pytest.mark.parametrize(
    "damage", ["cut", *(pytest.param(each, marks=pytest.mark.slow) for each in ("deleted", "of another version"))]
)
def test_a_state_that_can_not_be_used_starts_the_phase_over(make_job, outcome, uninterrupted, capsys, damage):
    settings = (*RUN, "resume.every_steps=1", "resume.every_minutes=null")
    job = make_job(*settings, prepared=False)
    job.callbacks = [partial(Crashes, "distill", 9, "on_train_batch_start")]
    with pytest.raises(Crash):
        work(job)
    (about,) = job.store.root.glob("student-*.partial/resume/state.json")
    (state,) = about.parent.glob("*/state.ckpt")
    if damage == "cut":
        os.truncate(state, state.stat().st_size // 2)
    elif damage == "deleted":
        state.unlink()
    else:
        about.write_text(about.read_text().replace('"lightning": "', '"lightning": "0.'))
    seen: list = []
    again = make_job(*settings, run="again", prepared=False)
    again.callbacks = [partial(Counter, seen)]
    work(again)
    assert seen[0] == ("distill", 1)
    assert outcome(again) == uninterrupted
    assert "starts over" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [
        ("method.teacher=live",),
        ("student.lora.r=2", "teacher.lora.r=2", "teacher.gradient_checkpointing=true"),
        ("budget.batch_tokens=600", "teacher.batch_tokens=400", "trainer.micro_batches=3"),
        ("task.validation=task", "trainer.precision=bf16-mixed"),
        ("method=sft", "student.init=base"),
        ("student.init=anchor",),
    ],
)
def test_any_kind_of_training_goes_on(make_job, outcome, variant):
    settings = (*RUN, *variant, "resume.every_steps=1", "resume.every_minutes=null")
    expected = make_job(*settings, run="expected", store="expected", prepared=False)
    work(expected)
    for phase, step in (("teacher_sft", 3), ("student_sft", 6), ("distill", 9)):
        if "method=sft" not in variant or phase != "distill":
            job = make_job(*settings, prepared=False)
            job.callbacks = [partial(Crashes, phase, step, "on_train_batch_start")]
            with pytest.raises(Crash):
                work(job)
    again = make_job(*settings, run="again", prepared=False)
    work(again)
    assert outcome(again) == outcome(expected)
