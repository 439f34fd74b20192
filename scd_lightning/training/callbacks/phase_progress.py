"""How far a training is, as it is told while it runs."""

import time
from contextlib import ExitStack
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning.progress import Bar, bar
from scd_lightning.training.data_module import DomainDataModule
from scd_lightning.training.fine_tuning import FineTuning


class PhaseProgress(Callback):
    """Moves a bar with the optimizer steps of a fit, and says what the training has come to where the bar tells it.

    It looks at a number that a GPU has only then: to wait for it after each step would cost time.

    Args:
        description: What the bar is called.
        total_steps: Optimizer steps of the whole fit.
    """

    def __init__(self, description: str, total_steps: int) -> None:
        self.description, self.total_steps = description, total_steps
        self._shown = ExitStack()
        self._bar: Bar
        self._epoch_steps = 1
        self._epoch_tokens = self._validating = 0.0

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar = self._shown.enter_context(bar(self.description, self.total_steps))

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to count, which may be where an interrupted training goes on."""
        assert isinstance(data := trainer.datamodule, DomainDataModule)  # type: ignore[attr-defined]
        sampler = data.train_sampler()
        self._epoch_steps, self._epoch_tokens = sampler.steps, sum(sampler.first.lengths)
        self._bar.begin(trainer.global_step)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step > self._bar.done:
            self._advance(trainer, pl_module)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validating -= time.perf_counter()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validating += time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tells what the epoch has come to, validated by now; its training loss is the module's to forget later."""
        self._advance(trainer, pl_module, ended=True)

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Removes the row, after an error too."""
        self._shown.close()

    def _advance(self, trainer: Trainer, module: LightningModule, *, ended: bool = False) -> None:
        assert isinstance(module, FineTuning)
        self._bar.advance(trainer.global_step - self._bar.done, lambda: self._facts(trainer, module), ended=ended)

    def _facts(self, trainer: Trainer, module: FineTuning) -> str:
        """Epochs done of how many, this epoch's training loss so far, the last validation, and tokens a second."""
        # As few decimals as it takes: an epoch of 40 steps is not told as 0.0 of them for long.
        found = [f"{trainer.global_step / self._epoch_steps:.1f} of {trainer.max_epochs} epochs"]
        if (loss := _loss(module)) is not None:
            found.append(f"loss {loss:.3f}")
        if (metric := module.last_validation.get("validation_metric")) is not None:
            found.append(f"validation {module.data.validation_metric} {metric:.3f}")
        seconds = self._bar.seconds - self._validating
        if (steps := self._bar.done - self._bar.before) and seconds > 0:
            found.append(f"{steps * self._epoch_tokens / self._epoch_steps / seconds:,.0f} tokens/s")
        return ", ".join(found)


def _loss(module: FineTuning) -> float | None:
    """The training loss of the epoch so far, over this process's samples: to ask the others would have them wait."""
    total, weight = float(module.train_loss.total), float(module.train_loss.weight)
    if weight:
        return total / weight
    return module.curve[-1]["train_loss"] if module.curve else None
