"""The teacher of a run, exported: it answers as it was evaluated, and what has no teacher says so."""

import json
import shutil

import pytest

from scd_lightning.analysis.records import read_predictions
from scd_lightning.cli import export
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.run import _write_settings
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.use.evaluated import evaluated
from scd_lightning.use.student import Student

FAST = ("task=classification", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1", "teacher.lora.r=2")


@pytest.fixture(scope="module")
def job(make_job_in, tmp_path_factory):
    """A finished run, whose teacher has adapters."""
    job = make_job_in(tmp_path_factory.mktemp("taught"))(
        *FAST, "method=sft", "+teacher.architecture.initializer_range=0.5"
    )
    steps = plan(job)
    report(job, steps, execute(job, steps))
    _write_settings(job)
    return job


def test_an_exported_teacher_answers_as_it_was_evaluated(job, tmp_path, capsys):
    assert export.main([str(job.run_dir), "--output", str(tmp_path / "teacher"), "--model", "teacher"]) == 0
    assert "checkpoint 0, validation exact match" in capsys.readouterr().out
    teacher = Student.load(tmp_path / "teacher")
    found = evaluated(job.run_dir, teacher.form)
    assert found is not None
    answers = [each.answer for part in teacher.answer(found[0]) for each in part]
    assert answers == [row["answer"] for row in read_predictions(job.run_dir, "teacher")]
    assert json.loads((tmp_path / "teacher" / "base_model.json").read_text()) == {}
    # Nothing of the run's own folder has changed.
    assert (job.run_dir / "results.json").is_file()


def test_what_has_no_teacher_says_so(job, tmp_path, capsys):
    code = export.main([str(job.run_dir / "student"), "--output", str(tmp_path / "teacher"), "--model", "teacher"])
    assert (code, "Only a run knows its teacher" in capsys.readouterr().err) == (2, True)
    [teacher] = job.store.root.glob("teacher-*")
    aside = shutil.move(teacher, tmp_path / "aside")
    code = export.main([str(job.run_dir), "--output", str(tmp_path / "teacher"), "--model", "teacher"])
    shutil.move(aside, teacher)
    assert (code, "not in the store" in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "teacher").exists()
