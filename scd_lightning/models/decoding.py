"""A model's answers, decoded greedily."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerFast

from scd_lightning.batch import TokenizedSample
from scd_lightning.losses.logits import at_least_float32
from scd_lightning.models.answers import Answer
from scd_lightning.models.causal_lm import CausalLM


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
    generated, of_tokens = torch.cat(steps, dim=1).tolist(), torch.cat(surprisals, dim=1)
    texts, probabilities = decode_answers(tokenizer, generated), of_tokens.sum(1).neg().exp().tolist()
    breaks: dict[int, int] = {}
    lines = [
        _line_probabilities(tokenizer, row, surprisal, breaks)
        for row, surprisal in zip(generated, of_tokens.tolist(), strict=True)
    ]
    found = zip(texts, probabilities, lines, done[:, 0].tolist(), strict=True)
    return [Answer(text, whole, lines=each, ended=ended) for text, whole, each, ended in found]


def _line_probabilities(
    tokenizer: PreTrainedTokenizerFast, ids: Sequence[int], surprisals: Sequence[float], breaks: dict[int, int]
) -> list[float]:
    """The probability of each line of an answer, given those before it.

    A line break counts to the line that it ends, for there a name might have gone on; the end of the answer counts to
    none, for it says that nothing follows.

    Args:
        tokenizer: The tokenizer.
        ids: The answer's tokens, its end repeated as padding.
        surprisals: Of each token, in nats.
        breaks: Line breaks in tokens that were met before; others are added.
    """
    lines = [0.0]
    for token, surprisal in zip(ids, surprisals, strict=True):
        if token == tokenizer.eos_token_id:
            break
        if token not in breaks:
            breaks[token] = tokenizer.decode([token]).count("\n")
        lines[-1] -= surprisal
        lines += [0.0] * breaks[token]
    return [math.exp(line) for line in lines]


def decode_answers(tokenizer: PreTrainedTokenizerFast, ids: list[list[int]]) -> list[str]:
    """The texts of generated token ids: the token that ends an answer is no part of it, nor are special tokens."""
    # Not by `skip_special_tokens`: a user may name an end that the tokenizer has among its other tokens.
    end = tokenizer.eos_token_id
    answers = [row[: row.index(end)] if end in row else row for row in ids]
    # Cleaning up spaces would change text that must be found in the input again.
    texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return texts
