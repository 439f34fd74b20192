"""A tiny teacher with a trajectory, and the samples it is asked about."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from scd_lightning.batch import Batch, Slot, TokenizedSample
from scd_lightning.data.collate import collate
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SampleSet

VOCABULARY = 50


def make_model(dtype: torch.dtype = torch.float32, *, lora: bool = False, seed: int = 0) -> CausalLM:
    """A Llama of two layers, with dropout so that a teacher left in train mode shows."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY + 6,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        attention_dropout=0.3,
    )
    base = LlamaForCausalLM(config)
    nn.Module.to(base, dtype)
    for parameter in base.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(8)
    model: nn.Module = base
    if lora:
        model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")).to(dtype)
    return CausalLM(model, VOCABULARY)


def samples() -> list[TokenizedSample]:
    """Eleven samples of all lengths."""
    generator = torch.Generator().manual_seed(3)

    def ids(count: int) -> list[int]:
        return torch.randint(2, VOCABULARY, (count,), generator=generator).tolist()

    return [TokenizedSample(i, ids(1 + 5 * i % 7), [*ids(3 * i % 5), 0]) for i in range(11)]


def batches(indices: Sequence[int], rank: int = 0, world_size: int = 1, size: int = 2) -> Iterable[Batch]:
    """One process's batches in a fixed order, filled up with a sample of weight 0."""
    every = samples()
    chunks = [list(indices[i : i + size * world_size]) for i in range(0, len(indices), size * world_size)]
    for chunk in chunks:
        mine = [Slot(i, 1.0, len(chunk), 1) for i in chunk[rank::world_size]]
        slots = mine + [Slot(chunk[0], 0.0, len(chunk), 1)] * (size - len(mine))
        yield collate([every[slot.index] for slot in slots], slots, pad_id=0)


def sample_set(indices: Sequence[int] = range(11), rank: int = 0, world_size: int = 1) -> SampleSet:
    """Signals' view of some of the samples."""
    lengths = [len(samples()[i].completion_ids) for i in indices]
    make = partial(batches, indices, rank, world_size)
    return SampleSet("signals", indices, lengths, f"digest of {list(indices)}", make, len(indices) // world_size)


def trajectory(root: Path, model: CausalLM, *, keep_frozen: bool = True, count: int = 3) -> CheckpointStore:
    """Checkpoints whose trained weights were moved at random."""
    store = CheckpointStore(root)
    torch.manual_seed(1)
    for step in range(1, count + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.3)
        store.save(model, step, {}, keep_frozen=keep_frozen)
    return store


@dataclass
class Made:
    """What most tests need: a trajectory and how to make its live teacher."""

    store: CheckpointStore
    live: Callable[[], LiveSource]
    root: Path


@pytest.fixture
def make_teacher(tmp_path: Path) -> Callable[..., Made]:
    """Makes a trajectory of a dtype, of adapters or of all weights."""

    def make(dtype: torch.dtype = torch.float32, *, lora: bool = False, **context: Any) -> Made:
        store = trajectory(tmp_path / f"trajectory-{lora}", make_model(dtype, lora=lora), keep_frozen=not lora)
        return Made(store, lambda: LiveSource(make_model(dtype, lora=lora), store, **context), tmp_path / "signals")

    return make


@pytest.fixture
def helpers(request: pytest.FixtureRequest) -> Any:
    """This file's plain functions."""
    module = request.config.pluginmanager.get_plugin(str(Path(__file__)))
    assert module is not None
    return module
