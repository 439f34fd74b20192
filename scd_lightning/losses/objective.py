"""The training loss: gold labels and teacher, weighted sample by sample.

`dense_loss` is its definition, on whole logits. `Objective` computes the same from hidden states: the logits of K
completion tokens, their softmax, the teacher's, and the gradients of all these are the largest tensors of a training
step. Here only those of a chunk of tokens exist at a time, and the gradient by the hidden states and by the LM head is
formed while they do, so nothing of them waits for the backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.closed_form import TokenTerms, cross_entropy_terms, forward_kl_terms
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.logits import ChunkedLogits, at_least_float32, blocks
from scd_lightning.losses.loss_contracts import check_divergence
from scd_lightning.losses.outlines import check_reduction
from scd_lightning.losses.reduction import completion_cross_entropy, per_sample_mean, tokens_per_sample

Divergence = Callable[[Tensor, Tensor, float], Tensor]


def dense_loss(
    objective: "Objective",
    student_logits: Tensor,
    targets: Tensor,
    rows: Tensor,
    *,
    window_samples: int,
    window_tokens: int,
    teacher_logits: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """The definition: (1 - w) * CE(gold, student) + w * tau^2 * D(teacher, student), differentiable by autograd.

    It holds several tensors [K, V] at once; `Objective` gives the same, to rounding, without any.

    Args:
        objective: Its divergence, temperature and reduction.
        student_logits: [K, V], the student's on the K completion tokens, of at least one, padding rows apart.
        targets: [K], gold completion tokens.
        rows: [K], the row of each completion token, 0 to B - 1.
        window_samples: Samples of the whole optimizer step, padding apart.
        window_tokens: Completion tokens of the whole optimizer step, padding apart.
        teacher_logits: [K, V], the teacher's, or None for the cross-entropy alone.
        weight: [B], w of each sample; given exactly where the teacher is.

    Returns:
        This micro-batch's share of the step's mean loss, a scalar.
    """
    tokens = completion_cross_entropy(student_logits, targets)
    if teacher_logits is not None and weight is not None:
        w, tau = weight[rows], objective.temperature
        divergence = objective.divergence(teacher_logits, student_logits, tau)
        tokens = (1 - w) * tokens + w * tau**2 * divergence
    if objective.reduction == "token":
        return tokens.sum() / window_tokens
    return torch.stack([tokens[rows == row].mean() for row in rows.unique()]).sum() / window_samples


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
    """(1 - w) * CE(gold, student) + w * tau^2 * D(teacher, student), with one w for each sample, as in `dense_loss`.

    Args:
        divergence: (teacher_logits [K, V], student_logits [K, V], temperature) -> [K].
        temperature: tau, for both sides of the divergence; cross-entropy is always at 1.
        reduction: "sample", the mean over samples of the mean over each one's completion tokens, or "token", the mean
            over all completion tokens.
    """

    def __init__(self, divergence: Divergence, temperature: float = 1.0, reduction: str = "sample") -> None:
        check_reduction(reduction)
        # A wrong temperature or mixture share shows there too, before anything is trained.
        check_divergence(divergence, temperature)
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
        # The loss of half-precision outputs is in float32, with all that it is made of.
        dtype = torch.promote_types(student.hidden.dtype, torch.float32)
        if self.reduction == "sample":
            share = real / (window_samples * tokens_per_sample(rows, num_rows).to(dtype)[rows])
        else:
            share = real.to(dtype) / window_tokens
        token_weight = None if weight is None else torch.where(real, weight.to(dtype)[rows], 0)
        loss, cross_entropy, divergence = _Pass(self, student, teacher, targets, share, token_weight).losses()
        return ObjectiveResult(
            loss,
            per_sample_mean(torch.where(real, cross_entropy, 0), rows, num_rows),
            None if teacher is None else per_sample_mean(torch.where(real, divergence, 0), rows, num_rows),
        )


@dataclass
class _Pass:
    """One pass over the K tokens: the losses, and the gradients that are asked for.

    Attributes:
        objective: What to compute.
        student: The student's outputs.
        teacher: The teacher's, or None.
        targets: [K].
        share: [K], each token's share of the step's mean.
        weight: [K], w of each token's sample, or None.
        cross_entropy, divergence: [K], what was found; the divergence 0 without a teacher.
        by_hidden: [K, D], by_weight: [V, D], by_bias: [V]: gradients of the sum of share * loss, or None.
    """

    objective: Objective
    student: Unprojected
    teacher: Unprojected | None
    targets: Tensor
    share: Tensor
    weight: Tensor | None
    by_hidden: Tensor | None = None
    by_weight: Tensor | None = None
    by_bias: Tensor | None = None

    def __post_init__(self) -> None:
        hidden = self.student.hidden
        self.cross_entropy = hidden.new_empty(len(hidden), dtype=torch.promote_types(hidden.dtype, torch.float32))
        self.divergence = torch.zeros_like(self.cross_entropy)

    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, differentiable by the student's hidden states and LM head; cross-entropy and divergence [K]."""
        hidden, head = self.student.hidden, self.student.head
        # Whether gradients are enabled is handed over: within a Function they never are.
        return _FusedLoss.apply(hidden, head.weight, head.bias, self, torch.is_grad_enabled())

    def run(self, needs: tuple[bool, bool, bool]) -> None:
        """Goes over all chunks.

        Args:
            needs: Whether a gradient is wanted by the hidden states, the head's weight and its bias.
        """
        student = ChunkedLogits(self.student)
        teacher = None if self.teacher is None else ChunkedLogits(self.teacher)
        if needs[0]:
            self.by_hidden = torch.empty_like(student.hidden)
        if needs[2] and student.head.bias is not None:
            self.by_bias = torch.zeros_like(student.head.bias, dtype=self.cross_entropy.dtype)
        # The dtype of products has been chosen; autocast would choose again.
        with torch.autocast(student.hidden.device.type, enabled=False):
            for chunk in student.chunks():
                logits = student.project(chunk)
                self._add_losses(chunk.start, logits, None if teacher is None else teacher.project(chunk), any(needs))
                # By now the logits are their own gradient.
                if self.by_hidden is not None:
                    torch.mm(logits, student.head.weight, out=self.by_hidden[chunk])
                if needs[1]:
                    self._add_by_weight(logits.T, student.hidden[chunk])

    def total(self) -> Tensor:
        """The loss, once all chunks are gone over."""
        if self.weight is None:
            return (self.share * self.cross_entropy).sum()
        w, tau = self.weight, self.objective.temperature
        return (self.share * ((1 - w) * self.cross_entropy + w * tau**2 * self.divergence)).sum()

    def _add_losses(self, start: int, logits: Tensor, teacher_logits: Tensor | None, wanted: bool) -> None:
        """The losses of a chunk; its logits are overwritten by their gradient, where that is wanted."""
        for block in blocks(logits):
            rows = slice(start + block.start, start + block.stop)
            teacher = None if teacher_logits is None else teacher_logits[block].to(self.cross_entropy.dtype)
            terms = self._terms(rows, at_least_float32(logits[block]), teacher, wanted)
            self.cross_entropy[rows] = terms.cross_entropy
            if terms.divergence is not None:
                self.divergence[rows] = terms.divergence
            if terms.gradient is not None:
                # The closed forms overwrite float32 logits in place; half precision and autograd give another tensor.
                if terms.gradient.data_ptr() != logits[block].data_ptr():
                    logits[block] = terms.gradient
                if self.by_bias is not None:
                    self.by_bias += terms.gradient.sum(0)

    def _terms(self, tokens: slice, logits: Tensor, teacher_logits: Tensor | None, wanted: bool) -> TokenTerms:
        """What a block of tokens contributes; its logits may be overwritten."""
        targets, share = self.targets[tokens], self.share[tokens]
        if teacher_logits is None or self.weight is None:
            return cross_entropy_terms(logits, targets, share, wanted=wanted)
        w, tau, divergence_of = self.weight[tokens], self.objective.temperature, self.objective.divergence
        if getattr(divergence_of, "func", divergence_of) is forward_kl:
            return forward_kl_terms(logits, teacher_logits, targets, share, w, tau, wanted=wanted)
        with torch.set_grad_enabled(wanted):
            logits = logits.detach().requires_grad_(wanted)
            cross_entropy = completion_cross_entropy(logits, targets)
            divergence = divergence_of(teacher_logits, logits, tau)
            loss = (1 - w) * cross_entropy + w * tau**2 * divergence
            gradient = torch.autograd.grad(loss, logits, share)[0] if wanted else None
        return TokenTerms(cross_entropy.detach(), divergence.detach(), gradient)

    def _add_by_weight(self, left: Tensor, right: Tensor) -> None:
        """Adds a product to the head's gradient, in at least float32: half precision would lose the later chunks'."""
        if self.by_weight is None:
            self.by_weight = at_least_float32(left @ right)
        elif self.by_weight.dtype == left.dtype:
            self.by_weight.addmm_(left, right)
        else:
            self.by_weight += left @ right


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    @override
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, work: _Pass, enabled: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        work.run(ctx.needs_input_grad[:3] if enabled else (False, False, False))
        # Saved so that they go with the graph: whoever keeps the loss must not keep the head's gradient.
        ctx.save_for_backward(work.by_hidden, work.by_weight, work.by_bias)
        ctx.dtypes = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.mark_non_differentiable(work.cross_entropy, work.divergence)
        return work.total(), work.cross_entropy, work.divergence

    @staticmethod
    @override
    def backward(ctx: Any, by_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        # Usually 1. Seeing that costs nothing on a CPU, and saves a pass over the head's gradient; a GPU would wait.
        if by_total.device.type != "cpu" or by_total.item() != 1:
            gradients = [None if g is None else g * by_total.to(g.dtype) for g in gradients]
        scaled = (None if g is None else g.to(dtype) for g, dtype in zip(gradients, ctx.dtypes, strict=True))
        return *scaled, None, None
