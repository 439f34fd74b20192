"""The order of stages, what of them is left out, and what is there already."""

import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scd_lightning import distributed
from scd_lightning.errors import ConfigError
from scd_lightning.pipeline import runner
from scd_lightning.pipeline.results import StudentResult, TeacherResult
from scd_lightning.pipeline.runner import Step, execute, plan
from scd_lightning.store.artifacts import ArtifactKey, Outcome

# The parent's torch has one thread, so that forking it is safe, and saves the imports.
fork = multiprocessing.get_context("fork")


def kinds(job) -> dict[str, int]:
    """How many artifacts of each kind the job's store holds."""
    names = [path.name.rsplit("-", 1)[0] for path in job.store.root.iterdir() if (path / "artifact.json").is_file()]
    return {name: names.count(name) for name in sorted(set(names))}


def test_one_stage_alone(make_job, run_job):
    job = make_job("phases=[teacher_sft]")
    assert list(run_job(job)) == ["teacher"]
    assert kinds(job) == {"teacher": 1, "gold": 1, "tokenizer": 1}


@pytest.mark.parametrize(
    ("phases", "missing"),
    [
        ("[distill]", "teacher_sft"),
        ("[teacher_sft,distill]", "student_sft"),
        ("[evaluate]", "teacher_sft"),
        ("[report]", "teacher_sft"),
    ],
)
def test_a_stage_that_is_left_out_and_not_there(make_job, run_job, phases, missing, monkeypatch):
    job = make_job(f"phases={phases}")
    student = StudentResult(0.0, 0.0)
    found = {"teacher_sft": TeacherResult(0, []), "student_sft": student, "distill": student}
    for phase, result in found.items():
        monkeypatch.setattr(f"scd_lightning.pipeline.runner.{phase}", lambda *_, result=result: Outcome(result, {}))
    monkeypatch.setattr("scd_lightning.pipeline.runner.summarize", lambda *_: "")
    with pytest.raises(ConfigError, match=f"The phase {missing} is left out and its result is not in the store") as e:
        run_job(job)
    assert e.value.where == "phases"
    assert missing in str(e.value.expected)


def test_the_anchor_needs_no_teacher(make_job, run_job):
    assert set(run_job(make_job("phases=[student_sft]"))) == {"anchor"}


