"""The precision that counted answers prove, at the least."""

import math
from functools import lru_cache

import numpy as np

from scd_lightning.analysis.bootstrap import DRAWS, drawn_sums
from scd_lightning.analysis.confidence.units import Units
from scd_lightning.tasks.measures import Floats

# One-sided: the probability that a bound is above the truth.
ALPHA = 0.05
_STEPS = 60


def exact_bound(right: int, count: int) -> float:
    """The one-sided lower 95 % bound of a share by Clopper and Pearson (1934, "The use of confidence limits").

    Args:
        right: How many.
        count: Of how many independent ones.

    >>> round(exact_bound(59, 59), 4), round(exact_bound(90, 100), 4), exact_bound(0, 5)
    (0.9505, 0.8363, 0.0)
    """
    if right == 0:
        return 0.0
    low, high = 0.0, right / count
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _upper_tail(right, count, middle) < ALPHA else (low, middle)
    return low


def least_rows(level: float) -> int:
    """With fewer answers, none of which is wrong, a precision can't be proven.

    >>> [least_rows(level) for level in (0.8, 0.9, 0.95, 0.99)]
    [14, 29, 59, 299]
    """
    return math.ceil(math.log(ALPHA) / math.log(level))


def precision_bound(units: Units) -> float:
    """The one-sided lower 95 % bound of the share of units that is right; 0 where there are none.

    Units of one text are not independent. Where a text has several, texts are drawn anew (bootstrap); and since such
    draws say nothing where all are right, the bound is at most the exact one for as many answers as there are texts.
    """
    count, texts = len(units), units.texts
    if not count:
        return 0.0
    exact = exact_bound(math.floor(float(units.right.mean()) * texts + 1e-9), texts)
    return exact if count == texts else min(exact, _drawn_bound(units, texts))


def _drawn_bound(units: Units, texts: int) -> float:
    _, place = np.unique(units.text, return_inverse=True)
    columns = np.stack([np.bincount(place, units.right, texts), np.bincount(place, minlength=texts)], axis=1)
    right, count = np.concatenate(list(drawn_sums(columns.astype(np.float64), DRAWS))).T
    return float(np.quantile(right / count, ALPHA))


def _upper_tail(right: int, count: int, share: float) -> float:
    """P(X >= right) of a binomial distribution."""
    k = np.arange(right, count + 1)
    of = _log_factorials(count)
    log = of[count] - of[k] - of[count - k] + k * math.log(share) + (count - k) * math.log1p(-share)
    return float(np.exp(log).sum())


@lru_cache(maxsize=64)
def _log_factorials(count: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
