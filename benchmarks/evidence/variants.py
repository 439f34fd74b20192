"""Parts of methods that the ablations try, and that nobody else needs."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from typing_extensions import override

from scd_lightning.batch import Batch
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_scores
from scd_lightning.schedules.policies import TIE, Scores
from scd_lightning.training.distillation import Distillation


class NearestToStudent:
    """The checkpoint that the student is nearest to: the second of the schedule's two terms alone.

    The first alone, KL(best || checkpoint), is always 0 at the best: that is the method td_aw.
    """

    needs_scores: ClassVar[bool] = True

    def select(self, stage: int, scores: Scores, history: Sequence[int]) -> int:
        """argmin_i KL(student || checkpoint_i); of equal ones the latest."""
        assert scores.student_kl is not None
        lowest = min(scores.student_kl)
        return max(index for index, kl in enumerate(scores.student_kl) if kl <= lowest + TIE)


class StudentAsAnchor(Callback):
    """Adaptive weights from the student's own loss as it is at each step, in the place of the anchor's."""

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if isinstance(pl_module, Distillation) and pl_module.anchor_loss is not None:
            with torch.no_grad():
                losses, _ = chunked_scores(pl_module.lm.outputs(batch), batch.targets)
                pl_module.anchor_loss[batch.index] = per_sample_mean(losses, batch.rows, batch.size).to(
                    pl_module.anchor_loss
                )


class KeptMoments(Callback):
    """The optimizer's moments live on from stage to stage of a distillation; its learning rate still starts afresh."""

    def __init__(self) -> None:
        self._kept: list[dict[Any, Any]] = []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What a state that a training goes on from has brought."""
        self._kept = [dict(optimizer.state) for optimizer in _optimizers(trainer, pl_module)]

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._kept = [dict(optimizer.state) for optimizer in _optimizers(trainer, pl_module)]

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        for optimizer, kept in zip(_optimizers(trainer, pl_module), self._kept, strict=True):
            if not optimizer.state:
                optimizer.state.update(kept)


def _optimizers(trainer: Trainer, module: LightningModule) -> list[Optimizer]:
    """Those of a distillation; none of another training."""
    return trainer.optimizers if isinstance(module, Distillation) else []
