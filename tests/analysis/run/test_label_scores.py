import pytest
from sklearn.metrics import precision_recall_fscore_support

from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.label_scores import label_scores
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.tasks.task import Task


def record(
    task: type[Task] | None,
    rows: list[dict],
    settings: dict | None,
    samples: list[dict] | None = None,
    metric: str = "accuracy",
) -> RunRecord:
    results = {"primary_metric": metric, "metrics": {"teacher": {metric: 0.5}}, "data": {"settings": settings}}
    return RunRecord(results, {}, {}, [], {}, {"teacher": rows, "student": rows}, samples or [], {}, task=task)


def test_classes_are_scored_as_scikit_learn_has_it():
    gold = ["b", "a", "a", "c", "b", "a", "c", "b"]
    said = ["b", "a", "b", "a", "b", "a", "odd", "d"]
    rows = [
        {"gold": wanted, "answer": answer, "malformed": answer == "odd"}
        for wanted, answer in zip(gold, said, strict=True)
    ]
    found = label_scores(record(Classification, rows, {"labels": ["c", "b", "a", "d", "never"]}))
    assert [row.label for row in found] == ["c", "b", "a", "d"]
    expected = precision_recall_fscore_support(gold, said, labels=["c", "b", "a", "d"], zero_division=0)
    for index, row in enumerate(found):
        ours = row.models["student"]
        assert (ours.precision, ours.recall, ours.f1, row.support) == pytest.approx([part[index] for part in expected])


def test_labels_that_look_the_same_are_told_apart():
    """As runs have saved them that compared labels character by character."""
    names = ["Caf\u00e9", "Cafe\u0301", "Tea"]
    rows = [{"gold": name, "answer": "Tea", "malformed": False} for name in names]
    found = label_scores(record(Classification, rows, {"labels": names}))
    assert [(row.label, row.support) for row in found] == [("Caf\\xe9", 1), ("Cafe\\u0301", 1), ("Tea", 1)]


GOLD = [{"entities": [["P", "Ann", 0, 3], ["P", "Ann", 9, 12], ["L", "Rome", 20, 24]]}]
SAID = [{"entities": [["P", "Ann", 0, 3], ["P", "Rome", 20, 24], ["L", "Paris", None, None], ["L", "Rome", 20, 24]]}]


def test_types_of_entities_by_span():
    people, places = label_scores(record(NER, SAID, {"match": "spans"}, GOLD, "f1"))
    assert (people.label, people.support, people.models["teacher"].f1) == ("P", 2, 0.5)
    assert (places.label, places.support, places.models["teacher"].precision) == ("L", 1, 0.5)
    assert places.models["teacher"].recall == 1


def test_types_of_entities_by_string():
    people, places = label_scores(record(NER, SAID, {"match": "strings"}, GOLD, "string_f1"))
    assert (people.label, people.support, people.models["teacher"].recall) == ("P", 1, 1)
    assert places.models["teacher"].f1 == pytest.approx(2 / 3)


def test_free_answers_have_no_labels():
    assert label_scores(record(QA, CHOSEN, {}, metric="token_f1")) == []


CHOSEN = [{"gold": "x", "answer": "x", "malformed": False}]


class Unlabelled(Classification):
    """A task from outside, which declares no labels."""

    task = "unlabelled"

    @classmethod
    def by_label(cls, settings, primary_metric):
        return None


@pytest.mark.parametrize("task", [None, Unlabelled])
def test_a_task_that_declares_no_labels_has_none_whatever_its_rows_hold(task):
    assert label_scores(record(task, CHOSEN, {"labels": ["x"]})) == []


@pytest.mark.parametrize("task", [Classification, QA])
@pytest.mark.parametrize("settings", [None, {}, {"labels": ["y"]}])
def test_labels_that_the_settings_lack_are_counted_nevertheless(task, settings):
    (found,) = label_scores(record(task, CHOSEN, settings))
    assert (found.label, found.support, found.models["student"].f1) == ("x", 1, 1)


@pytest.mark.parametrize(("task", "samples"), [(Classification, None), (NER, None), (NER, GOLD)])
def test_rows_that_lack_what_is_counted_have_no_table(task, samples):
    assert label_scores(record(task, [{"answer": "x", "gold": "x"}], {}, samples)) == []
