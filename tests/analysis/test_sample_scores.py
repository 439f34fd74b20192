from typing import Any

import pytest

from scd_lightning.analysis.sample_scores import SAMPLE_SCORE, primary_scores
from scd_lightning.metrics.judgement import Judgement
from scd_lightning.metrics.ner import Entity, EntityMetric

GOLD: list[Any] = [
    [["DRUG", "aspirin", 0, 7], ["DRUG", "aspirin", 20, 27]],
    [],
    [["PAIN", "ache", 3, 7]],
    [["PAIN", "x", 0, 1]],
]
FOUND: list[Any] = [
    [["DRUG", "aspirin", 0, 7], ["DRUG", "nothing", None, None]],
    [],
    [["DRUG", "ache", 3, 7], ["PAIN", "ache", 3, 7]],
    [],
]


def rows(entities) -> list[dict]:
    return [{"correct": 0.5, "entities": each} for each in entities]


def recorded(metric: str) -> dict:
    torchmetric = EntityMetric()
    predicted, expected = ([[Entity(*entity) for entity in each] for each in found] for found in (FOUND, GOLD))
    pairs = zip(predicted, expected, strict=True)
    torchmetric.update([Judgement("", "", "", 0.5, False, *pair) for pair in pairs])
    values = {name: float(value) for name, value in torchmetric.compute().items()}
    return {"primary_metric": metric, "metrics": {"student": values}}


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "string_f1", "string_precision", "string_recall"])
def test_entity_metrics_are_the_recorded_ones(metric):
    results = recorded(metric)
    name, scores = primary_scores(results, "student", rows(FOUND), rows(GOLD))
    assert name == metric
    assert scores.value == pytest.approx(results["metrics"]["student"][metric], abs=1e-6)


def test_without_entities_the_samples_own_scores_stand_in():
    name, scores = primary_scores(recorded("f1"), "student", rows(FOUND))
    assert (name, scores.value) == (SAMPLE_SCORE, 0.5)


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [("accuracy", 0.75, "accuracy"), ("accuracy", 0.7, SAMPLE_SCORE), ("macro_f1", 0.75, SAMPLE_SCORE)],
    ids=["a mean", "not what was recorded", "no mean over samples"],
)
def test_choice_metrics(metric, value, expected):
    answers = [{"correct": correct} for correct in (1.0, 1.0, 0.0, 1.0)]
    results = {"primary_metric": metric, "metrics": {"teacher": {metric: value}}}
    name, scores = primary_scores(results, "teacher", answers)
    assert (name, scores.value) == (expected, 0.75)
