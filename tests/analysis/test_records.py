import json

import pytest

from scd_lightning.analysis.records import decompositions, evaluated_split, metric_names, read_run
from scd_lightning.errors import StoreError


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


def test_runs_that_do_not_say_so_were_evaluated_on_the_test_split():
    assert evaluated_split({}) == "test"
    assert evaluated_split({"evaluated_split": "validation"}) == "validation"


def test_primary_metric_comes_first(full_run):
    assert metric_names(read_run(full_run).results) == ["f1", "precision", "recall", "malformed"]


def test_decompositions_are_listed_by_model_and_risk(full_run):
    listed = [(model, risk) for model, risk, _ in decompositions(read_run(full_run).results)]
    assert listed == [("student", "loss"), ("student", "error"), ("anchor", "loss"), ("anchor", "error")]
