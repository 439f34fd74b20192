"""Weights of few digits that a step of the learning rate's size leaves where they are."""

from collections.abc import Iterable

import torch
from torch import Tensor

# Numbers looked at together: few enough that what is computed of them takes no memory to speak of.
_CHUNK = 1 << 22


def stuck_share(weights: Iterable[Tensor], rate: float, dtype: torch.dtype) -> float:
    """The share of weights that no step of a size moves: half the distance to the next number is more than that.

    A step of Adam and its relatives moves a weight by about the learning rate, whatever its gradient is.

    Args:
        weights: Tensors, of any dtype; each is let go before the next is asked for.
        rate: The step.
        dtype: What they are kept in.

    Returns:
        From 0 to 1; 0 where there are none.
    """
    stuck = total = 0
    for tensor in weights:
        for part in tensor.detach().flatten().split(_CHUNK):
            held = part.to(dtype)
            stuck += int(((held + rate == held) & (held - rate == held)).sum())
        total += tensor.numel()
    return stuck / total if total else 0.0
