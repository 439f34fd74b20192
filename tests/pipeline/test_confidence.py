"""How sure the student is: measured on validation, shown on test, and kept beside what it exports."""

import json

import pytest

from scd_lightning.analysis.confidence.measured import read_confidence
from scd_lightning.analysis.records import read_predictions
from scd_lightning.pipeline.runner import execute, plan


def confidence_of(folder):
    return json.loads((folder / "confidence.json").read_text())


@pytest.mark.parametrize("task", ["qa", "classification"])
def test_a_run_measures_it_and_its_student_takes_it_along(make_job, run_job, task):
    job = make_job(f"task={task}")
    run_job(job)
    found = confidence_of(job.run_dir)
    assert found == confidence_of(job.run_dir / "student")
    assert found["unit"] == "answer"
    rows = read_predictions(job.run_dir, "student")
    units = [unit for row in rows for unit in row["units"]]
    assert found["test"]["right"] == [int(right) for _, right in units]
    assert found["test"]["probability"] == pytest.approx([probability for probability, _ in units], rel=1e-6)
    texts = {*found["tuned"]["text"], *found["checked"]["text"]}
    assert not {*found["tuned"]["text"]} & {*found["checked"]["text"]}
    assert texts == set(range(len(job.data.samples["validation"])))
    assert all(row["units"][0][1] == (row["correct"] == 1 and not row["malformed"]) for row in rows)
    results = json.loads((job.run_dir / "results.json").read_text())
    assert results["confidence"] == read_confidence(found).summary()
    assert "How sure it is" in (job.run_dir / "report.html").read_text()
    # The teacher is not asked how sure it is.
    assert "units" not in read_predictions(job.run_dir, "teacher")[0]


def test_answers_without_entities_say_nothing(make_job, run_job):
    # A student that has learnt nothing names none: there is nothing to be sure of.
    job = make_job("task=ner")
    run_job(job)
    assert all(row["units"] == [] for row in read_predictions(job.run_dir, "student"))
    assert not (job.run_dir / "confidence.json").exists()


def test_where_it_is_not_asked_for_nothing_is_measured(make_job, run_job):
    job = make_job("evaluate.confidence=false", "task=classification")
    assert "confidence of student" not in {step.name for step in plan(job)}
    run_job(job)
    assert not (job.run_dir / "confidence.json").exists()
    assert not (job.run_dir / "student" / "confidence.json").exists()
    assert "confidence" not in json.loads((job.run_dir / "results.json").read_text())
    assert "units" not in read_predictions(job.run_dir, "student")[0]
    assert "How sure it is" not in (job.run_dir / "report.html").read_text()


def test_only_the_students_own_evaluations_depend_on_it(make_job):
    def keys(*overrides):
        return {step.name: step.key.digest for step in plan(make_job(*overrides))}

    asked, not_asked = keys(), keys("evaluate.confidence=false")
    assert {name for name, key in not_asked.items() if key != asked[name]} == {
        "evaluation of anchor",
        "evaluation of student",
    }
    assert asked.keys() - not_asked.keys() == {"confidence of student"}


def test_where_settings_are_chosen_the_one_split_does(make_job, run_job):
    job = make_job("evaluate.split=validation", "task=classification")
    assert "confidence of student" not in {step.name for step in plan(job)}
    run_job(job)
    found = confidence_of(job.run_dir)
    assert found["test"] is None
    assert len(found["tuned"]["text"]) + len(found["checked"]["text"]) == len(job.data.samples["validation"])


def test_answers_to_validation_are_made_once(make_job):
    job = make_job("task=classification")
    first = execute(job, plan(job))["confidence of student"]
    assert not first.reused
    other = make_job("task=classification", run="other")
    again = execute(other, plan(other))["confidence of student"]
    assert again.reused
    assert again.result == first.result
    assert again.result.units == len(job.data.samples["validation"])
