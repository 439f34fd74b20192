"""Metrics as functions of sums over test samples, so that a bootstrap can resample the samples of any of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scd_lightning.analysis.bootstrap import Floats, SampleScores
from scd_lightning.analysis.sample_scores import Rows, exact_scores

_MEANS = {"malformed": "malformed", "exact_match": "correct"}


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric of one model.

    Attributes:
        columns: [S, D], what each sample adds to D sums.
        value: Turns sums [R, D] into the metric [R].
    """

    columns: Floats
    value: Callable[[Floats], Floats]

    @property
    def whole(self) -> float:
        """The metric on all samples."""
        return float(self.value(self.columns.sum(0, keepdims=True))[0])


def statistic(metric: str, rows: Rows, gold: Rows, settings: Mapping[str, Any]) -> Statistic | None:
    """Gives a metric that can be taken from saved rows; None where it can't.

    Args:
        metric: Its name in results.json.
        rows: A model's predictions, S of them.
        gold: The test samples in the same order; may be empty.
        settings: The task's settings: "labels" in their order, and whether they are "ordered".
    """
    if metric in _MEANS:
        values = np.array([row[_MEANS[metric]] == 1 for row in rows], dtype=np.float64)
        return _ratio(values, np.ones_like(values))
    if metric in _OF_LABELS:
        return _OF_LABELS[metric](*_places(rows, settings.get("labels") or ()), bool(settings.get("ordered")))
    scores = exact_scores(metric, rows, gold)
    if scores is None:
        return None
    if metric.endswith(("precision", "recall")):
        return _one_sided(metric, scores, rows, gold)
    return _ratio(scores.hits, scores.weight)


def _one_sided(metric: str, scores: SampleScores, rows: Rows, gold: Rows) -> Statistic:
    """Precision or recall: 0 where only the other side has entities, 1 where neither has."""
    prefix = "string_" if metric.startswith("string_") else ""
    both = exact_scores(f"{prefix}f1", rows, gold)
    assert both is not None

    def value(sums: Floats) -> Floats:
        return np.where(sums[:, 2] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), 1.0)

    return Statistic(np.stack([scores.hits, scores.weight, both.weight], axis=1), value)


def _ratio(hits: Floats, weight: Floats) -> Statistic:
    def value(sums: Floats) -> Floats:
        return np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1e-300), 1.0)

    return Statistic(np.stack([hits, weight], axis=1), value)


def _places(rows: Rows, labels: Sequence[str]) -> tuple[Floats, Floats]:
    """Gold and answered labels as one-hot rows [S, L]; an answer that is no label is a row of zeros."""
    answered = [None if row["malformed"] else row["answer"] for row in rows]
    expected = [row["gold"] for row in rows]
    names = dict.fromkeys([*labels, *expected, *(answer for answer in answered if answer is not None)])
    place = {name: index for index, name in enumerate(names)}
    one_hot = np.vstack([np.eye(len(place)), np.zeros(len(place))])
    return (
        one_hot[[place[label] for label in expected]],
        one_hot[[-1 if answer is None else place[answer] for answer in answered]],
    )


def _macro_f1(gold: Floats, answered: Floats, ordered: bool) -> Statistic:
    labels = gold.shape[1]

    def value(sums: Floats) -> Floats:
        hits, both = sums[:, :labels], sums[:, labels:]
        f1 = 2 * hits / np.maximum(both, 1)
        return f1.sum(1) / np.maximum((both > 0).sum(1), 1)

    return Statistic(np.hstack([gold * answered, gold + answered]), value)


def _kappa(gold: Floats, answered: Floats, ordered: bool) -> Statistic:
    """Cohen's kappa: linear weights where ordered; an answer that is no label is as far away as can be."""
    labels = gold.shape[1]
    place = np.arange(labels)
    distance = np.abs(place[:, None] - place) if ordered else (place[:, None] != place)
    farthest = np.full((labels, 1), max(labels - 1, 1) if ordered else 1)
    distance = np.hstack([distance, farthest]).astype(np.float64)
    every_answer = np.hstack([answered, 1 - answered.sum(1, keepdims=True)])
    apart = ((gold @ distance) * every_answer).sum(1, keepdims=True)

    def value(sums: Floats) -> Floats:
        observed, expected, answers = sums[:, 0], sums[:, 1 : labels + 1], sums[:, labels + 1 :]
        by_chance = ((expected @ distance) * answers).sum(1) / np.maximum(expected.sum(1), 1)
        return np.where(by_chance > 0, 1 - observed / np.where(by_chance > 0, by_chance, 1), 0.0)

    return Statistic(np.hstack([apart, gold, every_answer]), value)


_OF_LABELS = {"macro_f1": _macro_f1, "kappa": _kappa}
