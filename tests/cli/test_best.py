"""What a sweep or a search leaves in best/, and what it says of it."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from scd_lightning.analysis.records import read_predictions, read_results
from scd_lightning.cli import best, predict
from scd_lightning.cli.report import show_sweep
from scd_lightning.errors import ModelError
from scd_lightning.store.layout import MANIFEST
from scd_lightning.use.student import Student

SWEEP = ("-m", "task=classification", "budget.stages=1", "hydra.sweep.dir=sweep")


def reach(folder: Path, **metrics: float) -> None:
    """Has a run's models have reached something else on validation."""
    curves = json.loads((folder / "curves.json").read_text())
    for name, metric in metrics.items():
        curves[name][-1]["validation_metric"] = metric
    (folder / "curves.json").write_text(json.dumps(curves))


def said(capsys) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_a_sweep_leaves_its_best_student_and_says_how_to_ask_it(run_py, tmp_path, capsys):
    code, out, error = run_py(*SWEEP, "method=sft,td", "teacher.epochs=2")
    assert code == 0, error
    folder, line = tmp_path / "sweep" / "best", out.splitlines()[-1]
    assert line.startswith("best on validation, of 2 students: job ")
    words = shlex.split(line.partition("; ask it: ")[2])
    assert words[-2:] == [str(folder / "student"), "..."]
    assert predict.main(words[words.index("predict") + 1 :]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [".scd_lightning", "best.json", "student"]
    found = json.loads((folder / "best.json").read_text())
    assert found["best"] == found["candidates"][0]
    assert {each["method"] for each in found["candidates"]} == {"sft", "td"}
    run = tmp_path / "sweep" / found["best"]["jobs"][0]
    assert (folder / "student" / "README.md").read_text() == (run / "student" / "README.md").read_text()
    assert len(show_sweep(tmp_path / "sweep", ()).settings[0].runs) == 2
    with pytest.raises(ModelError, match=f"name one of them, such as {folder}"):
        Student.load(tmp_path / "sweep")
    # The other one is the best, and one job has failed.
    other, lost = sorted((tmp_path / "sweep" / name for name in "01"), key=lambda path: path == run)
    reach(other, **{"student" if other.name == "1" else "anchor": 0.99})
    (lost / "failure.json").write_text(json.dumps({"type": "DataError", "message": "gone"}))
    capsys.readouterr()
    best.leave_best(tmp_path / "sweep")
    assert f"job {other.name}" in (line := said(capsys))
    assert f"left out: job {lost.name} (DataError)" in line
    found = json.loads((folder / "best.json").read_text())
    assert found["left_out"] == [{"job": lost.name, "error": "DataError"}]
    assert (folder / "student" / "README.md").read_text() == (other / "student" / "README.md").read_text()


@pytest.fixture
def sweep(run_py, tmp_path):
    """The folder of a sweep without plain fine-tuning."""
    code, _, error = run_py(*SWEEP, "method=td")
    assert code == 0, error
    return tmp_path / "sweep"


def test_a_finished_job_without_a_student_of_its_own_is_not_left_out(sweep, monkeypatch, capsys):
    """As plain fine-tuning is none, where the anchor was brought along."""
    other = shutil.copytree(sweep / "0", sweep / "1")
    (other / "curves.json").unlink()
    capsys.readouterr()
    best.leave_best(sweep)
    assert "left out" not in said(capsys)
    assert json.loads((sweep / "best" / "best.json").read_text())["left_out"] == []


def test_an_anchor_that_is_better_is_exported_from_the_store_as_a_run_of_plain_fine_tuning_would(sweep, capsys):
    reach(sweep / "0", student=0.1, anchor=0.9)
    capsys.readouterr()
    best.leave_best(sweep)
    assert "of 2 students: the anchor of job 0, which is fine-tuned alone, exact match 0.900; ask it: " in said(capsys)
    found = json.loads((sweep / "best" / "best.json").read_text())["best"]
    assert (found["model"], found["method"], found["plain_fine_tuning"]) == ("anchor", "sft", True)
    student = sweep / "best" / "student"
    assert {path.name for path in student.iterdir()} == {path.name for path in (sweep / "0" / "student").iterdir()} - {
        ".scd_lightning",
        "confidence.json",  # It is measured of what a run reports.
    }
    samples = read_predictions(sweep / "0", "samples")
    given = Student.load(student).predict([each["input"] for each in samples])
    assert [each.answer for each in given] == [row["answer"] for row in read_predictions(sweep / "0", "anchor")]
    card = (student / "README.md").read_text()
    assert "method `sft`" in card
    assert "Plain supervised fine-tuning" in card
    assert "answers are those that were evaluated" in card
    results = read_results(sweep / "0")
    assert f"| **this model** (student) | {results['metrics']['anchor']['accuracy']:.3f} |" in card


def test_what_goes_wrong_is_said_and_fails_no_sweep(sweep, tmp_path, capsys):
    reach(sweep / "0", student=0.1, anchor=0.9)
    before = (sweep / "best" / "best.json").read_bytes()
    for path in (tmp_path / "store").glob(f"anchor-*/{MANIFEST}"):
        path.unlink()
    capsys.readouterr()
    best.leave_best(sweep)
    assert "The best student can't be put into" in (line := said(capsys))
    assert "not in the store any more" in line
    assert (sweep / "best" / "best.json").read_bytes() == before


@pytest.mark.slow
def test_each_task_has_its_own(run_py, tmp_path):
    code, out, error = run_py("-m", "task=ner,classification", "method=sft", "hydra.sweep.dir=sweep", *SWEEP[2:3])
    assert code == 0, error
    lines = out.splitlines()[-2:]
    for task, line in zip(("ner", "classification"), lines, strict=True):
        assert line.startswith(f"best on validation for {task}, the only student: job ")
        assert shlex.split(line)[-2] == str(tmp_path / "sweep" / "best" / task / "student")
        assert json.loads((tmp_path / "sweep" / "best" / task / "best.json").read_text())["task"] == task


def test_a_search_leaves_it_too_without_a_look_at_the_test_split(run_py, tmp_path):
    arguments = ("hparams_search=lr_grid", "task=classification", "budget.stages=1", "hydra.sweep.dir=search", "-m")
    code, out, error = run_py(*arguments, "method=td", "student.optimizer.lr=1e-3,1e30,4e-3")
    assert code == 0, error
    line = out.splitlines()[-1]
    assert line.startswith("best on validation, of 4 students: ")
    assert "left out: job 1 (NotFinite); ask it: " in line
    card = (tmp_path / "search" / "best" / "student" / "README.md").read_text()
    assert "None on test samples" in card
    assert "evaluation" not in {path.name.partition("-")[0] for path in (tmp_path / "store").iterdir()}
    assert Student.load(tmp_path / "search" / "best").predict(["a text"])[0].answer
