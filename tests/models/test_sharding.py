"""A model in two parts does what the whole one does: forward, answers, backward and optimizer step."""

import copy
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

from scd_lightning.batch import Slot, TokenizedSample
from scd_lightning.data.collate import collate
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.models import candidates
from scd_lightning.models.candidates import best_candidates, read_with_gold
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode
from scd_lightning.models.sharding import process_mesh, shard
from scd_lightning.store.sharded import whole

END, PAD = 0, 1
FAMILIES = ["llama", "qwen3", "mistral", "gemma3", "gpt2", "gptj", "phi", "bloom"]
# An odd number of rows can't be halved.
UNEVEN = {"llama": {"intermediate_size": 47}, "qwen3": {"vocab_size": 301}}


def samples(rank, choices=0):
    """The processes have other numbers of samples, of other lengths."""
    generator = torch.Generator().manual_seed(rank)

    def ids(count):
        return torch.randint(2, 200, (count,), generator=generator).tolist()

    lengths = [[9, 4], [3, 12, 7, 5, 2]][rank]
    return [
        TokenizedSample(i, ids(n), [*ids(3), END], [[*ids(1 + i % 3), END] for _ in range(choices + i)])
        for i, n in enumerate(lengths)
    ]


def batch_of(rank):
    slots = [Slot(each.index, 1.0, 7, 28) for each in samples(rank)]
    return collate(samples(rank), slots, PAD)


@pytest.fixture
def pairs(make_model, tokenizer):
    """Families' models, and the same again to be cut."""
    models = {name: make_model(name, **UNEVEN.get(name, {})) for name in FAMILIES}
    vocabulary = len(tokenizer)
    return {
        name: (CausalLM(model, vocabulary), CausalLM(copy.deepcopy(model), vocabulary))
        for name, model in models.items()
    }


def loss_of(model, batch):
    objective = Objective(divergence=forward_kl)
    return objective(
        model.outputs(batch),
        batch.targets,
        batch.rows,
        batch.sample_weight,
        window_samples=batch.window_samples,
        window_tokens=batch.window_tokens,
    ).loss


def optimizer_of(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)


def held(tensors):
    """Numbers of these tensors in this process's memory."""
    return sum((tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel() for tensor in tensors)


def forward_work(pairs):
    batch = batch_of(dist.get_rank())
    for name, (model, parts) in pairs.items():
        shard(parts, process_mesh("cpu"))
        head = parts.head  # before any forward pass, as a probe of the student has it
        with torch.no_grad():
            torch.testing.assert_close(head(parts.hidden(batch)), model.logits(batch), msg=name)
            expected = chunked_cross_entropy(model.outputs(batch), batch.targets)
            torch.testing.assert_close(chunked_cross_entropy(parts.outputs(batch), batch.targets), expected, msg=name)


def test_forward(pairs, in_two_processes):
    assert in_two_processes(partial(forward_work, pairs)) == [0, 0]


def values(answers):
    return [answer.value for answer in answers]


def answer_work(pairs, tokenizer, monkeypatch):
    rank = dist.get_rank()
    for name, (model, parts) in pairs.items():
        shard(parts, process_mesh("cpu"))
        with monkeypatch.context() as patch:
            patch.setattr(candidates, "CANDIDATE_ROWS", 3)
            choices = samples(rank, choices=2)
            best = best_candidates(model, choices, PAD)
            assert best_candidates(parts, choices, PAD) == best, name
            batch = collate(choices, [Slot(each.index, 1.0, 7, 28) for each in choices], PAD)
            assert best_candidates(parts, choices, PAD, read_with_gold(parts, batch, choices)[1]) == best, name
            # One process has to know more than the other.
            sure = [best_candidates(each, choices, PAD, probabilities=rank == 0) for each in (parts, model)]
            assert values(sure[0]) == values(sure[1]) == values(best), name
        arguments = (tokenizer, samples(rank), 6)
        assert values(greedy_decode(parts, *arguments)) == values(greedy_decode(model, *arguments)), name


def test_answers_to_other_numbers_of_samples(pairs, tokenizer, in_two_processes, monkeypatch):
    chosen = {name: pairs[name] for name in ("llama", "qwen3", "gpt2")}
    assert in_two_processes(partial(answer_work, chosen, tokenizer, monkeypatch)) == [0, 0]


def training_work(pairs, steps=3, passes=2):
    rank = dist.get_rank()
    batches = [batch_of(each) for each in range(2)]
    for name, (model, parts) in pairs.items():
        count = held(model.parameters())
        shard(parts, process_mesh("cpu"))
        assert held(parts.parameters()) <= 0.52 * count, name
        optimizers = [optimizer_of(each) for each in (model, parts)]
        for _ in range(steps):
            for _ in range(passes):
                sum(loss_of(model, batch) for batch in batches).backward()
                # Gradients are averaged, as those of DDP are.
                (loss_of(parts, batches[rank]) * 2).backward()
            norms = [whole(clip_grad_norm_(each.parameters(), 0.5)) for each in (model, parts)]
            torch.testing.assert_close(norms[1], norms[0], msg=name)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        state = [value for each in optimizers[1].state.values() for key, value in each.items() if key != "step"]
        assert held(state) == 2 * held(parts.parameters()) <= 1.04 * count, name
        found = dict(parts.named_parameters())
        assert found.keys() == dict(model.named_parameters()).keys()
        for weight, expected in model.named_parameters():
            torch.testing.assert_close(whole(found[weight]), expected, rtol=0, atol=1e-9, msg=f"{name} {weight}")
        # The head that is used next is that of after the step.
        with torch.no_grad():
            torch.testing.assert_close(parts.logits(batches[rank]), model.logits(batches[rank]), msg=name)


def test_training(pairs, in_two_processes):
    for model, parts in pairs.values():
        model.eval(), parts.eval()  # no dropout
    assert in_two_processes(partial(training_work, pairs)) == [0, 0]
