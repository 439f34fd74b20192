"""Lightning trainers for the stages: what users set once, and what the method fixes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy
from torch import nn

from scd_lightning.models.spec import require_at_least

# Precisions of Lightning that hold the weights themselves in another dtype than the model's own.
_WEIGHTS = {"64": torch.float64, "64-true": torch.float64, "bf16-true": torch.bfloat16, "16-true": torch.float16}
M = TypeVar("M", bound=nn.Module)


class TrainerFactory:
    """Makes one trainer for each fit, validation or prediction of a job.

    Args:
        devices: Number of processes on this machine.
        micro_batches: Forward passes that each process makes for one optimizer step (gradient accumulation).
        strategy: "auto", or a maker of a Lightning strategy: a strategy object serves one trainer only.
        num_nodes: Number of machines.
        **options: Any further argument of `lightning.Trainer`.
    """

    def __init__(
        self,
        devices: int = 1,
        micro_batches: int = 1,
        strategy: str | Callable[[], Strategy] = "auto",
        num_nodes: int = 1,
        **options: Any,
    ) -> None:
        require_at_least(1, **{"trainer.devices": devices, "trainer.micro_batches": micro_batches})
        self.devices, self.micro_batches, self.strategy = devices, micro_batches, strategy
        self.num_nodes, self.options = num_nodes, options

    def __call__(
        self,
        *,
        max_epochs: int = 1,
        callbacks: Sequence[Callback] = (),
        loggers: Sequence[Logger] = (),
        **fixed: Any,
    ) -> Trainer:
        """A trainer whose sampler, checkpoints and display are this package's own matter.

        Args:
            max_epochs: Epochs of a fit.
            callbacks: Callbacks of this fit.
            loggers: Loggers; none logs nothing.
            **fixed: Further arguments that win over the user's.
        """
        strategy = self.strategy if isinstance(self.strategy, str) else self.strategy()
        own = {
            "devices": self.devices,
            "num_nodes": self.num_nodes,
            "strategy": strategy,
            "accumulate_grad_batches": self.micro_batches,
            "max_epochs": max_epochs,
            "callbacks": list(callbacks),
            "logger": list(loggers) or False,
            # The batch plan shards; a sampler of Lightning's would shard again.
            "use_distributed_sampler": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
        return Trainer(**{**self.options, **own, **fixed})

    def convert(self, model: M) -> M:
        """The model in the dtype that training leaves its weights in, so that they fit it wherever they are loaded."""
        dtype = _WEIGHTS.get(str(self.options.get("precision")))
        return model if dtype is None else model.to(dtype)
