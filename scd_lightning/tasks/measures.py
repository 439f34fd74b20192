"""Metrics as functions of sums over samples: exact over batches and processes, and under a bootstrap's draws.

What a sample adds is taken from what a run saves of it, so that a report finds the very metric that was recorded.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Row = Mapping[str, Any]


class Measure(ABC):
    """A metric of one model; higher is better.

    Rows are predictions as predictions/*.jsonl holds them, samples those of samples.jsonl.
    """

    # What a row, and what a sample, must hold.
    of_row: tuple[str, ...] = ()
    of_sample: tuple[str, ...] = ()

    @property
    @abstractmethod
    def width(self) -> int:
        """D, the number of sums."""

    @abstractmethod
    def sums(self, row: Row, sample: Row) -> Sequence[float]:
        """What a sample adds to the sums, [D]."""

    @abstractmethod
    def value(self, sums: Floats) -> Floats:
        """Turns sums [R, D] into the metric [R]."""

    def columns(self, rows: Sequence[Row], samples: Sequence[Row]) -> Floats | None:
        """What each of S samples adds, [S, D]; None where what was saved lacks something.

        Args:
            rows: A model's predictions.
            samples: The samples in the same order; may be empty where the metric asks nothing of them.
        """
        if any(name not in row for row in rows for name in self.of_row):
            return None
        if not samples and not self.of_sample:
            samples = [{}] * len(rows)
        if len(samples) != len(rows) or any(name not in sample for sample in samples for name in self.of_sample):
            return None
        found = [self.sums(row, sample) for row, sample in zip(rows, samples, strict=True)]
        return np.array(found, dtype=np.float64).reshape(len(rows), self.width)


class Ratio(Measure):
    """A metric that is one sum over another; 0 where there is nothing."""

    width = 2

    def value(self, sums: Floats) -> Floats:
        """The first sum over the second."""
        return sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], 1)


@dataclass(frozen=True)
class Mean(Ratio):
    """The mean of a number, or the share of samples for which something holds.

    Attributes:
        field: Where a row has it.
    """

    field: str

    @property
    def of_row(self) -> tuple[str, ...]:  # type: ignore[override]
        """The field."""
        return (self.field,)

    def sums(self, row: Row, sample: Row) -> tuple[float, float]:
        """The number, and 1."""
        return float(row[self.field]), 1.0
