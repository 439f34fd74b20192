"""A model's answers: the best of given candidates, or greedily decoded text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedTokenizerFast

from scd_lightning.batch import TokenizedSample
from scd_lightning.losses.logits import at_least_float32
from scd_lightning.models.causal_lm import CausalLM

# Bounds on the (sample, candidate) pairs that are scored at once: pairs, few enough that their lengths are alike, and
# bytes of their key-value cache and logits. Without the second, 256 prompts of 512 tokens would take a 7B model 65 GB.
CANDIDATE_ROWS = 256
CANDIDATE_BYTES = 1 << 30

Pair = tuple[int, list[int]]


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Attributes:
        value: Index of the best candidate, or generated text.
        probability: The model's own of it: of a candidate among all of the sample's, of a text among all texts, the end
            token included where it was reached.
    """

    value: str | int
    probability: float


def pad_left(sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded on the left, and their attention mask [B, T]."""
    width = max(1, *(len(ids) for ids in sequences))
    gaps = [width - len(ids) for ids in sequences]
    ids = torch.tensor([[pad_id] * gap + list(sequence) for gap, sequence in zip(gaps, sequences, strict=True)])
    mask = torch.tensor([[0] * gap + [1] * (width - gap) for gap in gaps])
    return ids.to(device), mask.to(device)


@torch.no_grad()
def greedy_decode(
    model: CausalLM, tokenizer: PreTrainedTokenizerFast, samples: Sequence[TokenizedSample], max_new_tokens: int
) -> list[Answer]:
    """Decodes an answer for each sample by argmax over the tokenizer's tokens, batched, with a key-value cache.

    transformers' `generate` would fill in whatever the model's own generation settings name (a repetition penalty,
    suppressed tokens), and could choose tokens of a padded vocabulary.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        samples: B samples whose prompts are answered; similar lengths waste least.
        max_new_tokens: Answers are cut after this many tokens.
    """
    end = tokenizer.eos_token_id
    ids, mask = pad_left([sample.prompt_ids for sample in samples], end, model.device)
    cache, steps, surprisals = DynamicCache(), [], []
    done = torch.zeros_like(ids[:, :1], dtype=torch.bool)
    for _ in range(max_new_tokens):
        hidden = model.extend(ids, mask, cache)
        logits = at_least_float32(model.head(hidden[:, -1:]))
        ids = logits.argmax(-1)
        highest = logits.gather(-1, ids[..., None]).squeeze(-1)
        surprisals.append((logits.logsumexp(-1) - highest).masked_fill(done, 0))
        ids = ids.masked_fill(done, end)
        steps.append(ids)
        done |= ids == end
        if not model.joint_passes(int(not done.all())):
            break
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
    texts = decode_answers(tokenizer, torch.cat(steps, dim=1).tolist())
    probabilities = torch.cat(surprisals, dim=1).sum(1).neg().exp().tolist()
    return [Answer(*each) for each in zip(texts, probabilities, strict=True)]


def decode_answers(tokenizer: PreTrainedTokenizerFast, ids: list[list[int]]) -> list[str]:
    """The texts of generated token ids: the token that ends an answer is no part of it, nor are special tokens."""
    # Not by `skip_special_tokens`: a user may name an end that the tokenizer has among its other tokens.
    end = tokenizer.eos_token_id
    answers = [row[: row.index(end)] if end in row else row for row in ids]
    # Cleaning up spaces would change text that must be found in the input again.
    texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return texts


@torch.no_grad()
def best_candidates(model: CausalLM, samples: Sequence[TokenizedSample], pad_id: int) -> list[Answer]:
    """Each sample's most probable candidate, the one of the lowest index on a tie.

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
    cache = DynamicCache()
    model.extend(ids, mask, cache)
    # The last token of the prompt goes before the candidate; equal candidates of a sample are scored once, so that
    # rounding can't tell them apart.
    candidates = [[tuple(sample.prompt_ids[-1:] + ids) for ids in sample.candidate_ids or []] for sample in samples]
    pairs = [(row, list(ids)) for row, each in enumerate(candidates) for ids in dict.fromkeys(each)]
    pairs.sort(key=lambda pair: -len(pair[1]))  # Candidates of one length run together: nothing is padded.
    scores: dict[tuple[int, tuple[int, ...]], float] = {}
    size = _chunk_size(model, cache, max(len(ids) for _, ids in pairs))
    starts = range(0, len(pairs), size)
    for_others = model.joint_passes(len(starts)) - len(starts)
    for start in starts:
        chunk = pairs[start : start + size]
        keys = [(row, tuple(ids)) for row, ids in chunk]
        scores |= zip(keys, _score_chunk(model, chunk, cache, mask, pad_id), strict=True)
    for _ in range(for_others):
        model.join_forward_passes()
    return [_best([scores[row, ids] for ids in each], each) for row, each in enumerate(candidates)]


def _best(scores: Sequence[float], candidates: Sequence[tuple[int, ...]]) -> Answer:
    highest = max(scores)
    # Equal candidates are one answer.
    total = sum(math.exp(score - highest) for score in dict(zip(candidates, scores, strict=True)).values())
    return Answer(scores.index(highest), 1 / total)


def _chunk_size(model: CausalLM, cache: DynamicCache, width: int) -> int:
    """How many pairs fit into the bounds, at least one."""
    layers: list[Any] = cache.layers
    kept = sum(layer.keys[:1].nbytes + layer.values[:1].nbytes for layer in layers)
    # The logits, and their log-softmax in float32.
    return max(1, min(CANDIDATE_ROWS, CANDIDATE_BYTES // (kept + 8 * width * model.vocab_size)))


def _score_chunk(model: CausalLM, pairs: Sequence[Pair], cache: DynamicCache, mask: Tensor, pad_id: int) -> list[float]:
    """Log-probabilities of candidates, each given as (row of the cache, prompt's last token and candidate)."""
    rows = torch.tensor([row for row, _ in pairs], device=mask.device)
    padded = pad_sequence([torch.tensor(ids) for _, ids in pairs], batch_first=True, padding_value=pad_id)
    tokens = padded.to(mask.device)
    lengths = torch.tensor([len(ids) - 1 for _, ids in pairs], device=mask.device)
    real = torch.arange(tokens.shape[1] - 1, device=mask.device) < lengths[:, None]
    chunk = DynamicCache()
    layer: Any
    for i, layer in enumerate(cache.layers):
        chunk.update(layer.keys[rows], layer.values[rows], i)
    hidden = model.extend(tokens[:, :-1], torch.cat([mask[rows], real.long()], dim=1), chunk)
    logits = model.head(hidden[real])
    log_probs = at_least_float32(logits).log_softmax(-1).gather(1, tokens[:, 1:][real][:, None]).squeeze(1)
    sums = torch.zeros(len(pairs), device=mask.device, dtype=log_probs.dtype)
    return sums.index_add_(0, real.nonzero()[:, 0], log_probs).tolist()
