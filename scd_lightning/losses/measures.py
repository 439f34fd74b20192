"""What models make of completion tokens, without a gradient and a block of logits at a time."""

from collections.abc import Sequence

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
def chunked_forward_kl(references: Sequence[Unprojected], outputs: Unprojected) -> Tensor:
    """KL(reference || model) [R K] at temperature 1, in nats, for some references at once.

    Args:
        references: R models' outputs on K tokens.
        outputs: The model's on the same tokens.
    """
    parts = []
    for _, (logits, *reference_logits) in logit_blocks(outputs, *references):
        log_sum = softmax(logits)[1]
        # A product within the divergence would be made in half precision.
        with torch.autocast(logits.device.type, enabled=False):
            parts.append(torch.stack([forward_kl_of(each, logits, log_sum)[1] for each in reference_logits]))
    return torch.cat(parts, dim=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return softmax(logits)[1] - logits.gather(1, targets[:, None]).squeeze(1)
