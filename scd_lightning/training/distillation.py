"""Distillation: gold labels and a teacher's distribution, weighted sample by sample."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from scd_lightning.batch import Batch
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.loss_contracts import check_range, check_weight, value_range
from scd_lightning.losses.outlines import Weighting
from scd_lightning.teachers.source import TeacherSource
from scd_lightning.training.fine_tuning import FineTuning, LossPart
from scd_lightning.training.sums import UnitHistogram, WeightedMean


@dataclass(frozen=True)
class TextLoss:
    """How texts without labels are learnt from: (1 - u) CE(answer) + u D, whatever the weighting.

    Attributes:
        first: Position of the first of them among the training samples; all behind it are such.
        weight: u.
        best: Index of the teacher's best checkpoint.
        source: Answers for that one; None where D is from the stage's checkpoint, as it is on rows with labels.
    """

    first: int
    weight: float
    best: int
    source: TeacherSource | None = None


class PseudoLabelling(FineTuning):
    """Fine-tuning a student on labels and on a teacher's answers, which stand as labels."""

    @property
    @override
    def phase(self) -> str:
        return "distill"


class Distillation(FineTuning):
    """Distils from whichever checkpoint its teacher source answers for (arXiv 2601.10114, adaptive weighting).

    Args:
        source: The teacher's outputs; no submodule, so that no teacher weight enters a student checkpoint.
        weighting: (anchor_loss [B] or None, teacher_loss [B]) -> w [B].
        anchor_loss: [S], the anchor's per-sample losses on the training split, or None.
        best_loss: [S'], those of the teacher's best checkpoint on the validation split, for advantage and deficit.
        texts: How texts without labels are learnt from; None where there are none.
        **common: Arguments of `FineTuning`.

    Attributes:
        weight_counts: For each epoch, how many of its samples had their weight in each of 20 equal bins of [0, 1].
    """

    course: ClassVar[tuple[str, ...]] = (*FineTuning.course, "weight_counts")

    def __init__(
        self,
        source: TeacherSource,
        weighting: Weighting,
        anchor_loss: Tensor | None,
        best_loss: Tensor,
        texts: TextLoss | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.source, self.texts = source, texts
        self.weighting = weighting
        # No buffers: they would follow the model into a lower precision.
        self.anchor_loss, self.best_loss = anchor_loss, best_loss
        # The least and the largest so far.
        self.weight_range = torch.full((2,), 0.5)
        self.weight = WeightedMean()
        self.weight_histogram = UnitHistogram()
        self.weight_counts: list[list[int]] = []
        self.epoch_sums |= {"weight": self.weight, "weight_histogram": self.weight_histogram}

    @override
    def on_fit_start(self) -> None:
        if self.anchor_loss is not None:
            self.anchor_loss = self.anchor_loss.to(self.device)
        if self.texts is not None and self.texts.source is not None:
            self.texts.source.load(self.texts.best)
            self.texts.source.release()

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        with torch.no_grad():
            teacher = self.source.outputs(batch)
            teacher_loss = self.source.losses(batch, teacher)
            anchor_loss = None if self.anchor_loss is None else self.anchor_loss[batch.index]
            weight = self.weighting(anchor_loss, teacher_loss)
        check_weight(self.weighting, weight, teacher_loss)
        labelled = batch.sample_weight
        if self.texts is not None:
            without = batch.index >= self.texts.first
            labelled, weight = labelled * ~without, torch.where(without, self.texts.weight, weight)
        self._note_range(weight, labelled, teacher_loss, anchor_loss)
        self.weight.update(weight, labelled)
        self.weight_histogram.update(weight, labelled)
        return self.loss_share(batch, *self._parts(batch, teacher, weight))

    def _note_range(self, weight: Tensor, counts: Tensor, *losses: Tensor | None) -> None:
        """Keeps how far weights range, on their device; losses that are not finite are told of by themselves."""
        for each in losses:
            counts = counts if each is None else counts * each.isfinite()
        found = value_range(weight, counts)
        so_far = self.weight_range.to(found)
        self.weight_range = torch.stack([torch.minimum(so_far[0], found[0]), torch.maximum(so_far[1], found[1])])

    @override
    def check_finite(self) -> None:
        """Also holds the weights so far to 0 to 1: a loss that is not finite may be theirs.

        Raises:
            ConfigError: They are out of that range.
            NotFinite: As for every training.
        """
        check_range(self.weighting, self.weight_range)
        super().check_finite()

    def _parts(self, batch: Batch, teacher: Unprojected, weight: Tensor) -> list[LossPart]:
        """One for all tokens; one for those of texts apart, where another checkpoint answers for them."""
        if self.texts is None or self.texts.source is None:
            return [LossPart(teacher, weight)]
        with torch.no_grad():
            of_texts = self.texts.source.outputs(batch)
        # Told apart by what is on the CPU already: a part without tokens is none.
        without = [index >= self.texts.first for index in batch.indices]
        if len(set(without)) == 1:
            return [LossPart(of_texts if without[0] else teacher, weight)]
        tokens = (batch.index >= self.texts.first)[batch.rows]
        return [LossPart(teacher, weight, ~tokens), LossPart(of_texts, weight, tokens)]

    @property
    @override
    def phase(self) -> str:
        return "distill"

    @override
    def on_train_epoch_end(self) -> None:
        points = len(self.curve)
        super().on_train_epoch_end()
        if len(self.curve) == points:
            return
        mean_weight = self.weight.compute()
        self.log("mean_weight", mean_weight)
        self.curve[-1]["mean_weight"] = float(mean_weight)
        self.weight.reset()
        self.weight_counts.append(self.weight_histogram.vector().tolist())
        self.weight_histogram.reset()

    @override
    def on_validation_epoch_end(self) -> None:
        """Adds `advantage` and `deficit`, in nats, of the student as it is now against the best checkpoint."""
        super().on_validation_epoch_end()
        losses = self.last_losses
        assert losses is not None
        gap = losses - self.best_loss.to(losses.device)
        parts = {"advantage": (-gap).clamp(min=0).nanmean(), "deficit": gap.clamp(min=0).nanmean()}
        self.log_dict(parts)
        self.last_validation |= {name: float(value) for name, value in parts.items()}
