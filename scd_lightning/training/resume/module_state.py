"""What a training module adds to Lightning's state of an unfinished training, and takes back from it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from scd_lightning import distributed

Sums = dict[str, dict[str, Tensor]]


def trained_only(module: nn.Module, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors that training changes: frozen weights are where they came from, and may be gigabytes."""
    trained = {name for name, value in module.named_parameters(remove_duplicate=False) if value.requires_grad}
    return {name: value for name, value in state_dict.items() if name in trained}


def read_sums(metrics: Mapping[str, Metric]) -> list[Sums]:
    """The unfinished sums of each process; all call it together.

    Each process's own, since sums put together in another order would be rounded otherwise.
    """
    own = {
        name: {state: value.detach().cpu() for state, value in _tensors(metric).items()}
        for name, metric in metrics.items()
    }
    return distributed.gather_lists([own])


def write_sums(metrics: Mapping[str, Metric], parts: list[Sums]) -> None:
    """Has metrics go on from the sums of as many processes, or of others."""
    rank = distributed.rank()
    if len(parts) == distributed.world_size():
        parts = [parts[rank]]
    elif rank > 0:
        parts = []
    for name, metric in metrics.items():
        for state, value in _tensors(metric).items():
            value.copy_(sum((part[name][state] for part in parts), torch.zeros_like(value, device="cpu")))


def _tensors(metric: Metric) -> dict[str, Tensor]:
    return {state: value for state, value in metric.metric_state.items() if isinstance(value, Tensor)}
