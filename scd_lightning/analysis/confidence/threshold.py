"""From which confidence on answers are right often enough, as far as rows with labels can prove it."""

import math
from dataclasses import dataclass

import numpy as np

from scd_lightning.analysis.confidence.bounds import least_rows, precision_bound
from scd_lightning.analysis.confidence.units import Units

# How many thresholds are tried at most.
_TRIED = 20


@dataclass(frozen=True)
class Accepted:
    """The units from a threshold on.

    Attributes:
        count: How many.
        share: Of all, how large a part.
        right: The share of them that is right; None where there are none.
        at_least: What that share is at the least, with one-sided 95 % confidence.
    """

    count: int
    share: float
    right: float | None
    at_least: float


@dataclass(frozen=True)
class Found:
    """What a precision that was asked for takes.

    Attributes:
        level: It.
        threshold: The probability from which on answers are taken; None where it can't be proven of any.
        checked: The units on which it was proven; where it can't be, those from the first threshold that was tried.
        needed: The least number of units without an error that would prove it.
    """

    level: float
    threshold: float | None
    checked: Accepted
    needed: int


def find_threshold(level: float, tuned: Units, checked: Units) -> Found:
    """The lowest threshold at which a precision is proven, by fixed-sequence testing from the top.

    Thresholds are tried in an order that was fixed before (Angelopoulos et al. 2021, "Learn then Test"): each is a null
    hypothesis, "the precision is below the level", and the first that can't be rejected ends the sequence. So all that
    are rejected are right together with 95 % confidence, however many are tried.

    Args:
        level: The precision.
        tuned: Units with labels, by which it is decided where the sequence begins, and what is tried.
        checked: Others with labels, which are independent of those.
    """
    first, threshold, proven = None, None, None
    for each in _sequence(tuned, least_rows(level)):
        found = accepted(checked, each)
        first = first or found
        if found.at_least < level:
            break
        threshold, proven = each, found
    return Found(level, threshold, proven or first or accepted(checked, math.inf), least_rows(level))


def accepted(units: Units, threshold: float) -> Accepted:
    """What a threshold takes of units."""
    found = units.where(units.probability >= threshold)
    right = float(found.right.mean()) if len(found) else None
    return Accepted(len(found), len(found) / len(units) if len(units) else 0.0, right, precision_bound(found))


def _sequence(tuned: Units, least: int) -> list[float]:
    """Thresholds from the top; the first is where these units prove most, which others will then, too."""
    ordered = np.sort(tuned.probability)[::-1]
    if not len(ordered):
        return []
    counts = np.unique(np.linspace(min(least, len(ordered)), len(ordered), _TRIED).astype(int))
    thresholds = list(dict.fromkeys(float(ordered[count - 1]) for count in counts))
    proven = [accepted(tuned, each).at_least for each in thresholds]
    return thresholds[int(np.argmax(proven)) :]
