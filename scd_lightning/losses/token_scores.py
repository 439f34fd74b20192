"""What models make of completion tokens, without a gradient and a block of logits at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.closed_form import kl, softmax
from scd_lightning.losses.logits import ChunkedLogits, at_least_float32, blocks, logit_blocks


@torch.no_grad()
def chunked_cross_entropy(outputs: Unprojected, targets: Tensor) -> Tensor:
    """Cross-entropy [K] of gold tokens, in nats, in at least float32.

    Args:
        outputs: A model's.
        targets: [K].
    """
    return torch.cat([_cross_entropy(logits, targets[rows]) for rows, logits in logit_blocks(outputs)])


@torch.no_grad()
def chunked_scores(outputs: Unprojected, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy [K] of gold tokens, and whether each is the most probable one [K].

    Args:
        outputs: A model's.
        targets: [K].
    """
    parts = [
        (logits.argmax(-1) == targets[rows], _cross_entropy(logits, targets[rows]))
        for rows, logits in logit_blocks(outputs)
    ]
    return torch.cat([loss for _, loss in parts]), torch.cat([right for right, _ in parts])


@torch.no_grad()
def chunked_forward_kl(references: Sequence[Unprojected], models: Sequence[Unprojected]) -> Tensor:
    """KL(reference || model) [R, C, K] at temperature 1, in nats, of each pair; each one's logits are made once.

    Args:
        references: R models' outputs on K tokens.
        models: C models' on the same tokens.
    """
    of_references = [ChunkedLogits(outputs) for outputs in references]
    # A chunk's references are all needed at once, its models one after the other: these share a buffer.
    of_models = [ChunkedLogits(models[0])]
    of_models += [ChunkedLogits(outputs, of_models[0].buffer) for outputs in models[1:]]
    # A product within the divergence would be made in half precision.
    with torch.autocast(of_models[0].hidden.device.type, enabled=False):
        parts = [_chunk_kl(of_references, of_models, chunk) for chunk in of_models[0].chunks()]
    return torch.cat(parts, dim=2)


def _chunk_kl(references: Sequence[ChunkedLogits], models: Sequence[ChunkedLogits], chunk: slice) -> Tensor:
    """[R, C, k] of a chunk."""
    known = [at_least_float32(each.project(chunk)) for each in references]
    divergences = known[0].new_empty(len(known), len(models), chunk.stop - chunk.start)
    p = [softmax(logits) for logits in known]
    for c, model in enumerate(models):
        projected = model.project(chunk)
        for block in blocks(projected):
            logits = at_least_float32(projected[block])
            q = softmax(logits)
            for r, reference in enumerate(known):
                divergences[r, c, block] = kl(p[r].rows(block), q, reference[block] - logits)
    return divergences


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return softmax(logits).cross_entropy(logits, targets)
