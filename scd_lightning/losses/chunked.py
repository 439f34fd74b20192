"""The loss from hidden states: logits are made, used and forgotten chunk by chunk.

The logits of K completion tokens, their softmax, the teacher's, and the gradients of all these are the largest tensors
of a training step. Here only those of a chunk of tokens exist at a time, and the gradient by the hidden states and by
the LM head is formed while they do, so nothing of them waits for the backward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.closed_form import TokenTerms
from scd_lightning.losses.logits import ChunkedLogits, at_least_float32, blocks

# (which tokens, the student's logits [k V] and the teacher's or None in at least float32, whether a gradient is
# wanted) -> terms. The logits are the function's to overwrite.
BlockLoss = Callable[[slice, Tensor, Tensor | None, bool], TokenTerms]


def chunked_loss(
    student: Unprojected, share: Tensor, loss: BlockLoss, teacher: Unprojected | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums a loss over tokens.

    Args:
        student: The student's outputs on K tokens.
        share: [K], each token's share of the loss.
        loss: What a block of tokens contributes.
        teacher: The teacher's outputs on them, without a gradient, or None.

    Returns:
        The loss (scalar, differentiable by the student's hidden states and LM head), the cross-entropy [K] and the
        divergence [K], 0 without a teacher; both detached.
    """
    hidden, weight, bias = student.hidden, student.head.weight, student.head.bias
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, weight, bias))
    return _ChunkedLoss.apply(hidden, weight, bias, _Work(student, teacher, share, loss), wanted)


class _Work:
    """One pass over the tokens: the losses, and the gradients that are asked for.

    Attributes:
        loss: [K], each token's.
        cross_entropy: [K].
        divergence: [K].
        by_hidden: [K D], by_weight: [V D], by_bias: [V]: gradients of the sum of share * loss, or None.
    """

    def __init__(self, student: Unprojected, teacher: Unprojected | None, share: Tensor, loss: BlockLoss) -> None:
        self.student, self.teacher, self.share, self.block_loss = student, teacher, share, loss
        self.loss = student.hidden.new_empty(len(share), dtype=torch.promote_types(student.hidden.dtype, torch.float32))
        self.cross_entropy, self.divergence = torch.empty_like(self.loss), torch.zeros_like(self.loss)
        self.by_hidden: Tensor | None = None
        self.by_weight: Tensor | None = None
        self.by_bias: Tensor | None = None

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
            self.by_bias = torch.zeros_like(student.head.bias, dtype=self.loss.dtype)
        # The dtype of products has been chosen; autocast would choose again.
        with torch.autocast(student.hidden.device.type, enabled=False):
            for chunk in student.chunks():
                logits = student.project(chunk)
                self._blocks(chunk.start, logits, None if teacher is None else teacher.project(chunk), any(needs))
                # By now the logits are their own gradient.
                if self.by_hidden is not None:
                    torch.mm(logits, student.head.weight, out=self.by_hidden[chunk])
                if needs[1]:
                    self._add_by_weight(logits.T, student.hidden[chunk])

    def _blocks(self, start: int, logits: Tensor, teacher_logits: Tensor | None, wanted: bool) -> None:
        """The losses of a chunk; its logits are overwritten by their gradient, where that is wanted."""
        for block in blocks(logits):
            rows = slice(start + block.start, start + block.stop)
            teacher = None if teacher_logits is None else teacher_logits[block].to(self.loss.dtype)
            terms = self.block_loss(rows, at_least_float32(logits[block]), teacher, wanted)
            self.loss[rows], self.cross_entropy[rows] = terms.loss, terms.cross_entropy
            if terms.divergence is not None:
                self.divergence[rows] = terms.divergence
            if terms.gradient is not None:
                if terms.gradient.data_ptr() != logits[block].data_ptr():
                    logits[block] = terms.gradient
                if self.by_bias is not None:
                    self.by_bias += terms.gradient.sum(0)

    def _add_by_weight(self, left: Tensor, right: Tensor) -> None:
        """Adds a product to the head's gradient, in at least float32."""
        if self.by_weight is None:
            self.by_weight = at_least_float32(left @ right)
        elif self.by_weight.dtype == left.dtype:
            self.by_weight.addmm_(left, right)
        else:
            self.by_weight += left @ right


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, work: _Work, wanted: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        needs = ctx.needs_input_grad[:3] if wanted else (False, False, False)
        work.run(needs)
        # Saved so that they go with the graph: whoever keeps the loss must not keep the head's gradient.
        ctx.save_for_backward(work.by_hidden, work.by_weight, work.by_bias)
        ctx.dtypes = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.mark_non_differentiable(work.cross_entropy, work.divergence)
        return (work.share * work.loss).sum(), work.cross_entropy, work.divergence

    @staticmethod
    def backward(ctx: Any, by_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        # Usually 1. Seeing that costs nothing on a CPU, and saves a pass over the head's gradient; a GPU would wait.
        if by_total.device.type != "cpu" or by_total.item() != 1:
            gradients = [None if g is None else g * by_total.to(g.dtype) for g in gradients]
        scaled = (None if g is None else g.to(dtype) for g, dtype in zip(gradients, ctx.dtypes, strict=True))
        return *scaled, None, None
