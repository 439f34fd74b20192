"""Metrics as functions of sums over samples: exact over batches and processes, and under a bootstrap's draws.

What a sample adds is taken from what a run saves of it, so that a report finds the very metric that was recorded.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scd_lightning.config.definitions import defined_as
from scd_lightning.errors import ConfigError

Floats = NDArray[np.float64]
Row = Mapping[str, Any]
# A label, and what else must be equal for a hit.
LabelKey = tuple[Any, ...]


class OfRows:
    """Something that is taken from predictions as predictions/*.jsonl holds them, and the samples of samples.jsonl."""

    # What a row, and what a sample, must hold.
    of_row: tuple[str, ...] = ()
    of_sample: tuple[str, ...] = ()

    def pairs(self, rows: Sequence[Row], samples: Sequence[Row]) -> list[tuple[Row, Row]] | None:
        """Each row with its sample, S of them; None where what was saved lacks something.

        Args:
            rows: A model's predictions.
            samples: The samples in the same order; may be empty where nothing is asked of them.
        """
        if any(name not in row for row in rows for name in self.of_row):
            return None
        if not samples and not self.of_sample:
            samples = [{}] * len(rows)
        if len(samples) != len(rows) or any(name not in sample for sample in samples for name in self.of_sample):
            return None
        return list(zip(rows, samples, strict=True))


class Measure(OfRows, ABC):
    """A metric of one model; higher is better."""

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
        """What each of S samples adds, [S, D]; None where `pairs` finds none.

        Raises:
            ConfigError: `sums` gives another number of them than `width`.
        """
        pairs = self.pairs(rows, samples)
        if pairs is None:
            return None
        found = [self.sums(row, sample) for row, sample in pairs]
        for each in found:
            if len(each) != self.width:
                raise ConfigError(
                    "A measure adds another number of sums than it says",
                    where=f"{defined_as(self)}.sums",
                    got=f"{len(each)} numbers",
                    expected=f"{self.width}, its width",
                )
        return np.array(found, dtype=np.float64).reshape(len(rows), self.width)


class ByLabel(OfRows, ABC):
    """How answers count label by label, for a table of each label's precision, recall and F1.

    Both sides of a sample are keys that start with their label, as often as they count; equal keys are one hit.
    """

    # What a report calls its table, and the labels that stand first in it.
    title = "Labels"
    labels: Sequence[str] = ()
    # Whether keys name strings of the input, wherever they stand, and not places in it.
    strings = False

    @abstractmethod
    def gold(self, row: Row, sample: Row) -> Sequence[LabelKey]:
        """What was expected of a sample."""

    @abstractmethod
    def answered(self, row: Row, sample: Row) -> Sequence[LabelKey]:
        """What a model answered."""


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
