"""Probabilities that say how often answers are right, from those that a model gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_lightning.analysis.confidence.units import Units
from scd_lightning.tasks.measures import Floats

BINS = 10
_STEPS = 50
# Slopes: from a model that is a hundred times too sure to one that is a hundred times too modest.
_FLATTEST, _STEEPEST = 0.01, 100.0
# What float32 makes of a probability that is next to 1 says no more than this.
_EDGE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A confidence is sigmoid(logit(probability) / temperature + shift), which leaves the order of answers as it is.

    Attributes:
        temperature: Above 1 for a model that is too sure.
        shift: 0 for answers that are chosen among candidates; a text or an entity may be written in several ways, each
            with a share of its probability, so that a model may be too modest of all.
    """

    temperature: float = 1.0
    shift: float = 0.0

    def of(self, probability: Floats) -> Floats:
        """The confidence of each probability [N]."""
        return _sigmoid(_logit(probability) / self.temperature + self.shift)


def calibrate(units: Units, *, chosen: bool) -> Calibration:
    """The calibration under which these units are most likely (Platt 1999).

    With his targets: no unit is quite right or wrong, so that where all of a few are right, no more is made of that.

    Args:
        units: N answers, on which nothing else is decided.
        chosen: Whether they are chosen among candidates: then there is a temperature alone (Guo et al. 2017).
    """
    wrong, right = float((1 - units.right).sum()), float(units.right.sum())
    if not len(units):
        return Calibration()
    target = np.where(units.right > 0, (right + 1) / (right + 2), 1 / (wrong + 2))
    logits = _logit(units.probability)
    ones = np.ones((len(units), 1))
    columns = logits[:, None] if chosen else np.hstack([logits[:, None], ones])
    slope = float(np.clip(_fit(columns, target)[0], _FLATTEST, _STEEPEST))
    # The shift that goes with the slope taken, where that is not the one found.
    shift = 0.0 if chosen else float(_fit(ones, target, offset=slope * logits)[0])
    return Calibration(1 / slope, shift)


def _fit(columns: Floats, target: Floats, offset: Floats | float = 0.0) -> Floats:
    """Weights [D] of a logistic regression of targets [N] on columns [N, D], by Newton's method.

    Args:
        columns: What is weighted.
        target: In 0 to 1.
        offset: What is added to all that is weighted: [N], or one for all.
    """
    weights = np.zeros(columns.shape[1])
    weights[0] = 1.0
    for _ in range(_STEPS):
        found = _sigmoid(columns @ weights + offset)
        gradient = columns.T @ (found - target)
        curvature = (columns.T * (found * (1 - found))) @ columns + 1e-6 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        # A step too far is halved: the loss is convex.
        while _loss(columns @ (weights - step) + offset, target) > _loss(columns @ weights + offset, target) + 1e-12:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _loss(logits: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, logits) - target * logits).sum())


@dataclass(frozen=True)
class Bin:
    """Units of like confidence.

    Attributes:
        count: How many.
        confidence: Their mean.
        right: The share of them that is right.
    """

    count: int
    confidence: float
    right: float


def bins(confidence: Floats, right: Floats) -> list[Bin]:
    """Units [N] in ten equal ranges of their confidence; empty ranges are left out."""
    place: NDArray[np.int64] = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    chosen = [place == number for number in range(BINS)]
    return [Bin(int(c.sum()), float(confidence[c].mean()), float(right[c].mean())) for c in chosen if c.any()]


def calibration_error(found: Sequence[Bin]) -> float:
    """ECE: the mean distance between confidence and share right, over units."""
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.confidence - each.right) for each in found) / total if total else 0.0


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))
