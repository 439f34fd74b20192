"""Distillation: gold labels and a teacher's distribution, weighted sample by sample."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from scd_lightning.batch import Batch
from scd_lightning.losses.weighting import Weighting
from scd_lightning.models.fine_tuning import FineTuning
from scd_lightning.teachers.source import TeacherSource


class Distillation(FineTuning):
    """Distils from whichever checkpoint its teacher source answers for (arXiv 2601.10114, adaptive weighting).

    Args:
        source: The teacher's outputs; no submodule, so that no teacher weight enters a student checkpoint.
        weighting: (anchor_loss [B] or None, teacher_loss [B]) -> w [B].
        anchor_loss: [S], the anchor's per-sample losses on the training split, or None.
        **common: Arguments of `FineTuning`.
    """

    def __init__(self, source: TeacherSource, weighting: Weighting, anchor_loss: Tensor | None, **common: Any) -> None:
        super().__init__(**common)
        self.source = source
        self.weighting = weighting
        self.anchor_loss: Tensor | None
        self.register_buffer("anchor_loss", anchor_loss, persistent=False)
        self.weight = MeanMetric()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """This micro-batch's share of the optimizer step's loss."""
        with torch.no_grad():
            teacher_logits = self.source.logits(batch)
            teacher_loss = self.source.losses(batch, teacher_logits)
            anchor_loss = None if self.anchor_loss is None else self.anchor_loss[batch.index]
            weight = self.weighting(anchor_loss, teacher_loss)
        self.weight.update(weight, batch.sample_weight)
        return self.share(batch, teacher_logits, weight)

    def on_train_epoch_end(self) -> None:
        """Adds the epoch's `mean_weight` to what is logged."""
        super().on_train_epoch_end()
        mean_weight = self.weight.compute()
        self.log("mean_weight", mean_weight)
        self.curve[-1]["mean_weight"] = float(mean_weight)
        self.weight.reset()
