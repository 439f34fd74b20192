"""A model's answers: the best of given candidates, or greedily decoded text."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedTokenizerFast

from scd_lightning.batch import TokenizedSample
from scd_lightning.models.causal_lm import CausalLM

# Rows of the expanded key-value cache that are scored at once; bounds the memory of many-label tasks.
CANDIDATE_ROWS = 512


def pad_left(sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded on the left, and their attention mask [B, T]."""
    width = max(1, *(len(ids) for ids in sequences))
    ids = torch.full((len(sequences), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return ids.to(device), mask.to(device)


@torch.no_grad()
def greedy_decode(
    model: CausalLM, tokenizer: PreTrainedTokenizerFast, samples: Sequence[TokenizedSample], max_new_tokens: int
) -> list[str]:
    """Decodes an answer for each sample by argmax, batched, with a key-value cache.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        samples: Samples whose prompts are answered; similar lengths waste least.
        max_new_tokens: Answers are cut after this many tokens.
    """
    ids, mask = pad_left([s.prompt_ids for s in samples], tokenizer.pad_token_id, model.device)
    # A model's own generation settings (sampling, penalties) must not colour an evaluation: only these count.
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        use_cache=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    output = cast(Any, model.base).generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)


@torch.no_grad()
def best_candidates(model: CausalLM, samples: Sequence[TokenizedSample], pad_id: int) -> list[int]:
    """Index of each sample's most probable candidate, the lowest on a tie.

    A candidate's score is the sum of the log-probabilities of its tokens, EOS included. The prompt runs through
    the model once; its key-value cache is repeated for the candidates, which run on top of it in chunks.

    Args:
        model: The model.
        samples: B samples with candidates.
        pad_id: Token id for padding.
    """
    # All but the prompt's last token go into the shared cache: that token is fed with each candidate, so that
    # one place computes every candidate token's log-probability.
    ids, mask = pad_left([sample.prompt_ids[:-1] for sample in samples], pad_id, model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = model.body(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True).past_key_values
    return [
        int(max(range(len(scores)), key=lambda i: (scores[i], -i)))
        for scores in _candidate_scores(model, samples, cache, mask, pad_id)
    ]


def _candidate_scores(
    model: CausalLM, samples: Sequence[TokenizedSample], cache: DynamicCache, mask: Tensor, pad_id: int
) -> Iterator[list[float]]:
    """Each sample's candidate scores; chunks of (sample, candidate) pairs keep the expanded cache bounded."""
    pairs = [(row, ids) for row, s in enumerate(samples) for ids in s.candidate_ids or []]
    scores: list[float] = []
    for start in range(0, len(pairs), CANDIDATE_ROWS):
        scores += _score_chunk(model, samples, pairs[start : start + CANDIDATE_ROWS], cache, mask, pad_id)
    position = 0
    for sample in samples:
        count = len(sample.candidate_ids or [])
        yield scores[position : position + count]
        position += count


def _score_chunk(
    model: CausalLM,
    samples: Sequence[TokenizedSample],
    pairs: Sequence[tuple[int, list[int]]],
    cache: DynamicCache,
    mask: Tensor,
    pad_id: int,
) -> list[float]:
    device = mask.device
    rows = torch.tensor([row for row, _ in pairs], device=device)
    width = max(len(ids) for _, ids in pairs)
    # Input is the prompt's last token and the candidate but for its last token; targets are the candidate.
    inputs = torch.full((len(pairs), width), pad_id, dtype=torch.long)
    targets = torch.full((len(pairs), width), -1, dtype=torch.long)
    for i, (row, ids) in enumerate(pairs):
        inputs[i, : len(ids)] = torch.tensor([samples[row].prompt_ids[-1], *ids[:-1]])
        targets[i, : len(ids)] = torch.tensor(ids)
    inputs, targets = inputs.to(device), targets.to(device)
    real = targets >= 0
    chunk = DynamicCache(config=model.base.config)
    layer: Any
    for i, layer in enumerate(cache.layers):
        chunk.update(layer.keys[rows], layer.values[rows], i)
    output = model.body(
        input_ids=inputs,
        attention_mask=torch.cat([mask[rows], real.long()], dim=1),
        position_ids=mask.sum(1)[rows, None] + torch.arange(width, device=device),
        past_key_values=chunk,
        use_cache=True,
    )
    logits = model.head(output.last_hidden_state[real])
    at_least_float32 = torch.promote_types(logits.dtype, torch.float32)
    log_probs = logits.log_softmax(-1, dtype=at_least_float32).gather(1, targets[real, None]).squeeze(1)
    sums = torch.zeros(len(pairs), device=device, dtype=log_probs.dtype)
    sums.index_add_(0, real.nonzero()[:, 0], log_probs)
    return sums.tolist()
