import json

import pytest

from scd_lightning.analysis.records import decompositions, metric_names, read_run, verdict
from scd_lightning.errors import StoreError


def outcome(student: float, teacher: float, **more) -> str:
    metrics = {"teacher": {"f1": teacher}, "student": {"f1": student}, **more}
    return verdict({"primary_metric": "f1", "method": "scd", "metrics": metrics})


def test_reads_every_file_of_a_run(full_run):
    record = read_run(full_run)
    assert record.results["method"] == "scd_aw"
    assert record.schedule["best_checkpoint"] == 2
    assert [entry["step"] for entry in record.trajectory] == [100, 200, 300, 400]
    assert set(record.curves) == {"teacher", "anchor", "student"}
    assert {name: len(rows) for name, rows in record.predictions.items()} == dict.fromkeys(record.curves, 300)


def test_files_that_a_method_does_not_make_are_empty(make_run):
    record = read_run(make_run("bare", method="sft"))
    assert (record.costs, record.schedule, record.trajectory, record.curves, record.predictions) == ({}, {}, [], {}, {})


def test_folder_without_results_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not the folder of a finished run"):
        read_run(tmp_path)


def test_broken_prediction_names_its_line(full_run):
    with (full_run / "predictions" / "student.jsonl").open("a") as file:
        file.write("{broken\n")
    with pytest.raises(StoreError, match=r"student\.jsonl:301"):
        read_run(full_run)


def test_line_separator_in_an_answer_ends_no_row(full_run):
    path = full_run / "predictions" / "teacher.jsonl"
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    changed = json.dumps(json.loads(first) | {"answer": "a\u2028b"}, ensure_ascii=False)
    path.write_text(f"{changed}\n{rest}", encoding="utf-8")
    assert read_run(full_run).predictions["teacher"][0]["answer"] == "a\u2028b"


def test_predictions_of_other_samples_are_refused(full_run):
    path = full_run / "predictions" / "anchor.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    with pytest.raises(StoreError, match="not of the same samples"):
        read_run(full_run)


@pytest.mark.parametrize(
    ("student", "teacher", "text"),
    [
        (0.82, 0.8, "beats its teacher on the test split: f1 0.820 against 0.800 (+0.020)"),
        (0.7, 0.8, "does not beat its teacher on the test split: f1 0.700 against 0.800 (-0.100)"),
        (0.8, 0.8, "matches its teacher"),
    ],
)
def test_verdict(student, teacher, text):
    assert text in outcome(student, teacher)


def test_verdict_tells_what_distillation_added_to_the_anchor():
    assert outcome(0.82, 0.8, anchor={"f1": 0.7}).endswith("the anchor, fine-tuned alone, has 0.700 (+0.120).")


def test_verdict_without_a_student():
    text = verdict({"primary_metric": "f1", "method": "sft", "metrics": {"teacher": {"f1": 0.8}}})
    assert text == "No comparison of student and teacher on f1 was recorded."


def test_primary_metric_comes_first(full_run):
    assert metric_names(read_run(full_run).results) == ["f1", "precision", "recall", "malformed"]


def test_decompositions_are_listed_by_model_and_risk(full_run):
    listed = [(model, risk) for model, risk, _ in decompositions(read_run(full_run).results)]
    assert listed == [("student", "loss"), ("student", "error"), ("anchor", "loss"), ("anchor", "error")]
