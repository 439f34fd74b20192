"""A training's row in the shared progress display."""

from contextlib import AbstractContextManager
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
        self._context: AbstractContextManager[Bar] | None = None
        self._bar: Bar | None = None
        self._done = 0

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._context = bar(self.description, self.total_steps)
        self._bar = self._context.__enter__()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the steps that were made before an interruption."""
        if self._bar is not None and trainer.global_step:
            self._bar.advance(trainer.global_step, note=f"epoch {trainer.current_epoch}")
        self._done = trainer.global_step

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None and trainer.global_step > self._done:
            self._bar.advance(trainer.global_step - self._done, note=f"epoch {trainer.current_epoch}")
            self._done = trainer.global_step

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Removes the row, after an error too."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None
