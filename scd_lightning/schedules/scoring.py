"""The schedule's scores: how far each checkpoint is from the best one, and from the student as it is now."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.launch import preemption
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_forward_kl
from scd_lightning.teachers.source import TeacherSource


@torch.no_grad()
def reference(hidden: Callable[[Batch], Tensor], head: LMHead, batches: Sequence[Batch]) -> list[Unprojected]:
    """A model's outputs on this process's probe batches, kept as hidden states: logits would be V / D times larger.

    Args:
        hidden: Makes hidden states [K, D] of a batch; the model is in eval mode.
        head: The model's LM head; all outputs share a copy of it, since its weights may be reloaded or trained on.
        batches: The batches.
    """
    kept = head.clone()
    return [Unprojected(hidden(batch), kept) for batch in batches]


@torch.no_grad()
def kl_to_checkpoints(
    references: Sequence[Sequence[Unprojected]], source: TeacherSource, batches: Sequence[Batch]
) -> list[list[float]]:
    """KL(reference || checkpoint_i) for each reference and each checkpoint, in one sweep over the trajectory.

    Forward KL at temperature 1, the mean over samples of the mean over completion tokens, whatever divergence
    trains (SCD's scores; arXiv 2601.10114). Sums and counts are reduced over ranks, then divided once.

    Args:
        references: R models' outputs on each of the batches.
        source: Answers for the probe set.
        batches: This process's probe batches.

    Returns:
        R lists of N scores in nats, equal on all ranks.
    """
    # In float64: checkpoints whose scores are nearer than 1e-9 count as equal, and float32 ends at about 1e-7.
    sums = torch.zeros(len(references), source.num_checkpoints, dtype=torch.float64)
    for checkpoints, i, outputs in source.sweep(batches):
        preemption.safe_point()
        batch = batches[i]
        divergences = chunked_forward_kl([each[i] for each in references], outputs)
        for r, of_reference in enumerate(divergences):
            for checkpoint, divergence in zip(checkpoints, of_reference, strict=True):
                per_sample = per_sample_mean(divergence, batch.rows, batch.size)
                # To the CPU first: not every device has float64.
                sums[r, checkpoint] += (per_sample * batch.sample_weight).sum().cpu().double()
    count = torch.tensor([float(sum((batch.sample_weight > 0).sum() for batch in batches))], dtype=torch.float64)
    total = distributed.sum_over_ranks(torch.cat([sums.flatten(), count]))
    return (total[:-1] / total[-1]).reshape(sums.shape).tolist()
