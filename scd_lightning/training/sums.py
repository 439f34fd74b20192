"""Sums over a whole pass, exact over uneven ranks: one value for each sample, or counts in bins."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric
from typing_extensions import override

# Sums over an epoch need more digits than their terms; Apple's GPUs have no float64.
EXACT = torch.float32 if torch.backends.mps.is_available() else torch.float64


class ExactMetric(Metric):
    """Keeps the dtype of its sums where Lightning moves a module and all in it to half precision."""

    full_state_update = False

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Module:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), exclude_state)


class SampleValues(ExactMetric):
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
        """[S]; NaN for a sample that no process has seen, as where a trainer is told to validate on a part only."""
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


class UnitHistogram(ExactMetric):
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
