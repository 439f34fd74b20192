"""Per-sample scores from saved predictions, such that their mean is the metric that was recorded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scd_lightning.analysis.bootstrap import SampleScores

# What is averaged where the primary metric is no mean over samples, such as macro F1.
SAMPLE_SCORE = "sample score"
_MEANS = {"accuracy", "token_f1"}
# Recorded metrics went through float32.
TOLERANCE = 1e-5

Rows = Sequence[Mapping[str, Any]]


def mean_scores(rows: Rows) -> SampleScores:
    """Each sample's own score: right or wrong, or its F1."""
    scores = np.array([row["correct"] for row in rows], dtype=np.float64)
    return SampleScores(scores, np.ones_like(scores))


def exact_scores(metric: str, rows: Rows, gold: Rows) -> SampleScores | None:
    """A metric that is a ratio of sums over samples; None for others, and where the rows lack what it needs."""
    if metric in _MEANS:
        return mean_scores(rows)
    if len(gold) != len(rows) or not all("entities" in row for row in (*rows, *gold)):
        return None
    name = metric.removeprefix("string_")
    if name not in _ENTITY_SUMS:
        return None
    count = _strings if metric.startswith("string_") else _spans
    pairs = zip(rows, gold, strict=True)
    sums = [_ENTITY_SUMS[name](*count(row["entities"], sample["entities"])) for row, sample in pairs]
    hits, weight = np.array(sums, dtype=np.float64).reshape(-1, 2).T
    return SampleScores(hits, weight)


# (hits, answered, expected) -> what a sample adds to numerator and denominator.
_ENTITY_SUMS: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "f1": lambda hits, answered, expected: (2 * hits, answered + expected),
    "precision": lambda hits, answered, expected: (hits, answered),
    "recall": lambda hits, answered, expected: (hits, expected),
}


def _spans(answered: Sequence[Any], gold: Sequence[Any]) -> tuple[int, int, int]:
    """Entities as [label, text, start, end]; one that the text does not have is answered, and never a hit."""
    placed = {(label, start, end) for label, _, start, end in answered if start is not None}
    misplaced = sum(start is None for _, _, start, _ in answered)
    wanted = {(label, start, end) for label, _, start, end in gold}
    return len(placed & wanted), len(placed) + misplaced, len(wanted)


def _strings(answered: Sequence[Any], gold: Sequence[Any]) -> tuple[int, int, int]:
    found, wanted = ({(label, text) for label, text, *_ in entities} for entities in (answered, gold))
    return len(found & wanted), len(found), len(wanted)
