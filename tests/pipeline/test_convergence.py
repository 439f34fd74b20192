"""What a run records of its trainings' convergence, and where it says so."""

import json
from pathlib import Path

import pytest

from scd_lightning.analysis.run import convergence
from scd_lightning.pipeline.report import found_results
from scd_lightning.pipeline.results import StudentResult, TeacherResult
from scd_lightning.store.artifacts import Artifact, ArtifactKey


@pytest.fixture
def results(make_job):
    """What results.json has of a job whose trainings had these validation metrics."""

    def of(*overrides, teacher=(0.1, 0.2, 0.5), student=(0.1, 0.4)):
        curve = [{"validation_metric": metric} for metric in student]
        trajectory = [{"step": step, "metrics": {"metric": metric}} for step, metric in enumerate(teacher, 1)]
        best = max(range(len(teacher)), key=lambda index: teacher[index])
        found = {"teacher": TeacherResult(best, trajectory), "student": StudentResult(0.0, 0.0, curve=curve)}
        key = ArtifactKey("gold", {})
        made = {name: Artifact(key, Path(), result, {}, reused=False) for name, result in found.items()}
        return found_results(make_job(*overrides), made)

    return of


def test_results_have_the_budget_and_what_had_not_converged(results):
    found = results("teacher.epochs=5", "budget.stages=2")
    assert found["budget"] == {"stages": 2, "stage_epochs": 1, "teacher_epochs": 5}
    assert found["convergence"] == [
        {"model": "teacher", "kind": "checkpoint", "change": pytest.approx(0.3)},
        {"model": "student", "kind": "stage", "change": pytest.approx(0.3)},
    ]
    assert "teacher.epochs=10" in convergence.warnings(found)[0]
    assert "budget.stage_epochs=2" in convergence.warnings(found)[1]


def test_with_samples_it_is_what_was_asked_for(results):
    # 48 rows in 2 stages: 2.3 epochs a stage.
    found = results("budget.samples=220", "budget.stage_epochs=7", student=(0.1, 0.2, 0.3, 0.4))
    assert found["budget"] == {"stages": 2, "stage_epochs": None, "samples": 220, "teacher_epochs": 2}
    assert found["convergence"][1] == {"model": "student", "kind": "stage", "change": pytest.approx(0.2)}
    assert "budget.samples=440" in convergence.warnings(found)[1]


def test_nothing_is_said_where_short_trainings_are_meant(results):
    for override in ("budget.warn=false", "debug=smoke"):
        assert results(override)["convergence"] == []


def test_nothing_is_said_of_trainings_that_had_converged(results):
    assert results(teacher=(0.1, 0.495, 0.5), student=(0.5, 0.5))["convergence"] == []


def test_a_run_says_so_at_its_end_and_in_its_report(run_py, tmp_path, monkeypatch):
    monkeypatch.setattr(convergence, "POINT", -1.0)  # The small runs learn nothing that their validation would show.
    code, out, error = run_py("method=td", "hydra.run.dir=run")
    assert code == 0, error
    told = convergence.warnings(json.loads((tmp_path / "run" / "results.json").read_text()))
    assert [sentence.split()[1] for sentence in told][-2:] == ["anchor", "student"]
    page, shown = (tmp_path / "run" / "report.html").read_text(), " ".join(out.split())
    assert all(sentence in page and sentence in shown for sentence in told)
