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
from scd_lightning.losses.closed_form import TokenTerms, cross_entropy_terms

# Bytes of one chunk's float32 logits: large enough for full speed, small beside a model.
CHUNK_BYTES = 32 * 2**20

# (tokens of the chunk, the student's logits [k V] in at least float32, whether a gradient is wanted) -> terms. The
# logits are the function's to overwrite.
ChunkLoss = Callable[[slice, Tensor, bool], TokenTerms]


def chunked_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, share: Tensor, loss: ChunkLoss
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums a loss over chunks of tokens.

    Args:
        hidden: [K D], the student's.
        weight: [V D], its LM head.
        bias: [V] or None.
        share: [K], each token's share of the loss.
        loss: What a chunk contributes.

    Returns:
        The loss (scalar, differentiable by hidden, weight and bias), the cross-entropy [K] and the divergence [K], 0
        without a teacher; both detached.
    """
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, weight, bias))
    return _ChunkedLoss.apply(hidden, weight, bias, share, loss, wanted)


def chunked_cross_entropy(outputs: Unprojected, targets: Tensor) -> Tensor:
    """Cross-entropy [K] of gold tokens, in nats, without a gradient.

    Args:
        outputs: A model's.
        targets: [K].
    """
    share = torch.zeros(len(targets), device=targets.device)

    def terms(chunk: slice, logits: Tensor, wanted: bool) -> TokenTerms:
        return cross_entropy_terms(logits, targets[chunk], share[chunk], wanted=wanted)

    with torch.no_grad():
        return chunked_loss(outputs.hidden, outputs.head.weight, outputs.head.bias, share, terms)[1]


def chunk_tokens(vocab_size: int) -> int:
    """Tokens of a chunk."""
    return max(16, CHUNK_BYTES // (4 * vocab_size))


def project(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Logits [k V] in at least float32."""
    logits = torch.nn.functional.linear(hidden, weight, bias)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def autocast_dtype(tensor: Tensor) -> torch.dtype:
    """The dtype that a matrix product with a tensor runs in here: never float16.

    The gradients are formed before a loss scaler could lift them into float16's range.
    """
    device = tensor.device.type
    if not torch.is_autocast_enabled(device) or tensor.dtype == torch.float64:
        return tensor.dtype
    dtype = torch.get_autocast_dtype(device)
    return torch.float32 if dtype == torch.float16 else dtype


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, share: Tensor, loss: ChunkLoss, wanted: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        needs = ctx.needs_input_grad if wanted else (False,) * 6
        high = torch.promote_types(hidden.dtype, torch.float32)
        dtype = autocast_dtype(hidden)
        # Cast once, not once a chunk.
        low_hidden, low_weight = hidden.to(dtype), weight.to(dtype)
        low_bias = None if bias is None else bias.to(dtype)
        total = hidden.new_zeros((), dtype=high)
        cross_entropy = hidden.new_empty(len(hidden), dtype=high)
        divergence = torch.zeros_like(cross_entropy)
        by_hidden = torch.empty_like(hidden) if needs[0] else None
        by_weight = torch.zeros_like(weight, dtype=high) if needs[1] else None
        by_bias = torch.zeros_like(bias, dtype=high) if needs[2] and bias is not None else None
        step = chunk_tokens(len(weight))
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), step):
                chunk = slice(start, start + step)
                terms = loss(chunk, project(low_hidden[chunk], low_weight, low_bias), wanted)
                total += share[chunk].to(high) @ terms.loss
                cross_entropy[chunk] = terms.cross_entropy
                if terms.divergence is not None:
                    divergence[chunk] = terms.divergence
                if terms.gradient is None:
                    continue
                gradient = terms.gradient.to(dtype)
                if by_hidden is not None:
                    by_hidden[chunk] = gradient @ low_weight
                if by_weight is not None:
                    _add_product(by_weight, gradient.T, low_hidden[chunk])
                if by_bias is not None:
                    by_bias += terms.gradient.sum(0)
        ctx.gradients = by_hidden, by_weight, by_bias
        ctx.dtypes = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        ctx.mark_non_differentiable(cross_entropy, divergence)
        return total, cross_entropy, divergence

    @staticmethod
    def backward(ctx: Any, by_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients, dtypes = ctx.gradients, ctx.dtypes
        # Usually 1. Seeing that costs nothing on a CPU, and saves a pass over the head's gradient; a GPU would wait.
        if by_total.device.type != "cpu" or by_total.item() != 1:
            gradients = [None if g is None else g * by_total.to(g.dtype) for g in gradients]
        scaled = (None if g is None else g.to(dtype) for g, dtype in zip(gradients, dtypes, strict=True))
        return *scaled, None, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds a matrix product, in the total's dtype."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
