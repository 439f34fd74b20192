"""`scd evaluate`: what it prints of a student on rows with labels."""

import json

import pytest

from scd_lightning.cli import evaluate
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan

ONE_EPOCH = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")


@pytest.fixture(scope="module")
def student(make_job_in, tmp_path_factory):
    """The folder of a finished run."""
    job = make_job_in(tmp_path_factory.mktemp("measured"))("task=classification", *ONE_EPOCH)
    steps = plan(job)
    report(job, steps, execute(job, steps))
    return job.run_dir


@pytest.fixture
def later(student, tmp_path):
    """Rows with labels, one of which was never learnt, and one without."""
    labels = json.loads((student / "student" / "prompt_template.json").read_text())["labels"]
    rows = [{"text": f"text {i}", "label": labels[i % len(labels)]} for i in range(9)]
    rows += [{"text": "another", "label": "new"}, {"id": "lacks", "text": "one more"}]
    (tmp_path / "later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "later.jsonl"


def test_metrics_stand_with_their_intervals(student, later, capsys):
    assert evaluate.main([str(student), "--file", str(later)]) == 0
    out = capsys.readouterr().out
    assert "10 rows" in out
    assert "accuracy" in out
    assert " to " in out
    assert "never learnt, and so can't answer: new (1)" in out
    assert "1 of 11 rows can't be used; the first, lacks" in out
    assert evaluate.main([str(student), "--file", str(later), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 10
    assert found["unknown"] == {"new": 1}
    assert [each["id"] for each in found["refused"]] == ["lacks"]
    low, value, high = (found["metrics"]["accuracy"][name] for name in ("low", "value", "high"))
    assert low <= value <= high


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--file", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--file", "later.jsonl", "--batch", "-1"], "--batch"),
        (["--file", "later.jsonl", "--columns", "=body"], "--columns"),
    ],
)
def test_what_cannot_work_is_refused(student, capsys, arguments, told):
    assert evaluate.main([str(student), *arguments]) == 2
    assert told in capsys.readouterr().err
