"""Tokenized samples to one padded batch. The causal shift and the completion mask live here, nowhere else."""

from collections.abc import Sequence

import torch

from scd_lightning.batch import Batch, Slot, TokenizedSample


def collate(samples: Sequence[TokenizedSample], slots: Sequence[Slot], pad_id: int) -> Batch:
    """Pads samples on the right and marks where completion tokens are predicted.

    Args:
        samples: The B samples.
        slots: Their places in the batch plan, in the same order.
        pad_id: Token id that fills the padding; no completion token sees it, so any valid id will do.
    """
    width = max(len(sample) for sample in samples)
    input_ids = torch.full((len(samples), width), pad_id, dtype=torch.long)
    positions: list[int] = []
    targets: list[int] = []
    rows: list[int] = []
    for row, sample in enumerate(samples):
        ids = sample.prompt_ids + sample.completion_ids
        input_ids[row, : len(ids)] = torch.tensor(ids)
        # The hidden state at t predicts the token at t + 1: the first completion token is predicted by the
        # prompt's last position, and the last completion token (EOS) predicts nothing.
        first = row * width + len(sample.prompt_ids) - 1
        positions.extend(range(first, first + len(sample.completion_ids)))
        targets.extend(sample.completion_ids)
        rows.extend([row] * len(sample.completion_ids))
    return Batch(
        input_ids=input_ids,
        positions=torch.tensor(positions),
        targets=torch.tensor(targets),
        rows=torch.tensor(rows),
        index=torch.tensor([sample.index for sample in samples]),
        sample_weight=torch.tensor([slot.weight for slot in slots]),
        window_samples=slots[0].window_samples,
        window_tokens=slots[0].window_tokens,
        indices=tuple(sample.index for sample in samples),
        real=tuple(slot.weight > 0 for slot in slots),
    )
