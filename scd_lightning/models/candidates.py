"""A model's answers where a sample has candidates: the most probable one, without scoring each of them."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from scd_lightning.batch import Batch, TokenizedSample
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.logits import logit_blocks
from scd_lightning.models.answers import Answer
from scd_lightning.models.best_first import Search
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.trie import Node, tree

# Bounds on what is read at once behind prompts: rows, and bytes of their key-value cache and hidden states. Without the
# second, 256 prompts of 512 tokens would take a 7B model 65 GB.
CANDIDATE_ROWS = 256
CANDIDATE_BYTES = 1 << 30


@dataclass(frozen=True)
class PromptsRead:
    """What a pass over B samples' prompts has left.

    Attributes:
        cache: Keys and values [B, H, T, D] of prompts, and of what may stand behind them, padded on the right.
        lengths: [B], tokens of each prompt.
        hidden: [K, D], the last state of each prompt, and those after it, row by row.
        behind: The tokens that stand behind each prompt; a row of M has M states, and one of none has one.
    """

    cache: DynamicCache
    lengths: Tensor
    hidden: Tensor
    behind: Sequence[Sequence[int]]


@torch.no_grad()
def read_prompts(model: CausalLM, samples: Sequence[TokenizedSample], pad_id: int) -> PromptsRead:
    """Runs B samples' prompts through the model, and nothing behind them.

    Args:
        model: The model.
        samples: The samples.
        pad_id: Token id for padding.
    """
    cache = DynamicCache()
    ids = _padded([sample.prompt_ids for sample in samples], pad_id).to(model.device)
    lengths = torch.tensor([len(sample.prompt_ids) for sample in samples], device=model.device)
    hidden = model.read(ids, cache)[torch.arange(len(samples), device=model.device), lengths - 1]
    return PromptsRead(cache, lengths, hidden, [()] * len(samples))


@torch.no_grad()
def read_with_gold(
    model: CausalLM, batch: Batch, samples: Sequence[TokenizedSample]
) -> tuple[Unprojected, PromptsRead]:
    """Runs prompts and gold answers through the model: one pass for gold's losses, and for the model's own answers.

    Args:
        model: The model.
        batch: B samples.
        samples: The same in their order.

    Returns:
        What the head makes logits of, and what is left of the prompts.
    """
    cache = DynamicCache()
    outputs = model.outputs(batch, cache)
    lengths = torch.tensor([len(sample.prompt_ids) for sample in samples], device=model.device)
    return outputs, PromptsRead(cache, lengths, outputs.hidden, [sample.completion_ids for sample in samples])


@torch.no_grad()
def best_candidates(
    model: CausalLM,
    samples: Sequence[TokenizedSample],
    pad_id: int,
    read: PromptsRead | None = None,
    probabilities: bool = False,
) -> list[Answer]:
    """Each sample's most probable candidate, the one of the lowest index among those that are equal.

    A candidate's score is the sum of the log-probabilities of its tokens, EOS included; scores within 1e-4 nats are
    equal. The samples' searches, best first through the trees of their candidates' tokens, step together.

    Args:
        model: The model.
        samples: B samples with candidates.
        pad_id: Token id for padding.
        read: What was read of the samples in this order; None has their prompts read. A candidate read there costs no
            more, and bounds the others.
        probabilities: Whether probabilities are asked for, to +- .001, which takes more of the model.
    """
    read = read_prompts(model, samples, pad_id) if read is None else read
    prompts = _left_aligned(read)
    searches = [Search(tree(tuple(map(tuple, sample.candidate_ids or []))), probabilities) for sample in samples]
    _take_read(model, searches, read)
    while True:
        wanted = [(row, node) for row, search in enumerate(searches) for node in search.next()]
        wanted.sort(key=lambda each: -len(each[1].reads))  # Rows of like lengths run together.
        size = _chunk_size(read, max((len(node.reads) for _, node in wanted), default=0))
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        passes = model.joint_passes(len(chunks))
        if not passes:
            break
        for chunk in chunks:
            _extend(model, searches, chunk, prompts, pad_id)
        for _ in range(passes - len(chunks)):
            model.join_forward_passes()
    return [_answer(search, sample.candidate_ids or []) for search, sample in zip(searches, samples, strict=True)]


def _answer(search: Search, candidates: Sequence[Sequence[int]]) -> Answer:
    if not search.probabilities:
        return Answer(search.answer)
    shares, first = search.shares(), dict[tuple[int, ...], int]()
    for position, ids in enumerate(candidates):
        first.setdefault(tuple(ids), position)
    return Answer(search.answer, shares[search.answer], [shares.get(first[tuple(ids)], 0.0) for ids in candidates])


def _take_read(model: CausalLM, searches: Sequence[Search], read: PromptsRead) -> None:
    """Has the searches know what a pass over prompts, and over what stands behind them, says."""
    asked, first_state = [], 0
    for search, behind in zip(searches, read.behind, strict=True):
        states = max(1, len(behind))
        nodes = [node for node in search.root.along(behind) if node.asks and node.asks[-1][0] < states]
        asked += [(search, node, first_state) for node in nodes]
        first_state += states
    _ask(model, read.hidden, asked)


def _extend(
    model: CausalLM, searches: Sequence[Search], chunk: Sequence[tuple[int, Node]], prompts: "_Prompts", pad_id: int
) -> None:
    """Runs what (row of the cache, open node) wants to have read through the model, and tells the searches."""
    rows = torch.tensor([row for row, _ in chunk], device=model.device)
    tokens = _padded([node.reads for _, node in chunk], pad_id).to(model.device)
    lengths = torch.tensor([len(node.reads) for _, node in chunk], device=model.device)
    real = torch.arange(tokens.shape[1], device=model.device) < lengths[:, None]
    hidden = model.extend(tokens, torch.cat([prompts.real[rows], real], dim=1).long(), prompts.of(rows))
    # The state behind j tokens stands at j - 1: the one behind the prompt is not among them.
    asked = [(searches[row], node, i * tokens.shape[1] - 1) for i, (row, node) in enumerate(chunk)]
    _ask(model, hidden.flatten(0, 1), asked)


def _ask(model: CausalLM, hidden: Tensor, asked: Sequence[tuple[Search, Node, int]]) -> None:
    """Tells searches the log-probabilities that their nodes ask for.

    Args:
        model: The model.
        hidden: States [K, D].
        asked: Each with an open node, and where the state behind the prompt stands, or would.
    """
    states: list[int] = []
    places: list[int] = []  # of the state that a token follows, among those
    tokens: list[int] = []
    for _, node, first in asked:
        for offset, token in node.asks:
            if not states or states[-1] != first + offset:
                states.append(first + offset)
            places.append(len(states) - 1)
            tokens.append(token)
    log_probs = _log_probs(Unprojected(hidden[torch.tensor(states, device=hidden.device)], model.head), places, tokens)
    for search, node, _ in asked:
        search.take(node, log_probs[: len(node.asks)])
        log_probs = log_probs[len(node.asks) :]


def _log_probs(outputs: Unprojected, places: Sequence[int], tokens: Sequence[int]) -> list[float]:
    """Log-probabilities of tokens, each behind one of K states, which are named in ascending order."""
    found, device = [], outputs.hidden.device
    at, wanted = torch.tensor(places, device=device), torch.tensor(tokens, device=device)
    for block, logits in logit_blocks(outputs):
        part = slice(bisect_left(places, block.start), bisect_left(places, block.stop))
        rows = at[part] - block.start
        found.append(logits[rows, wanted[part]] - logits.logsumexp(-1)[rows])
    # What is no number is worth nothing, and ends no search.
    return torch.cat(found).nan_to_num(nan=-torch.inf, neginf=-torch.inf).tolist()


@dataclass(frozen=True)
class _Prompts:
    """B prompts, padded on the left to P tokens.

    Attributes:
        layers: Keys and values [B, H, P, D] of each layer.
        real: [B, P], what is no padding.
    """

    layers: Sequence[tuple[Tensor, Tensor]]
    real: Tensor

    def of(self, rows: Tensor) -> DynamicCache:
        """A cache of some rows [R], which may be the same one several times."""
        cache = DynamicCache()
        for i, layer in enumerate(self.layers):
            keys, values = (each.index_select(0, rows) for each in layer)
            cache.update(keys, values, i)
        return cache


def _left_aligned(read: PromptsRead) -> _Prompts:
    """The prompts alone, without what was read behind them.

    Models with a sliding window go by places in the cache: what follows has to stand right behind a prompt.
    """
    width, device = int(read.lengths.max()), read.lengths.device
    places = torch.arange(width, device=device) - (width - read.lengths)[:, None]
    rows, at = torch.arange(len(places), device=device)[:, None], places.clamp(min=0)
    layers: list[Any] = read.cache.layers
    aligned = [
        tuple(each[rows, :, at].transpose(1, 2).contiguous() for each in (layer.keys, layer.values)) for layer in layers
    ]
    return _Prompts(aligned, places >= 0)


def _chunk_size(read: PromptsRead, width: int) -> int:
    """How many rows with a number of tokens behind the prompt fit into the bounds, at least one."""
    layers: list[Any] = read.cache.layers
    places, hidden = layers[0].keys.shape[2], read.hidden[:1].nbytes
    of_place = sum(layer.keys[:1, :, :1].nbytes + layer.values[:1, :, :1].nbytes for layer in layers)
    return max(1, min(CANDIDATE_ROWS, CANDIDATE_BYTES // ((places + width) * of_place + width * hidden)))


def _padded(sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    """Token ids [B, T], padded on the right."""
    width = max(map(len, sequences))
    return torch.tensor([[*ids, *[pad_id] * (width - len(ids))] for ids in sequences])
