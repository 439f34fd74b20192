"""From which confidence on answers are right often enough, as far as rows with labels can prove it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from scd_lightning.analysis.confidence.proven_precision import least_rows, precision_bound
from scd_lightning.analysis.confidence.units import Units

# How many thresholds are tried at most, and how many units the highest one takes.
_TRIED, _FEWEST = 30, 5


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
        best: The highest precision that could be proven.
        needed: The least number of units without an error that would prove the level.
    """

    level: float
    threshold: float | None
    checked: Accepted
    best: float
    needed: int


def tried(tuned: Units, checked: Units) -> list[tuple[float, Accepted]]:
    """Thresholds from the top, whatever level is asked for, and what each takes of the units that are checked.

    Args:
        tuned: Units with labels, by which it is decided what is tried: first the threshold where these prove most, as
            others will then, too.
        checked: Others with labels, which are independent of those.
    """
    ordered = np.sort(tuned.probability)[::-1]
    if not len(ordered):
        return []
    counts = np.unique(np.linspace(min(_FEWEST, len(ordered)), len(ordered), _TRIED).astype(int))
    thresholds = list(dict.fromkeys(float(ordered[count - 1]) for count in counts))
    proven = [accepted(tuned, each).at_least for each in thresholds]
    return [(each, accepted(checked, each)) for each in thresholds[int(np.argmax(proven)) :]]


def find_threshold(level: float, sequence: Sequence[tuple[float, Accepted]]) -> Found:
    """The lowest threshold at which a precision is proven, by fixed-sequence testing from the top.

    Thresholds are tried in an order that was fixed before (Angelopoulos et al. 2021, "Learn then Test"): each is a null
    hypothesis, "the precision is below the level", and the first that can't be rejected ends the sequence. So all that
    are rejected are right together with 95 % confidence, however many are tried.

    Args:
        level: The precision.
        sequence: As `tried` gives it.
    """
    proven = list(takewhile(lambda each: each[1].at_least >= level, sequence))
    first = sequence[0][1] if sequence else Accepted(0, 0.0, None, 0.0)
    threshold, checked = proven[-1] if proven else (None, first)
    return Found(level, threshold, checked, first.at_least, least_rows(level))


def accepted(units: Units, threshold: float) -> Accepted:
    """What a threshold takes of units."""
    found = units.where(units.probability >= threshold)
    right = float(found.right.mean()) if len(found) else None
    return Accepted(len(found), len(found) / len(units) if len(units) else 0.0, right, precision_bound(found))
