"""Scores of a model under draws of its test samples, and what an interval holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scd_lightning.tasks.measures import Floats

LEVEL = 0.95
DRAWS = 2000
# Counts of samples that are drawn at once: 32 MB.
_CELLS = 8_000_000


class Scores(Protocol):
    """A model's metric on S test samples, and its values [R] under R draws of them, the same ones for every model."""

    @property
    def value(self) -> float: ...  # noqa: D102

    @property
    def samples(self) -> int: ...  # noqa: D102

    @property
    def resampled(self) -> Floats: ...  # noqa: D102


@dataclass(frozen=True)
class Interval:
    """A difference and the range in which it lies with the probability `level`.

    Attributes:
        value: The difference itself, a mean over seeds.
        low: The range's lower end.
        high: Its upper end.
        level: 0.95.
        seeds: K, over which the mean was taken; with 1, the range tells nothing about other seeds.
        samples: S, over all test sets.
        by_seed: [K], each seed's difference; empty for the interval of one run.
    """

    value: float
    low: float
    high: float
    level: float
    seeds: int
    samples: int
    by_seed: list[float] = field(default_factory=list)

    @property
    def side(self) -> int:
        """Where the whole range lies: 1 above zero, -1 below it, 0 where it holds zero."""
        return int(self.low > 0) - int(self.high < 0)


def central_range(drawn: Floats) -> tuple[float, float]:
    """The ends of what holds `LEVEL` of the drawn values [R], as much left out below as above."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def drawn_sums(columns: Floats, draws: int) -> Iterator[Floats]:
    """Sums over drawn samples, as many as there are, with replacement; the same draws each time.

    Args:
        columns: [S, D], what each sample adds.
        draws: R, how often to draw.

    Yields:
        [r, D], until there are R in all.
    """
    samples = len(columns)
    rows = max(1, _CELLS // samples)
    for start in range(0, draws, rows):
        counts = _counts(samples, start, min(rows, draws - start))
        yield (counts @ columns.astype(np.float32)).astype(np.float64)


# Every model and metric asks for the same draws, one after another.
@lru_cache(maxsize=4)
def _counts(samples: int, start: int, draws: int) -> NDArray[np.float32]:
    """How often each of the S samples is drawn, in each of some draws from the `start`-th on: [draws, S]."""
    chosen = np.random.default_rng(start).integers(samples, size=(draws, samples))
    places = chosen + samples * np.arange(draws)[:, None]
    return np.bincount(places.ravel(), minlength=draws * samples).reshape(draws, samples).astype(np.float32)
