"""Sums over a whole pass, exact over uneven ranks: of values, of each sample's, in bins, and of a task's measures."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric
from typing_extensions import override

from scd_lightning.tasks.measures import Measure, Row

# Sums over an epoch need more digits than their terms; Apple's GPUs have no float64.
EXACT = torch.float32 if torch.backends.mps.is_available() else torch.float64


class ExactMetric(Metric):
    """Keeps the dtype of its sums where Lightning moves a module and all in it to half precision."""

    full_state_update = False

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Module:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), exclude_state)


class VectorMetric(ExactMetric):
    """Gives a vector, of any length: `compute` alone gives one of length 1 as a scalar, which is torchmetrics' way."""

    def vector(self) -> Tensor:
        """What `compute` describes, always in one dimension."""
        found: Tensor = self.compute()
        return found.reshape(-1)


class SampleValues(VectorMetric):
    """Keeps each sample's value, in the order of its split; the ranks' shares are put together.

    Args:
        samples: Size S of the split.
        dtype: Of the values.
    """

    values: Tensor
    seen: Tensor

    def __init__(self, samples: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.add_state("values", torch.zeros(samples, dtype=dtype), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(samples, dtype=torch.long), dist_reduce_fx="sum")

    @override
    def update(self, values: Tensor, index: Tensor, weight: Tensor) -> None:
        """Takes values [B] of the samples at index [B]; those of weight [B] 0 only pad the batch and are left out."""
        self.values.index_add_(0, index, torch.where(weight > 0, values.to(self.values.dtype), 0))
        self.seen.index_add_(0, index, (weight > 0).long())

    @override
    def compute(self) -> Tensor:
        """[S]; NaN for a sample that no process has seen."""
        return self.values.masked_fill(self.seen == 0, torch.nan)


class WeightedMean(ExactMetric):
    """The mean over a pass. Torchmetrics' own looks for NaN in each batch, which waits for a GPU, and leaves it out."""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=EXACT), dist_reduce_fx="sum")

    @override
    def update(self, values: Tensor, weight: Tensor) -> None:
        """Takes values [B]; those of weight [B] 0 only pad the batch and are left out, whatever they are."""
        weight = weight.to(self.total.dtype)
        self.total += torch.where(weight > 0, values.to(weight.dtype) * weight, 0).sum()
        self.weight += weight.sum()

    @override
    def compute(self) -> Tensor:
        """A scalar; NaN where nothing was seen."""
        return self.total / self.weight


class UnitHistogram(VectorMetric):
    """Counts values in equal bins of [0, 1].

    Args:
        bins: Number of bins; 1 itself falls into the last.
    """

    counts: Tensor

    def __init__(self, bins: int = 20) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(bins, dtype=torch.long), dist_reduce_fx="sum")

    @override
    def update(self, values: Tensor, weight: Tensor) -> None:
        """Counts values [B]; those of weight [B] 0 only pad the batch and are left out."""
        bins = len(self.counts)
        places = (values * bins).long().clamp(0, bins - 1)
        self.counts.index_add_(0, places, (weight > 0).long())

    @override
    def compute(self) -> Tensor:
        """[bins], whole numbers."""
        return self.counts.clone()


class TaskMetric(ExactMetric):
    """Adds up what samples add to the sums of measures; exact over batches and processes.

    Args:
        measures: The measures by name.
    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        super().__init__()
        self.measures = dict(measures)
        for name, measure in self.measures.items():
            self.add_state(f"sums_of_{name}", torch.zeros(measure.width, dtype=EXACT), dist_reduce_fx="sum")

    @override
    def update(self, rows: Sequence[Row], samples: Sequence[Row]) -> None:
        """Takes judged answers, as `Judgement.row` has them, and their samples, as `Task.describe` has them."""
        for name, measure in self.measures.items():
            columns = measure.columns(rows, samples)
            assert columns is not None, f"{name} lacks something of an answer or a sample"
            state = getattr(self, f"sums_of_{name}")
            state += torch.from_numpy(columns.sum(0)).to(state)

    @override
    def compute(self) -> dict[str, Tensor]:
        """The metrics by name, float32 scalars."""
        sums = {name: getattr(self, f"sums_of_{name}").double().cpu().numpy()[None] for name in self.measures}
        return {name: torch.tensor(each.value(sums[name])[0]).float() for name, each in self.measures.items()}
