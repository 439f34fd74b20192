"""How much of a sample's loss comes from the teacher."""

import torch
from torch import Tensor

from scd_lightning.losses import outlines


def adaptive_weight(anchor_loss: Tensor, teacher_loss: Tensor) -> Tensor:
    """sigmoid(log(Ls / Lt)) = Ls / (Ls + Lt): lean on the teacher where it is the better of the two.

    Args:
        anchor_loss: [B], Ls, the anchor's mean completion-token loss of each sample, at least 0.
        teacher_loss: [B], Lt, that of the stage's checkpoint.

    Returns:
        [B], in (0, 1): 0.5 where both losses are 0, and never 0, 1 or NaN for any losses from 0 to infinity.
    """
    dtype = torch.promote_types(torch.promote_types(anchor_loss.dtype, teacher_loss.dtype), torch.float32)
    limits = torch.finfo(dtype)
    anchor_log = anchor_loss.to(dtype).clamp(limits.tiny, limits.max).log()
    teacher_log = teacher_loss.to(dtype).clamp(limits.tiny, limits.max).log()
    # The bounds are the floats next to 0 and 1, where sigmoid itself would round to 0 or 1.
    return torch.sigmoid(anchor_log - teacher_log).clamp(limits.tiny, 1 - limits.eps / 2)


class ConstantWeight(outlines.ConstantWeight):
    """The same weight for every sample.

    Args:
        weight: Weight of the distillation term, in 0 to 1.
    """

    def __call__(self, anchor_loss: Tensor | None, teacher_loss: Tensor) -> Tensor:
        """The constant, in the teacher loss's shape [B]."""
        return torch.full_like(teacher_loss, self.weight)


class AdaptiveWeight(outlines.AdaptiveWeight):
    """The paper's adaptive weighting, see `adaptive_weight`."""

    def __call__(self, anchor_loss: Tensor | None, teacher_loss: Tensor) -> Tensor:
        """`adaptive_weight` of the two losses: [B], [B] -> [B].

        Raises:
            ValueError: No anchor losses are given.
        """
        if anchor_loss is None:
            raise ValueError("adaptive weighting needs anchor_loss [B], got None")
        return adaptive_weight(anchor_loss, teacher_loss)
