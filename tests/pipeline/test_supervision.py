"""A job's parent and its processes: what these have to see alike, and what the parent does before and after them."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from scd_lightning.errors import ConfigError, DataError, StoreError
from scd_lightning.launch import preemption, ranks
from scd_lightning.launch.consensus import SEEN
from scd_lightning.pipeline import run as run_module
from scd_lightning.pipeline import supervision
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import agree, collect, plan
from scd_lightning.store.artifacts import ArtifactStore

LABELS = ("rain", "sun")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for split, count in {"train": 24, "validation": 6, "test": 6}.items():
        rows = [{"text": f"{split} {i} tells of {LABELS[i % 2]}", "label": LABELS[i % 2]} for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def as_process(make_job, data, monkeypatch):
    """Makes a job as its parent would, and then as one of the processes that this starts."""

    def make(*overrides: str, between: Any = lambda: None, own: tuple[str, ...] = ()) -> Any:
        common = ("task=classification", f"task.data.path={data}", "method=td", *overrides)
        parent = make_job(*common, prepared=False)
        run_module._agree_on_settings(parent)
        prepared = prepare(parent)
        agree(prepared, plan(prepared))
        between()
        environment = supervision._environment(prepared, set(), set())
        for name in (ranks.WORKER, ranks.TO_MAKE, ranks.LEFT_OUT, *prepared.agreement.environment()):
            monkeypatch.setenv(name, environment[name])
        job = make_job(*common, *own, prepared=False)
        run_module._agree_on_settings(job)
        again = prepare(job)
        agree(again, plan(again))
        return again

    return make


def test_processes_that_see_the_same_go_on(as_process):
    assert plan(as_process("method=scd_aw"))
    # Linux takes 128 KiB.
    assert len(os.environ[SEEN]) < 64_000


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_data_that_change_between_a_job_s_start_and_its_processes_are_named(as_process, data, split, tmp_path):
    def change() -> None:
        with (data / f"{split}.jsonl").open("a") as file:
            file.write(json.dumps({"text": "one more of sun", "label": "sun"}) + "\n")

    with pytest.raises(DataError, match=rf"do not see the same data\. Where: task\.data: {split}\."):
        as_process(between=change)
    # Nothing was made of the new rows, as a tokenizer would be.
    assert len(list((tmp_path / "store").glob("tokenizer-*"))) == 1


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ("student.optimizer.lr=0.5", r"input of the anchor\. Where: student_sft: model\.optimizer\."),
        ("objective.temperature=3", r"input of the student\. Where: distill: objective\.temperature\."),
        ("trainer.micro_batches=2", r"settings\. Where: the configuration: trainer\.micro_batches\."),
        ("phases=[teacher_sft]", r"settings\. Where: the configuration: phases\."),
        ("resume.every_steps=4", r"settings\. Where: the configuration: resume\.every_steps\."),
    ],
)
def test_whatever_else_differs_is_named(as_process, own, named):
    with pytest.raises(ConfigError, match=named):
        as_process(own=(own,))


def test_code_that_changes_is_named(as_process, tmp_path, monkeypatch):
    file = tmp_path / "rained_on.py"
    code = "def spread(teacher_logits, student_logits, temperature=1.0):\n    return (teacher_logits - student_logits)"
    file.write_text(f"{code}.square().sum(-1)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = ("objective.divergence._target_=rained_on.spread", "allowed_targets=[rained_on]")
    with pytest.raises(ConfigError, match=r"input of the student\. Where: distill: objective\.code"):
        as_process(*mine, between=lambda: file.write_text(f"{code}.abs().sum(-1)\n"))


def test_a_process_makes_nothing_that_its_parent_has_not_locked(as_process, tmp_path):
    job = as_process()
    (step,) = [step for step in plan(job) if step.name == "teacher"]
    store = ArtifactStore(job.store.root, "run", locking=False, granted=ranks.to_make())
    with pytest.raises(StoreError, match="The teacher was in the store when this job began"), store.claim(step.key):
        pass
    store.granted = {step.key.folder}
    with store.claim(step.key) as claimed:
        assert claimed is not None


def test_a_parent_makes_nothing_of_what_its_processes_have_left_out(make_job, made_before, monkeypatch):
    job = make_job("method=td", "phases=[teacher_sft,student_sft]")
    made_before(job.store.root, "teacher_sft", "method=td")
    with monkeypatch.context() as patch:
        patch.setattr(ArtifactStore, "claim", lambda *_, **__: pytest.fail("the parent would make it"))
        with pytest.raises(StoreError, match="ended well, and the anchor is not in the store"):
            collect(job, plan(job))
    made_before(job.store.root, "student_sft", "method=td")
    assert list(collect(job, plan(job))) == ["teacher", "anchor"]


class Locks:
    """A store's locks, some of which another run holds, and what was asked of them."""

    def __init__(self, held: set[str]) -> None:
        self.held = held
        self.own: list[str] = []
        self.asked: list[tuple[str, float, int]] = []

    def acquire(self, key: Any, seconds: float = -1) -> Any:
        self.asked.append((key.folder.partition("-")[0], seconds, len(self.own)))
        if key.folder in self.held:
            if seconds >= 0:
                return None
            self.held.clear()  # The other run is done.
        self.own.append(key.folder)
        return self

    def release(self) -> None:
        self.own.pop()


@pytest.mark.parametrize("held", ["teacher", "anchor", "student"])
def test_no_lock_is_held_while_another_is_waited_for(make_job, monkeypatch, held):
    job = make_job("method=td")
    steps = [step for step in plan(job) if step.phase != "evaluate"]
    locks = Locks({step.key.folder for step in steps if step.name == held})
    monkeypatch.setattr(job.store, "acquire", locks.acquire)
    monkeypatch.setattr(supervision, "_supervise", lambda job, wanted, taken, busy: supervised.append(list(taken)))
    supervised: list[list[str]] = []
    assert supervision._make(job, steps, waiting=False) == []
    assert supervised == [[step.key.folder for step in steps]]
    assert [held for _, seconds, held in locks.asked if seconds < 0] == [0]
    assert not locks.own


def test_an_evaluation_of_another_run_is_left_for_later(make_job, monkeypatch):
    job = make_job("method=td")
    steps = plan(job)
    taken = {steps[-1].key.folder}
    locks = Locks(set(taken))
    monkeypatch.setattr(job.store, "acquire", locks.acquire)
    monkeypatch.setattr(supervision, "_supervise", lambda job, wanted, own, busy: supervised.append((len(own), busy)))
    supervised: list[Any] = []
    assert supervision._make(job, steps, waiting=False) == [steps[-1]]
    assert supervised == [(len(steps) - 1, taken)]
    assert not locks.own


@pytest.mark.parametrize("ignored", [False, True])
def test_sighup_is_for_processes_that_will_handle_it_alone(make_job, monkeypatch, ignored):
    started: list[Any] = []

    class Started(Exception):
        pass

    def start(*arguments: Any) -> Any:
        started.extend(arguments[3])
        raise Started

    monkeypatch.setattr(supervision, "Processes", start)
    job = make_job("method=td")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with pytest.raises(Started), preemption.watch(job.resume.signals):
            supervision._supervise(job, [], {}, set())
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [number.name for number in started] == ["SIGHUP", "SIGUSR1", "SIGUSR2"][ignored:]