@pytest.mark.slow
def test_stages_by_and_by_equal_a_run_at_once(make_job, run_job):
    at_once = make_job("method=td", run="at_once", store="one")
    run_job(at_once)
    for number, phases in enumerate(("teacher_sft", "student_sft,distill", "evaluate", "report")):
        job = make_job("method=td", f"phases=[{phases}]", run=f"part{number}", store="two")
        run_job(job)
    last, whole = job.run_dir, at_once.run_dir
    assert (last / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert all(cost["reused"] for cost in json.loads((last / "costs.json").read_text()).values())
    assert not any(cost["reused"] for cost in json.loads((whole / "costs.json").read_text()).values())


def test_plain_fine_tuning(make_job, run_job):
    job = make_job("method=sft")
    assert [step.name for step in plan(job)] == [
        "teacher", "anchor", "evaluation of teacher", "evaluation of anchor", "evaluation of student",
        "confidence of student",
    ]  # fmt: skip
    run_job(job)
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["method"] == "sft"
    assert results["schedule"] == []
    assert results["metrics"]["student"] == results["metrics"]["anchor"]
    assert results["subdomains"]["student_vs_teacher"] == results["subdomains"]["anchor_vs_teacher"]
    assert not (job.run_dir / "schedule.json").exists()
    assert kinds(job) == {"anchor": 1, "confidence": 1, "evaluation": 2, "teacher": 1, "gold": 1, "tokenizer": 1}
    predictions = [(job.run_dir / "predictions" / f"{name}.jsonl").read_bytes() for name in ("anchor", "student")]
    assert predictions[0] == predictions[1]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_distillation_needs_what_its_method_reads(make_job):
    def needs(*overrides: str) -> tuple[str, ...]:
        return next(step.needs for step in plan(make_job(*overrides)) if step.name == "student")

    assert needs("method=scd_aw") == ("teacher", "anchor")
    assert needs("method=td") == ("teacher",)
    assert needs("method=td", "student.init=anchor") == ("teacher", "anchor")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a process that may have used a GPU can't be forked")
def test_a_run_trains_the_anchor_while_another_trains_the_teacher(make_job, run_job, outcome, monkeypatch, capfd):
    alone = make_job(run="alone", store="one")
    run_job(alone)
    first, second = (make_job(run=name, store="two") for name in ("first", "second"))
    (anchor,) = [step.key for step in plan(first) if step.name == "anchor"]
    begun, train = fork.Event(), runner.teacher_sft

    def train_slowly(job, folder, made):
        begun.set()
        # What the other run evaluates last, before it waits for this.
        until(lambda: len(list(job.store.root.glob("evaluation-*/artifact.json"))) == 1)
        time.sleep(0.5)
        return train(job, folder, made)

    monkeypatch.setattr(runner, "teacher_sft", train_slowly)
    made = {job.run_dir.name: fork.SimpleQueue() for job in (first, second)}

    def work(job):
        run_job(job)
        made[job.run_dir.name].put({name.partition("-")[0] for name in job.store.made})

    processes = [fork.Process(target=work, args=(job,)) for job in (first, second)]
    processes[0].start()
    assert begun.wait(60)
    processes[1].start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    kinds_made = {name: queue.get() for name, queue in made.items()}
    assert "teacher" in kinds_made["first"]
    assert "anchor" not in kinds_made["first"]
    assert {"anchor", "evaluation"} <= kinds_made["second"]
    said = capfd.readouterr().out
    assert "Waiting for " in said.partition("evaluation of anchor, ")[2]
    assert f"the same anchor ({anchor.folder})" not in said
    assert outcome(second) == outcome(alone)
    for job in (first, second):
        assert (job.run_dir / "results.json").read_bytes() == (alone.run_dir / "results.json").read_bytes()


def test_processes_of_one_job_go_on_together_while_another_run_makes_what_is_next(
    make_job, in_two_processes, monkeypatch
):
    monkeypatch.setattr(runner, "summarize", lambda *_: "")
    monkeypatch.setattr(runner, "log_artifact", lambda *_: None)
    job = make_job()
    keys = [ArtifactKey("anchor", {"number": number}) for number in range(3)]

    def build(job: Any, folder: Path, made: runner.Artifacts) -> Outcome:
        if distributed.rank() == 0:
            (folder / "weights").write_text("whole")
        distributed.barrier()
        return Outcome({"needed": sorted(made)}, {"seconds": 0.0})

    steps = [
        Step("teacher", "teacher_sft", keys[0], build),
        Step("anchor", "student_sft", keys[1], build),
        Step("student", "distill", keys[2], build, ("teacher", "anchor")),
    ]

    def hold() -> None:
        lock = job.store.acquire(keys[0])
        begun.set()
        until((job.store.root / keys[1].folder / "artifact.json").is_file)
        lock.release()  # Like a run that was ended: the teacher is not there, and the one that waited makes it.

    def work() -> None:
        made = execute(make_job(stages), steps)
        assert list(made) == ["teacher", "anchor", "student"]
        assert [artifact.reused for artifact in made.values()] == [False] * 3

    begun, stages = fork.Event(), "phases=[teacher_sft,student_sft,distill]"
    other = fork.Process(target=hold)
    other.start()
    assert begun.wait(60)
    assert in_two_processes(work) == [0, 0]
    other.join(60)
    needed = [job.store.find(key).result["needed"] for key in keys]
    assert needed == [["anchor"], [], ["anchor", "teacher"]]
