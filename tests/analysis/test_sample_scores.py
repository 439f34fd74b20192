from typing import Any

import pytest

from scd_lightning.analysis.sample_scores import exact_scores, mean_scores
from scd_lightning.data.judgement import Judgement
from scd_lightning.tasks.entity_metric import Entity, EntityMetric

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


def recorded(metric: str) -> float:
    torchmetric = EntityMetric()
    predicted, expected = ([[Entity(*entity) for entity in each] for each in found] for found in (FOUND, GOLD))
    pairs = zip(predicted, expected, strict=True)
    torchmetric.update([Judgement("", "", "", 0.5, False, *pair) for pair in pairs])
    return float(torchmetric.compute()[metric])


@pytest.mark.parametrize("metric", ["f1", "precision", "recall", "string_f1", "string_precision", "string_recall"])
def test_entity_metrics_are_the_recorded_ones(metric):
    scores = exact_scores(metric, rows(FOUND), rows(GOLD))
    assert scores is not None
    assert scores.value == pytest.approx(recorded(metric), abs=1e-6)


def test_without_entities_there_are_no_entity_scores():
    assert exact_scores("f1", rows(FOUND), []) is None
    assert exact_scores("f1", [{"correct": 0.5}], [{"id": "0"}]) is None


def test_means_need_the_samples_own_scores_alone():
    answers = [{"correct": correct} for correct in (1.0, 1.0, 0.0, 1.0)]
    scores = exact_scores("accuracy", answers, [])
    assert scores is not None
    assert scores.value == mean_scores(answers).value == 0.75
