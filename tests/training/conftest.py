"""A small module in training, and a trainer's outside for hooks that are called by hand."""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scd_lightning.training.fine_tuning import FineTuning
from tests.data.conftest import byte_tokenizer, write_folder  # noqa: F401


class StepRecorder(FineTuning):
    """Notes, after each optimizer step, the weights, the learning rate and the age of the optimizer's state."""

    def configure_optimizers(self):
        configured = super().configure_optimizers()
        self.weights, self.rates, self.ages = [], [], []
        configured["optimizer"].register_step_post_hook(self._note)
        return configured

    def _note(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self.weights.append({name: p.detach().clone() for name, p in self.lm.named_parameters()})
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.ages.append({int(state["step"]) for state in optimizer.state.values()})


@pytest.fixture
def make_module(make_job) -> Callable[..., StepRecorder]:
    """A student-sized module of a small job, with its own `job`; batches of 8 of the 48 samples, 6 steps an epoch."""

    def make(*overrides: str, stage_steps: int = 6) -> StepRecorder:
        job = make_job(*overrides)
        module = StepRecorder(job.build(job.student), job.student, job.data, job.tokenizer, job.objective, stage_steps)
        module.job = job
        return module

    return make


@pytest.fixture
def trainer() -> SimpleNamespace:
    """What the callbacks ask a trainer for."""
    return SimpleNamespace(
        precision="32-true",
        current_epoch=0,
        global_step=0,
        sanity_checking=False,
        is_global_zero=True,
        callback_metrics={},
        precision_plugin=SimpleNamespace(forward_context=nullcontext),
        strategy=SimpleNamespace(barrier=lambda: None, batch_to_device=lambda batch: batch),
    )
