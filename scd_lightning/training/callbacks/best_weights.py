"""Keeps a student's best weights: highest validation metric, then lowest loss, then the later epoch."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.layout import WEIGHTS
from scd_lightning.store.removal import delete
from scd_lightning.store.sharded import gathered
from scd_lightning.training.fine_tuning import FineTuning
from scd_lightning.training.finite import check_validation


class BestWeights(Callback):
    """Saves the model whenever validation finds it at least as good as before; training itself goes on from the last.

    Args:
        folder: Where the one best checkpoint is kept, in an artifact that is being made; process 0 writes.
        keep_frozen: As in `CheckpointStore.save`.

    Attributes:
        best: (metric, loss, epoch) of the kept weights, once there are any.
    """

    def __init__(self, folder: Path, *, keep_frozen: bool) -> None:
        self.folder, self.keep_frozen = folder, keep_frozen
        self.best: tuple[float, float, int] | None = None

    @property
    @override
    def state_key(self) -> str:
        return "scd_lightning.BestWeights"

    @override
    def state_dict(self) -> dict[str, Any]:
        """Which weights are the best so far; they themselves are in the folder."""
        return {"best": self.best}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares what was just logged with the best so far; the epoch-end hook would come before the logging."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, FineTuning)
        metric, loss = (float(trainer.callback_metrics[f"validation_{name}"]) for name in ("metric", "loss"))
        check_validation(
            {"metric": metric, "loss": loss},
            f"the {pl_module.spec.role}",
            where=f"{pl_module.phase}, optimizer step {trainer.global_step}",
            remedy=f"lower {pl_module.rate_setting}",
            precision=str(trainer.precision),
        )
        if self.best is not None and (metric, -loss) < (self.best[0], -self.best[1]):
            return
        self.best = (metric, loss, trainer.current_epoch)
        weights = gathered(pl_module.lm, keep_frozen=self.keep_frozen)
        if trainer.is_global_zero:
            # Written beside the old ones, which go only when the new ones are whole.
            fresh = self.folder.with_name(f"{self.folder.name}.new")
            delete(fresh, WEIGHTS, self.folder.parent)
            metrics = {"metric": metric, "loss": loss}
            CheckpointStore(fresh).save(weights, trainer.global_step, metrics, keep_frozen=self.keep_frozen)
            delete(self.folder, WEIGHTS, self.folder.parent)
            fresh.rename(self.folder)
        trainer.strategy.barrier()
