"""A student that is loaded from its folder answers as it was evaluated; rows that it can't be asked are named."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from scd_lightning.analysis.records import read_predictions
from scd_lightning.data.rows import make_row
from scd_lightning.errors import ConfigError, DataError, ModelError
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.use.answers_given import Chosen, Found, Written
from scd_lightning.use.measuring import measure
from scd_lightning.use.student import Student

ONE_EPOCH = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")
SIZES = ("task.data.synthetic.test=20", "task.max_new_tokens=12")
# Weights that have learnt nothing, and are so large that every token changes the answer.
LOUD = "+student.architecture.initializer_range=0.5"


@pytest.fixture(scope="module")
def runs(make_job_in, tmp_path_factory):
    """Task -> a finished run of it."""
    make, made = make_job_in(tmp_path_factory.mktemp("used")), {}
    for task in ("ner", "classification", "qa"):
        job = make(f"task={task}", *ONE_EPOCH, *SIZES, LOUD, run=task)
        steps = plan(job)
        report(job, steps, execute(job, steps))
        made[task] = job
    return made


def found(answer):
    assert isinstance(answer, Found)
    return answer


def given(job):
    """The rows of a run's test split as a user has them, without labels."""
    rows = [sample.row.values for sample in job.data.samples["test"]]
    return [{name: value for name, value in row.items() if name not in ("entities", "label", "answer")} for row in rows]


@pytest.mark.parametrize("task", ["ner", "classification", "qa"])
def test_a_student_is_measured_as_it_was_evaluated(runs, task):
    job = runs[task]
    recorded = json.loads((job.run_dir / "results.json").read_text())
    student = Student.load(job.run_dir)
    rows = [sample.row for sample in job.data.samples["test"]]
    report = measure(student.form, [each for part in student.judge(rows) for each in part])
    assert next(iter(report.metrics)) == recorded["primary_metric"]
    for name, found in report.metrics.items():
        assert found.value == pytest.approx(recorded["metrics"]["student"][name], abs=1e-5)
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert report.rows == len(rows)
    assert bool(report.labels) == (task != "qa")
    assert sum(each.support for each in report.labels) == sum(len(s.labels) for s in job.data.samples["test"])


def test_labels_that_were_never_learnt_are_named_and_other_rows_left_out(runs):
    student = Student.load(runs["classification"].run_dir)
    given = [
        {"text": "one", "label": "never seen"},
        {"text": "two"},
        {"text": "three", "label": student.form.labels[0]},
    ]
    rows = [make_row(values, "input", number, "mine.jsonl") for number, values in enumerate(given, 1)]
    judged = [each for part in student.judge(rows) for each in part]
    assert "is missing" in str(judged[1].given.error)
    report = measure(student.form, judged)
    assert report.rows == 2
    assert report.unknown == {"never seen": 1}
    with pytest.raises(DataError, match="No row could be used"):
        measure(student.form, judged[1:2])


@pytest.mark.parametrize(("task", "kind"), [("ner", Found), ("classification", Chosen), ("qa", Written)])
def test_a_student_answers_as_it_was_evaluated(runs, task, kind):
    job = runs[task]
    evaluated = read_predictions(job.run_dir, "student")
    answers = Student.load(job.run_dir).predict(given(job))
    assert [each.answer for each in answers] == [row["answer"] for row in evaluated]
    assert {type(each) for each in answers} == {kind}
    assert [each.id for each in answers] == [row["id"] for row in evaluated]
    assert all(0 < (each.probability or 0) <= 1 for each in answers)
    if task == "ner":
        entities = [[[e.label, e.text, e.start, e.end] for e in found(each).entities] for each in answers]
        assert entities == [row["entities"] for row in evaluated]
    # One by one, in another order: the same.
    alone = Student.load(job.run_dir / "student", "cpu").predict(list(reversed(given(job))), batch=1)
    assert [each.answer for each in reversed(alone)] == [each.answer for each in answers]


def test_a_choice_has_all_probabilities(runs):
    job = runs["classification"]
    answers = Student.load(job.run_dir).predict(given(job))
    for each in answers:
        assert isinstance(each, Chosen)
        assert set(each.shares) == set(job.data.samples["test"][0].candidates)
        assert sum(each.shares.values()) == pytest.approx(1, abs=0.05)
        assert each.probability == each.shares[str(each.answer)] == max(each.shares.values())


def test_rows_that_cannot_be_used_are_named_and_the_others_answered(runs):
    student = Student.load(runs["ner"].run_dir)
    texts: list[Any] = ["Garuma wrote.", "  ", {"id": "seven", "text": 7}, {"body": "x"}, "word " * 2000, "\ud800"]
    whole, empty, number, lacking, long, half = student.predict(texts)
    assert whole.error is None
    assert not whole.shortened
    assert "is empty" in str(empty.error)
    assert number.id == "seven"
    assert "wrong type" in str(number.error)
    assert "is missing" in str(lacking.error)
    assert long.shortened
    assert long.error is None
    assert "surrogate" in str(half.error)
    assert "answer" in whole.row()
    assert student.predict([]) == []


def test_a_student_of_several_fields_says_which(runs):
    student = Student.load(runs["qa"].run_dir)
    with pytest.raises(ConfigError, match='"question": ..., "context": ...'):
        student.predict(["What is this?"])


def test_folders_that_are_no_students_are_refused(runs, tmp_path):
    job = runs["ner"]
    with pytest.raises(ModelError, match="no such folder"):
        Student.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="not the folder of a student"):
        Student.load(tmp_path)
    with pytest.raises(ModelError, match="folder of several runs"):
        Student.load(job.run_dir.parent)
    copy = tmp_path / "student"
    shutil.copytree(job.run_dir / "student", copy)
    form = json.loads((copy / "prompt_template.json").read_text())
    for changes, match in (
        ({"kind": "poetry"}, "none of this package's"),
        ({"labels": "PERSON"}, "list"),
        ({"settings": {"data": 1}}, "settings in"),
        ({"vocabulary": 10**6}, "not the one that the student was trained with"),
    ):
        (copy / "prompt_template.json").write_text(json.dumps(form | changes))
        with pytest.raises(ModelError, match=match):
            Student.load(copy)
    (copy / "prompt_template.json").unlink()
    with pytest.raises(ModelError, match="does not say how it is asked"):
        Student.load(copy)


def test_the_example_of_the_docs_runs(runs, capsys):
    page = (Path(__file__).parents[2] / "docs" / "use.md").read_text(encoding="utf-8")
    [code] = re.findall(r"<!-- student\.py -->\n```python\n(.*?)```", page, re.DOTALL)
    folder = str(runs["classification"].run_dir)
    exec(code.replace("outputs/2026-11-25/10-15-00", folder), {})
    answers = Student.load(folder).predict(["I was charged twice.", "Where is my card?"])
    assert capsys.readouterr().out.splitlines() == [f"{each.answer} {each.probability}" for each in answers]
