"""The plainest way to choose among candidates: each is scored. What searching for the best one is held against."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from scd_lightning.batch import TokenizedSample
from scd_lightning.losses.logits import at_least_float32
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import pad_left

# Pairs of a sample and a candidate that run together.
ROWS = 256
Pair = tuple[int, tuple[int, ...]]


@torch.no_grad()
def all_scores(model: CausalLM, samples: Sequence[TokenizedSample], pad_id: int) -> list[list[float]]:
    """The summed log-probabilities of the tokens of each sample's candidates, in nats.

    The prompts run through the model once; their key-value cache is repeated for the candidates, which run behind it.

    Args:
        model: The model.
        samples: B samples with candidates.
        pad_id: Token id for padding.
    """
    # All but the prompt's last token go into the cache: that one is fed with each candidate.
    ids, mask = pad_left([sample.prompt_ids[:-1] for sample in samples], pad_id, model.device)
    cache = DynamicCache()
    model.extend(ids, mask, cache)
    candidates = [[tuple(sample.prompt_ids[-1:] + ids) for ids in sample.candidate_ids or []] for sample in samples]
    pairs = [(row, ids) for row, each in enumerate(candidates) for ids in dict.fromkeys(each)]
    pairs.sort(key=lambda pair: -len(pair[1]))  # Those of one length run together.
    scores: dict[Pair, float] = {}
    for start in range(0, len(pairs), ROWS):
        chunk = pairs[start : start + ROWS]
        scores |= zip(chunk, _score(model, chunk, cache, mask, pad_id), strict=True)
    return [[scores[row, ids] for ids in each] for row, each in enumerate(candidates)]


def _score(model: CausalLM, pairs: Sequence[Pair], cache: DynamicCache, mask: Tensor, pad_id: int) -> list[float]:
    rows = torch.tensor([row for row, _ in pairs], device=mask.device)
    padded = pad_sequence([torch.tensor(ids) for _, ids in pairs], batch_first=True, padding_value=pad_id)
    tokens = padded.to(mask.device)
    lengths = torch.tensor([len(ids) - 1 for _, ids in pairs], device=mask.device)
    real = torch.arange(tokens.shape[1] - 1, device=mask.device) < lengths[:, None]
    repeated = DynamicCache()
    layer: Any
    for i, layer in enumerate(cache.layers):
        repeated.update(layer.keys[rows], layer.values[rows], i)
    hidden = model.extend(tokens[:, :-1], torch.cat([mask[rows], real.long()], dim=1), repeated)
    logits = at_least_float32(model.head(hidden[real]))
    log_probs = logits.log_softmax(-1).gather(1, tokens[:, 1:][real][:, None]).squeeze(1)
    sums = torch.zeros(len(pairs), device=mask.device, dtype=log_probs.dtype)
    return sums.index_add_(0, real.nonzero()[:, 0], log_probs).tolist()
