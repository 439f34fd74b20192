"""Says when a training has begun in earnest."""

from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override


class FirstStep(Callback):
    """Calls something after the first optimizer step of a fit, in the first process.

    Args:
        then: What to call.
    """

    def __init__(self, then: Callable[[], object]) -> None:
        self._then: Callable[[], object] | None = then
        self._start = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self._then is not None and trainer.global_step > self._start:
            then, self._then = self._then, None
            if trainer.is_global_zero:
                then()
