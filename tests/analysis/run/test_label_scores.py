import pytest
from sklearn.metrics import precision_recall_fscore_support

from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.label_scores import label_scores


def record(rows: list[dict], settings: dict, samples: list[dict] | None = None, metric: str = "accuracy") -> RunRecord:
    results = {"primary_metric": metric, "metrics": {"teacher": {metric: 0.5}}, "data": {"settings": settings}}
    return RunRecord(results, {}, {}, [], {}, {"teacher": rows, "student": rows}, samples or [], {})


def test_classes_are_scored_as_scikit_learn_has_it():
    gold = ["b", "a", "a", "c", "b", "a", "c", "b"]
    said = ["b", "a", "b", "a", "b", "a", "odd", "d"]
    rows = [
        {"gold": wanted, "answer": answer, "malformed": answer == "odd"}
        for wanted, answer in zip(gold, said, strict=True)
    ]
    found = label_scores(record(rows, {"labels": ["c", "b", "a", "d", "never"]}))
    assert [row.label for row in found] == ["c", "b", "a", "d"]
    expected = precision_recall_fscore_support(gold, said, labels=["c", "b", "a", "d"], zero_division=0)
    for index, row in enumerate(found):
        ours = row.models["student"]
        assert (ours.precision, ours.recall, ours.f1, row.support) == pytest.approx([part[index] for part in expected])


GOLD = [{"entities": [["P", "Ann", 0, 3], ["P", "Ann", 9, 12], ["L", "Rome", 20, 24]]}]
SAID = [{"entities": [["P", "Ann", 0, 3], ["P", "Rome", 20, 24], ["L", "Paris", None, None], ["L", "Rome", 20, 24]]}]


def test_types_of_entities_by_span():
    people, places = label_scores(record(SAID, {"match": "spans"}, GOLD, "f1"))
    assert (people.label, people.support, people.models["teacher"].f1) == ("P", 2, 0.5)
    assert (places.label, places.support, places.models["teacher"].precision) == ("L", 1, 0.5)
    assert places.models["teacher"].recall == 1


def test_types_of_entities_by_string():
    people, places = label_scores(record(SAID, {"match": "strings"}, GOLD, "string_f1"))
    assert (people.label, people.support, people.models["teacher"].recall) == ("P", 1, 1)
    assert places.models["teacher"].f1 == pytest.approx(2 / 3)


def test_free_answers_have_no_labels():
    assert label_scores(record([{"gold": "x", "answer": "x", "malformed": False}], {}, metric="token_f1")) == []
