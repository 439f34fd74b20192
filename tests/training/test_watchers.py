"""Callbacks that say they only watch, held to it."""

from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch import callbacks
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import nn

from scd_lightning.errors import ConfigError
from scd_lightning.training.callbacks.watchers import held_to_it, only_watches


class Watcher(Callback):
    """Does what a test has it do, after each backward pass."""

    only_watches = True

    def __init__(self, act: Any) -> None:
        self.act = act

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.act(trainer, pl_module)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        self.act(trainer, pl_module, loss)


class Changer(Watcher):
    """The same, without the promise."""

    only_watches = False


@pytest.fixture
def training():
    """A trainer and a module in the middle of a training."""
    torch.manual_seed(0)
    module = LightningModule()
    # The scale's values are all alike, as a fresh norm's are.
    module.layers = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Dropout())
    setattr(module, "rate", 1.0)  # noqa: B010 - of no layer's type
    module.register_buffer("counts", torch.zeros(2, dtype=torch.bool))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    (module.layers(torch.randn(4, 3)) * torch.randn(4, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.optimizers = [optimizer]
    trainer.strategy.lr_scheduler_configs = [LRSchedulerConfig(scheduler)]
    return trainer, module


CHANGES = {
    "parameters": [
        lambda trainer, module, *_: module.layers[0].weight.data.mul_(2),
        lambda trainer, module, *_: module.layers[1].weight.data.mul_(2),
        lambda trainer, module, *_: module.layers[1].weight.data[0].neg_(),
        lambda trainer, module, *_: module.layers[0].bias.data.fill_(torch.nan),
        lambda trainer, module, *_: module.counts.fill_(1),
    ],
    "gradients": [
        lambda trainer, module, *_: [each.grad.zero_() for each in module.parameters()],
        lambda trainer, module, *_: module.zero_grad(set_to_none=True),
        lambda trainer, module, *_: module.layers[1].weight.grad.mul_(1 + 1e-6),
    ],
    "which parameters are trained": [lambda trainer, module, *_: module.layers[0].requires_grad_(False)],
    "the optimizer's state": [lambda trainer, module, *_: trainer.optimizers[0].state.clear()],
    "the optimizer's settings": [
        lambda trainer, module, *_: trainer.optimizers[0].param_groups[0].update(lr=0.2),
        lambda trainer, module, *_: trainer.optimizers[0].param_groups[0].update(betas=(0.5, 0.9)),
    ],
    "the schedule of the learning rate": [
        lambda trainer, module, *_: trainer.lr_scheduler_configs[0].scheduler.base_lrs.clear(),
    ],
    "the trainer's settings": [
        lambda trainer, module, *_: setattr(trainer.fit_loop, "max_epochs", 1),
        lambda trainer, module, *_: setattr(trainer, "gradient_clip_val", 1e-9),
    ],
    "what the module trains with": [lambda trainer, module, *_: setattr(module, "rate", 2.0)],
    "whether layers are in training mode": [lambda trainer, module, *_: module.eval()],
    "torch's random state": [lambda trainer, module, *_: torch.rand(1)],
    "whether the training goes on": [lambda trainer, module, *_: setattr(trainer, "should_stop", True)],
}


@pytest.mark.parametrize(("what", "act"), [(what, act) for what, acts in CHANGES.items() for act in acts])
def test_a_watcher_that_changes_something_ends_the_run(training, what, act):
    trainer, module = training
    with pytest.raises(ConfigError, match=rf"Watcher\.on_before_optimizer_step.*Got: changed: .*{what}.*Remedy"):
        held_to_it(Watcher(act)).on_before_optimizer_step(trainer, module, trainer.optimizers[0])


def test_a_watcher_that_changes_the_loss_ends_the_run(training):
    trainer, module = training
    watcher = held_to_it(Watcher(lambda trainer, module, loss: loss.data.zero_()))
    with pytest.raises(ConfigError, match="changed: the loss or the batch"):
        watcher.on_before_backward(trainer, module, torch.ones((), requires_grad=True))


def test_one_that_watches_does_so(training):
    trainer, module = training
    seen = []

    def look(trainer: Any, module: Any) -> None:
        # NaN is not equal to itself, and is no change.
        seen.append([each.grad.norm().item() for each in module.parameters()])
        with torch.random.fork_rng():
            torch.rand(3)

    module.layers[0].bias.data.fill_(torch.nan)
    held_to_it(Watcher(look)).on_before_optimizer_step(trainer, module, trainer.optimizers[0])
    assert len(seen) == 1


def test_one_that_promises_nothing_is_left_alone(training):
    trainer, module = training
    held_to_it(Changer(lambda trainer, module: module.zero_grad())).on_before_optimizer_step(trainer, module, None)
    assert module.layers[0].weight.grad is None


def test_which_of_lightning_s_own_only_watch():
    watching = {name for name in callbacks.__all__ if only_watches(getattr(callbacks, name), {"duration": "00:01"})}
    # The others change weights, gradients, rates, batches or the length of a training, or do what they are given.
    assert set(callbacks.__all__) - watching == {
        *("BackboneFinetuning", "BaseFinetuning", "BasePredictionWriter", "BatchSizeFinder", "Callback"),
        *("EMAWeightAveraging", "EarlyStopping", "GradientAccumulationScheduler", "LambdaCallback"),
        *("LearningRateFinder", "ModelPruning", "SpikeDetection", "StochasticWeightAveraging", "Timer"),
        "WeightAveraging",
    }
    assert only_watches(callbacks.Timer, {})


@pytest.mark.parametrize("kind", [Changer, type("Derived", (callbacks.LearningRateMonitor,), {}), dict, len])
def test_others_may_change_a_training(kind):
    assert not only_watches(kind, {})
