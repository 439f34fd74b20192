"""Precision, recall and F1 of each label, where the run's task declares how answers count by label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scd_lightning.analysis.records import RunRecord
from scd_lightning.data.spelling import told_apart
from scd_lightning.tasks.measures import ByLabel, Row


@dataclass(frozen=True)
class Scores:
    """One model's scores on one label, 0 where undefined."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class LabelScores:
    """One label.

    Attributes:
        label: Its name, with escapes where another one looks the same.
        support: How often it is the gold one (for entities matched as strings: different strings of a sample).
        models: Model -> its scores.
    """

    label: str
    support: int
    models: dict[str, Scores]


def label_scores(record: RunRecord) -> list[LabelScores]:
    """Scores of every label that occurs in gold or answers, in the task's order; empty where its task declares none."""
    if record.by_label is None or not record.predictions:
        return []
    return scores_of_labels(record.by_label, record.predictions, record.samples)


def scores_of_labels(
    by_label: ByLabel, predictions: Mapping[str, Sequence[Row]], samples: Sequence[Row]
) -> list[LabelScores]:
    """Scores of every label that occurs in gold or answers; empty where rows lack what is asked of them.

    Args:
        by_label: How answers count.
        predictions: Model -> its answers, in the samples' order.
        samples: The samples.
    """
    counted = {}
    for name, rows in predictions.items():
        pairs = by_label.pairs(rows, samples)
        if pairs is None:
            return []
        counted[name] = _count(by_label, pairs)
    _, _, support = next(iter(counted.values()))
    said = {label for _, answered, _ in counted.values() for label in answered}
    order = dict.fromkeys([*by_label.labels, *(label for label, _ in support.most_common()), *sorted(said)])
    shown = told_apart(map(str, order))
    scores = {label: {name: _scores(label, *counts) for name, counts in counted.items()} for label in order}
    return [
        LabelScores(shown[str(label)], support[label], scores[label])
        for label in order
        if label in support or label in said
    ]


def _count(by_label: ByLabel, pairs: Sequence[tuple[Row, Row]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By label: hits, and how often it was answered and expected."""
    hits: Counter[str] = Counter()
    said: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for row, sample in pairs:
        answered, gold = by_label.answered(row, sample), by_label.gold(row, sample)
        hits.update(label for label, *_ in set(answered) & set(gold))
        said.update(label for label, *_ in answered)
        wanted.update(label for label, *_ in gold)
    return hits, said, wanted


def _scores(label: str, hits: Counter[str], said: Counter[str], wanted: Counter[str]) -> Scores:
    return Scores(
        hits[label] / max(said[label], 1),
        hits[label] / max(wanted[label], 1),
        2 * hits[label] / max(said[label] + wanted[label], 1),
    )
