"""What models make of completion tokens, without a gradient and a block of logits at a time."""

import torch
from torch import Tensor

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.closed_form import forward_kl_of, softmax
from scd_lightning.losses.logits import logit_blocks


@torch.no_grad()
def chunked_cross_entropy(outputs: Unprojected, targets: Tensor) -> Tensor:
    """Cross-entropy [K] of gold tokens, in nats, in at least float32.

    Args:
        outputs: A model's.
        targets: [K].
    """
    return torch.cat([_cross_entropy(logits, targets[rows]) for rows, (logits,) in logit_blocks(outputs)])


@torch.no_grad()
def chunked_scores(outputs: Unprojected, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy [K] of gold tokens, and whether each is the most probable one [K].

    Args:
        outputs: A model's.
        targets: [K].
    """
    parts = [
        (logits.argmax(-1) == targets[rows], _cross_entropy(logits, targets[rows]))
        for rows, (logits,) in logit_blocks(outputs)
    ]
    return torch.cat([loss for _, loss in parts]), torch.cat([right for right, _ in parts])


@torch.no_grad()
def chunked_forward_kl(teacher: Unprojected, student: Unprojected) -> Tensor:
    """KL(teacher || student) [K] at temperature 1, in nats.

    Args:
        teacher: One model's outputs on K tokens.
        student: Another's.
    """
    # A product within the divergence would be made in half precision.
    parts = []
    for _, (teacher_logits, logits) in logit_blocks(teacher, student):
        with torch.autocast(logits.device.type, enabled=False):
            parts.append(forward_kl_of(teacher_logits, logits, softmax(logits)[1])[1])
    return torch.cat(parts)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return softmax(logits)[1] - logits.gather(1, targets[:, None]).squeeze(1)
