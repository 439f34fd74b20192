"""What models make of completion tokens, without a gradient and a block of logits at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.closed_form import softmax
from scd_lightning.losses.logits import ChunkedLogits, at_least_float32, blocks, logit_blocks


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
def chunked_forward_kl(references: Sequence[Unprojected], models: Sequence[Unprojected]) -> Tensor:
    """KL(reference || model) [R C K] at temperature 1, in nats, of each pair; each one's logits are made once.

    Args:
        references: R models' outputs on K tokens.
        models: C models' on the same tokens.
    """
    projected = [ChunkedLogits(outputs) for outputs in references]
    others = [ChunkedLogits(models[0])]
    others += [ChunkedLogits(outputs, others[0].buffer) for outputs in models[1:]]
    # A product within the divergence would be made in half precision.
    with torch.autocast(projected[0].hidden.device.type, enabled=False):
        parts = [_chunk_kl([each.project(chunk) for each in projected], others, chunk) for chunk in others[0].chunks()]
    return torch.cat(parts, dim=2)


def _chunk_kl(references: Sequence[Tensor], models: Sequence[ChunkedLogits], chunk: slice) -> Tensor:
    """[R C k] of a chunk, from the references' logits [k V]."""
    high = [at_least_float32(logits) for logits in references]
    known = [softmax(logits) for logits in high]
    divergences = []
    for model in models:
        logits = model.project(chunk)
        rows = []
        for block in blocks(logits):
            there = at_least_float32(logits[block])
            log_sum = softmax(there)[1]
            rows.append(
                [
                    # Differences first: where the two agree, theirs is exactly 0, and no digit is lost near there.
                    torch.linalg.vecdot(p[block], own[block] - there) - (own_log_sum[block] - log_sum)
                    for own, (p, own_log_sum) in zip(high, known, strict=True)
                ]
            )
        divergences.append(torch.stack([torch.cat(parts) for parts in zip(*rows, strict=True)]))
    return torch.stack(divergences, dim=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return softmax(logits)[1] - logits.gather(1, targets[:, None]).squeeze(1)
