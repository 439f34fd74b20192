"""From completion tokens to samples."""

import torch
from torch import Tensor
from torch.nn import functional


def completion_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each completion token, in at least float32.

    Args:
        logits: [K, V].
        targets: [K].

    Returns:
        [K], nats.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return functional.cross_entropy(logits.to(dtype), targets, reduction="none")


def per_sample_mean(values: Tensor, rows: Tensor, num_rows: int) -> Tensor:
    """Mean over each row's completion tokens, 0 for a row without any.

    Args:
        values: [K].
        rows: [K], the row of each token, 0 to num_rows - 1.
        num_rows: B.

    Returns:
        [B].
    """
    return values.new_zeros(num_rows).index_add(0, rows, values) / tokens_per_sample(rows, num_rows)


def tokens_per_sample(rows: Tensor, num_rows: int) -> Tensor:
    """Completion tokens [B] of each row, at least 1. No bincount: that would wait for a GPU."""
    return rows.new_zeros(num_rows).index_add(0, rows, torch.ones_like(rows)).clamp(min=1)
