"""The training loss: gold labels and teacher, weighted sample by sample."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scd_lightning.config.checks import require_one_of
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.chunked import chunked_loss
from scd_lightning.losses.closed_form import TokenTerms, cross_entropy_terms, forward_kl_terms
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.reduction import completion_cross_entropy, per_sample_mean, tokens_per_sample

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
        require_one_of(("sample", "token"), what="Unknown reduction of the loss", reduction=reduction)
        # Tried on two tokens, so that a wrong temperature or mixture share shows before anything is trained.
        divergence(torch.zeros(1, 2), torch.zeros(1, 2), temperature)
        self.divergence, self.temperature, self.reduction = divergence, temperature, reduction

    def __call__(
        self,
        student: Unprojected,
        targets: Tensor,
        rows: Tensor,
        sample_weight: Tensor,
        *,
        window_samples: int,
        window_tokens: int,
        teacher: Unprojected | None = None,
        weight: Tensor | None = None,
    ) -> ObjectiveResult:
        """The loss of one micro-batch.

        Args:
            student: The student's outputs on the K completion tokens.
            targets: [K], gold completion tokens.
            rows: [K], the row of each completion token, 0 to B - 1.
            sample_weight: [B], 1.0, or 0.0 for padding rows, of which nothing enters the loss or a gradient.
            window_samples: Samples of the whole optimizer step, padding apart.
            window_tokens: Completion tokens of the whole optimizer step, padding apart.
            teacher: The teacher's, or None for the cross-entropy alone.
            weight: [B], w of each sample; given exactly where the teacher is.

        Raises:
            ValueError: Only one of teacher and weight is given.
        """
        if (teacher is None) != (weight is None):
            raise ValueError("teacher and weight must be given together or not at all")
        real = (sample_weight > 0)[rows]
        # Padding rows are taken out before any arithmetic: multiplied by 0, a NaN of theirs would remain one.
        student = replace(student, hidden=torch.where(real[:, None], student.hidden, 0))
        teacher = teacher and replace(teacher, hidden=torch.where(real[:, None], teacher.hidden, 0))
        num_rows = len(sample_weight)
        dtype = torch.promote_types(student.hidden.dtype, torch.float32)
        if self.reduction == "sample":
            share = real / (window_samples * tokens_per_sample(rows, num_rows).to(dtype)[rows])
        else:
            share = real.to(dtype) / window_tokens
        tokens = _Tokens(self, targets, share, None if weight is None else torch.where(real, weight.to(dtype)[rows], 0))
        loss, cross_entropy, divergence = chunked_loss(student, share, tokens, teacher)
        return ObjectiveResult(
            loss,
            per_sample_mean(torch.where(real, cross_entropy, 0), rows, num_rows),
            None if teacher is None else per_sample_mean(torch.where(real, divergence, 0), rows, num_rows),
        )


@dataclass(frozen=True)
class _Tokens:
    """The loss of blocks of tokens: a `BlockLoss`.

    Attributes:
        objective: What to compute.
        targets: [K].
        share: [K], each token's share of the step's mean.
        weight: [K], w of each token's sample, or None.
    """

    objective: Objective
    targets: Tensor
    share: Tensor
    weight: Tensor | None

    def __call__(self, tokens: slice, logits: Tensor, teacher_logits: Tensor | None, wanted: bool) -> TokenTerms:
        targets, share = self.targets[tokens], self.share[tokens]
        if teacher_logits is None or self.weight is None:
            return cross_entropy_terms(logits, targets, share, wanted=wanted)
        weight, temperature = self.weight[tokens], self.objective.temperature
        if getattr(self.objective.divergence, "func", self.objective.divergence) is forward_kl:
            return forward_kl_terms(logits, teacher_logits, targets, share, weight, temperature, wanted=wanted)
        return self._by_autograd(logits, teacher_logits, targets, share, weight, wanted)

    def _by_autograd(
        self, logits: Tensor, teacher_logits: Tensor, targets: Tensor, share: Tensor, weight: Tensor, wanted: bool
    ) -> TokenTerms:
        """The terms of any divergence."""
        temperature = self.objective.temperature
        with torch.set_grad_enabled(wanted):
            logits = logits.detach().requires_grad_(wanted)
            cross_entropy = completion_cross_entropy(logits, targets)
            divergence = self.objective.divergence(teacher_logits, logits, temperature)
            loss = (1 - weight) * cross_entropy + weight * temperature**2 * divergence
            gradient = torch.autograd.grad(loss, logits, share)[0] if wanted else None
        return TokenTerms(cross_entropy.detach(), divergence.detach(), loss.detach(), gradient)
