"""Keeps the teacher's checkpoints at equal spacing of its optimizer steps."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning.errors import ConfigError
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.sharded import gathered
from scd_lightning.training.fine_tuning import FineTuning


def kept_steps(total_steps: int, checkpoints: int) -> list[int]:
    """Optimizer steps after which a checkpoint is kept: equally spaced, the last step among them.

    Args:
        total_steps: Optimizer steps of the whole fine-tuning.
        checkpoints: Number N of checkpoints.

    Raises:
        ConfigError: There are fewer steps than checkpoints.
    """
    if checkpoints > total_steps:
        raise ConfigError(
            "There are fewer optimizer steps than checkpoints to keep",
            where="teacher.checkpoints",
            got=f"{checkpoints} checkpoints of {total_steps} steps",
            remedy="lower teacher.checkpoints or the batch (teacher.global_batch or teacher.batch_tokens), or raise "
            "teacher.epochs",
        )
    return [round((i + 1) * total_steps / checkpoints) for i in range(checkpoints)]


class Trajectory(Callback):
    """Saves the module's model after the given optimizer steps; process 0 writes.

    Args:
        store: Where to.
        steps: The optimizer steps.
        keep_frozen: Whether frozen weights are stored too; not below adapters, whose base has a name of its own.
    """

    def __init__(self, store: CheckpointStore, steps: list[int], *, keep_frozen: bool) -> None:
        self.store, self.steps, self.keep_frozen = store, set(steps), keep_frozen
        self._saved = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The step that an interrupted training goes on after was saved then, if it was due."""
        self._saved = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Saves after an optimizer step that is due; micro-batches in between do not move the step."""
        step = trainer.global_step
        if step not in self.steps or step == self._saved:
            return
        self._saved = step
        assert isinstance(pl_module, FineTuning)
        self._keep(trainer, pl_module)

    def close(self, trainer: Trainer, module: FineTuning) -> None:
        """After the training: saves what it ended with, where a callback has ended it between two kept steps.

        Not in a hook: a training that goes on from a state saved at its early end has no more of them.
        """
        if trainer.global_step not in self.steps:
            # Lightning leaves a module on the CPU, where parts of a model are not put together.
            self._keep(trainer, module.to(trainer.strategy.root_device))

    def _keep(self, trainer: Trainer, module: FineTuning) -> None:
        module.check_finite()
        weights = gathered(module.lm, keep_frozen=self.keep_frozen)
        if trainer.is_global_zero:
            self.store.save(weights, trainer.global_step, {}, keep_frozen=self.keep_frozen)
        trainer.strategy.barrier()
