"""Metrics of saved runs, on all test samples and under draws of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scd_lightning.analysis.bootstrap import DRAWS, drawn_sums
from scd_lightning.analysis.records import RunRecord
from scd_lightning.tasks.measures import Floats, Mean, Measure

# What is averaged where a metric can't be taken from saved rows.
SAMPLE_SCORE = "sample score"
# Recorded metrics went through float32.
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric of one model, as `paired_interval` takes it.

    Attributes:
        measure: The metric.
        columns: [S, D], what each sample adds to its sums.
    """

    measure: Measure
    columns: Floats

    @property
    def value(self) -> float:
        """The metric on all samples."""
        return float(self.measure.value(self.columns.sum(0, keepdims=True))[0])

    @property
    def samples(self) -> int:
        """S, their number."""
        return len(self.columns)

    @cached_property
    def resampled(self) -> Floats:
        """The metric [R] under R draws of the samples, which are the same ones for every model."""
        return np.concatenate([self.measure.value(sums) for sums in drawn_sums(self.columns, DRAWS)])


def statistic(record: RunRecord, model: str, metric: str) -> Statistic | None:
    """A metric as the run's task declares it; None where the saved rows don't give the recorded value.

    Args:
        record: The run.
        model: teacher, anchor or student.
        metric: Its name in results.json.
    """
    recorded = record.results["metrics"].get(model, {}).get(metric)
    measure = record.measures.get(metric)
    if recorded is None or measure is None:
        return None
    columns = measure.columns(record.predictions[model], record.samples)
    found = None if columns is None else Statistic(measure, columns)
    return None if found is None or abs(found.value - recorded) >= _TOLERANCE else found


def sample_score(rows: Sequence[Mapping[str, Any]]) -> Statistic:
    """The mean of the samples' own scores, which every run has: right or wrong, or an F1."""
    measure = Mean("correct")
    columns = measure.columns(rows, [])
    assert columns is not None
    return Statistic(measure, columns)
