"""The training loss: gold labels and teacher, weighted sample by sample."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_lightning.errors import ConfigError
from scd_lightning.losses.reduction import completion_cross_entropy, per_sample_mean

Divergence = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class ObjectiveResult:
    """What one micro-batch contributes to its optimizer step.

    Attributes:
        loss: Scalar to backpropagate: this micro-batch's share of the step's mean loss. Shares of micro-batches and
            of ranks add up; they are never to be averaged.
        sample_cross_entropy: [B], mean completion-token loss in nats, detached; 0 on padding rows.
        sample_divergence: [B], mean divergence in nats per token at the temperature, without tau^2, detached, 0 on
            padding rows; None without a teacher.
    """

    loss: Tensor
    sample_cross_entropy: Tensor
    sample_divergence: Tensor | None


class Objective:
    """(1 - w) * CE(gold, student) + w * tau^2 * D(teacher, student), with one w for each sample.

    Args:
        divergence: (teacher_logits [K V], student_logits [K V], temperature) -> [K].
        temperature: tau, for both sides of the divergence; cross-entropy is always at 1.
        reduction: "sample", the mean over samples of the mean over each one's completion tokens, or "token", the mean
            over all completion tokens.
    """

    def __init__(self, divergence: Divergence, temperature: float = 1.0, reduction: str = "sample") -> None:
        if reduction not in ("sample", "token"):
            raise ConfigError(
                "Unknown reduction of the loss", where="reduction", got=reduction, expected="sample or token"
            )
        # Tried on two tokens, so that a wrong temperature or mixture share shows before anything is trained.
        divergence(torch.zeros(1, 2), torch.zeros(1, 2), temperature)
        self.divergence, self.temperature, self.reduction = divergence, temperature, reduction

    def __call__(
        self,
        student_logits: Tensor,
        targets: Tensor,
        rows: Tensor,
        sample_weight: Tensor,
        *,
        window_samples: int,
        window_tokens: int,
        teacher_logits: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> ObjectiveResult:
        """The loss of one micro-batch.

        Args:
            student_logits: [K V].
            targets: [K], gold completion tokens.
            rows: [K], the row of each completion token, 0 to B - 1.
            sample_weight: [B], 1.0, or 0.0 for padding rows, of which nothing enters the loss or a gradient.
            window_samples: Samples of the whole optimizer step, padding apart.
            window_tokens: Completion tokens of the whole optimizer step, padding apart.
            teacher_logits: [K V], or None for the cross-entropy alone.
            weight: [B], w of each sample; given exactly where teacher_logits are.

        Raises:
            ValueError: Only one of teacher_logits and weight is given.
        """
        if (teacher_logits is None) != (weight is None):
            raise ValueError("teacher_logits and weight must be given together or not at all")
        real = sample_weight > 0
        # Padding rows are dropped before any arithmetic: multiplied by 0, a NaN of theirs would remain one.
        kept = real[rows].nonzero().squeeze(1)
        if len(kept) < len(rows):
            student_logits, targets, rows = student_logits[kept], targets[kept], rows[kept]
            teacher_logits = None if teacher_logits is None else teacher_logits[kept]
        num_rows = len(sample_weight)
        tokens = cross_entropy = completion_cross_entropy(student_logits, targets)
        divergence = None
        if teacher_logits is not None and weight is not None:
            divergence = self.divergence(teacher_logits, student_logits, self.temperature)
            token_weight = weight.to(cross_entropy.dtype)[rows]
            tokens = (1 - token_weight) * cross_entropy + token_weight * self.temperature**2 * divergence
        if self.reduction == "sample":
            loss = per_sample_mean(tokens, rows, num_rows).sum() / window_samples
        else:
            loss = tokens.sum() / window_tokens
        return ObjectiveResult(
            loss,
            per_sample_mean(cross_entropy.detach(), rows, num_rows),
            None if divergence is None else per_sample_mean(divergence.detach(), rows, num_rows),
        )
