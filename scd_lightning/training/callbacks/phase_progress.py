"""A training's row in the shared progress display."""

from contextlib import ExitStack
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning.progress import Bar, bar


class PhaseProgress(Callback):
    """Moves a bar with the optimizer steps of a fit.

    Args:
        description: What the row says.
        total_steps: Optimizer steps of the whole fit.
    """

    def __init__(self, description: str, total_steps: int) -> None:
        self.description, self.total_steps = description, total_steps
        self._shown = ExitStack()
        self._bar: Bar
        self._done = 0

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar = self._shown.enter_context(bar(self.description, self.total_steps))

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the steps that were made before an interruption."""
        if trainer.global_step:
            self._bar.advance(trainer.global_step, note=f"epoch {trainer.current_epoch}")
        self._done = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step > self._done:
            self._bar.advance(trainer.global_step - self._done, note=f"epoch {trainer.current_epoch}")
            self._done = trainer.global_step

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Removes the row, after an error too."""
        self._shown.close()
