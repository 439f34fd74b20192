"""Where a run stands, and how long it says that it will still take."""

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from scd_lightning import progress
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.pipeline import course
from scd_lightning.pipeline.course import Course, Work, works
from scd_lightning.pipeline.phase_lines import models_line

TEACHER, STUDENT = ("teacher", False), ("student", False)


def bar(name: str, seconds: float, done: int, total: int = 100, before: int = 0) -> Any:
    return SimpleNamespace(description=name, seconds=seconds, done=done, total=total, before=before)


@pytest.fixture
def run(monkeypatch):
    """A run whose teacher has four times the student's weights; a training passes 300 samples, answering 100."""
    own = {
        "teacher": [Work("teacher_sft", {TEACHER: 300}), Work("validating", {TEACHER: 100})],
        "anchor": [Work("student_sft", {STUDENT: 300})],
        "student": [Work("distill", {STUDENT: 300, TEACHER: 100})],
        "evaluation": [Work("test split", {("student", True): 100})],
    }
    monkeypatch.setattr(course, "works", lambda job, name: own[name])
    job: Any = SimpleNamespace(parameters={"teacher": 4000, "student": 1000})
    return Course(job, ["teacher_sft", "teacher_sft", "student_sft", "distill", "evaluate"])


def test_a_bar_is_called_by_its_phase_and_by_what_else_it_is(run):
    run.at("student_sft", "anchor", [])
    assert run.place(bar("student_sft", 1, 1)) == "student_sft, phase 2 of 4"
    assert run.place(bar("train split", 1, 1)) == "student_sft, phase 2 of 4, train split"


def test_nothing_is_said_until_a_speed_is_known(run):
    run.at("teacher_sft", "teacher", ["anchor"])
    assert run.left(bar("teacher_sft", 4, 10)) == ""
    assert run.left(bar("teacher_sft", 100, 50, before=50)) == ""
    assert run.left(bar("signals", 100, 50)) == ""
    assert run.left(bar("teacher_sft", 10, 10)) != ""


def test_of_a_model_that_has_not_run_there_are_two_bounds_and_of_one_that_has_there_is_one_value(run):
    run.at("teacher_sft", "teacher", ["anchor"])
    # 300 s left of this bar, 200 s to validate; the student between a quarter of the teacher's 600 s and all of it.
    assert run.left(bar("teacher_sft", 300, 50)) == "about 11 min to 18 min left of the run"
    run.close(bar("teacher_sft", 600, 100))
    run.at("student_sft", "anchor", ["teacher"])
    assert run.left(bar("student_sft", 300, 50)) == "about 18 min left of the run"


def test_what_was_done_before_an_interruption_counts_for_no_speed(run):
    run.at("student_sft", "anchor", [])
    assert run.left(bar("student_sft", 100, 60, before=50)) == "about 7 min left of the run"


def test_answering_is_up_to_so_many_times_slower_until_it_is_measured(run):
    run.at("student_sft", "anchor", ["evaluation"])
    assert run.left(bar("student_sft", 300, 100)) == "about 2 min to 13 min left of the run"
    run.at("evaluate", "evaluation", ["evaluation"])
    assert run.left(bar("test split", 500, 50)) == "about 25 min left of the run"


def test_of_two_models_that_work_together_the_unknown_one_takes_what_the_known_one_leaves(run):
    run.at("teacher_sft", "teacher", []).close(bar("teacher_sft", 300, 100))
    run.at("distill", "student", ["anchor"])
    # The teacher's 100 samples take 100 s of 1000, the student's 300 the others: so do the anchor's.
    assert run.left(bar("distill", 1000, 100)) == "about 15 min left of the run"


def test_two_unknown_models_share_the_time_by_their_sizes(run):
    run.at("distill", "student", ["anchor"])
    assert run.left(bar("distill", 700, 100)) == "about 5 min left of the run"


def test_work_is_what_the_job_will_do(make_job):
    job = make_job("method=td", "task.data.synthetic.unlabelled=6")
    texts = len(job.data.samples[UNLABELLED])
    assert works(job, "teacher") == [
        Work("teacher_sft", {TEACHER: 3 * 48 * 2}),
        Work("validating the trajectory", {TEACHER: 3 * 12}),
    ]
    assert works(job, "anchor") == [Work("student_sft", {STUDENT: 3 * 48 * 2}), Work("train split", {STUDENT: 48})]
    assert works(job, "answers")[0] == Work("unlabelled split", {("teacher", True): texts})
    rows = 48 + texts
    assert works(job, "student") == [Work("distill", {STUDENT: 3 * rows * 2, TEACHER: rows * 2})]
    assert works(job, "evaluation of base_teacher") == [Work("test split", {("teacher", True): 14})]
    assert works(job, "confidence of student") == [Work("validation split", {("student", True): 12})]
    assert works(job, "evaluation of anchor") == [Work("test split", {("student", True): 14})]
    assert works(
        replace(job, method=replace(job.method, policy=None, weighting=None, pseudo_labels=True)), "student"
    ) == [Work("distill", {STUDENT: 3 * rows * 2})]


def test_a_run_tells_its_models_and_where_it_is(make_job, run_job, monkeypatch, capsys):
    """By a clock that is always late, each bar tells a line at almost each step."""
    job = make_job("method=td", "teacher.lora.r=2")
    line = models_line(job)
    assert re.fullmatch(
        r"scratch teacher [\d.]+k -> scratch student [\d.]+k \(x[\d.]+\), task ner, method td, seed 0", line
    )
    capsys.readouterr()
    late = itertools.count(0, 100)
    monkeypatch.setattr(progress, "_pace", progress.Pace(lambda: next(late)))
    made = run_job(job)
    counts = {role: made[f"evaluation of {role}"].result.parameters for role in ("teacher", "student")}
    assert job.parameters["student"] == counts["student"]
    assert job.parameters["teacher"] < counts["teacher"]  # Which counts its adapters.
    lines = [each for each in capsys.readouterr().out.splitlines() if ", phase " in each]
    places = list(dict.fromkeys(each.partition(":")[0].strip() for each in lines))
    assert [each for each in places if "split" not in each and "validating" not in each and "signals" not in each] == [
        "teacher_sft, phase 1 of 5",
        "student_sft, phase 2 of 5",
        "distill, phase 3 of 5",
    ]
    assert {"student_sft, phase 2 of 5, train split", "evaluate, phase 4 of 5, test split"} <= set(places)
    trained = [each for each in lines if "student_sft, phase 2 of 5: 1.0 of 2 epochs" in each]
    facts = r": 1\.0 of 2 epochs, loss \d\.\d{3}, validation exact match \d\.\d{3}, [\d,]+ tokens/s"
    assert re.search(facts, trained[-1]), lines
    assert re.search(r"; about .* left of the run$", trained[-1])
    assert not any("report" in each for each in places)
