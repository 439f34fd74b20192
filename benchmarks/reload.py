"""How fast a checkpoint's weights come back into a model, beside the machine's own speed of copying."""

import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.contenders.gate import synchronize
from benchmarks.process import fresh
from benchmarks.rows import spread
from benchmarks.settings import Settings
from scd_lightning.store.checkpoints import CheckpointStore

_MODELS: dict[str, dict[str, Any]] = {
    # The shape of SmolLM2-135M, and of `teacher=scratch`.
    "135M": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "tiny": {
        "vocab_size": 896,
        "hidden_size": 112,
        "intermediate_size": 304,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    },
}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a model: "model", "bytes", "rounds", "first_seconds", "seconds" {load, copy, memcpy: {median, min, max}}.

    `load` is `CheckpointStore.load_into` with the files in the page cache and their digests checked before; `copy` is
    torch's `copy_` of the same tensors from other ones in memory; `memcpy` that of one block of as many bytes. On a GPU
    all go there from the memory of the machine.
    """
    rounds = {"135M": 21, "tiny": 20 if settings.quick else 200}
    models = ["tiny"] if settings.quick else list(_MODELS)
    orders = [{"model": name, "rounds": rounds[name], "device": settings.device} for name in models]
    return [fresh(settings, "benchmarks.reload", order) for order in orders]


def _row(name: str, rounds: int, device: str, folder: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **_MODELS[name]))
    # The method of transformers hides its types.
    torch.nn.Module.to(model, device)
    store = CheckpointStore(folder)
    store.save(model, step=1, metrics={})
    first = _seconds(lambda: store.load_into(model, 0), device)
    tensors = list(model.parameters())
    size = sum(tensor.nbytes for tensor in tensors)
    ways: dict[str, Callable[[], object]] = {
        "load": lambda: store.load_into(model, 0),
        "copy": _copy(tensors),
        "memcpy": _memcpy(size) if device == "cpu" else _block(size, device),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, run in ways.items():
            seconds = _seconds(run, device)
            if turn:  # The first turn touches memory for the first time.
                taken[way].append(seconds)
    spreads = {way: spread(seconds) for way, seconds in taken.items()}
    return {"model": name, "bytes": size, "rounds": rounds, "first_seconds": first, "seconds": spreads}


def _seconds(run: Callable[[], object], device: str) -> float:
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start


@torch.no_grad()
def _copy(targets: list[nn.Parameter]) -> Callable[[], None]:
    sources = [tensor.detach().cpu().clone() for tensor in targets]

    def run() -> None:
        for target, source in zip(targets, sources, strict=True):
            target.detach().copy_(source)

    return run


def _memcpy(size: int) -> Callable[[], object]:
    source, target = (torch.ones(size, dtype=torch.uint8) for _ in range(2))
    addresses: tuple[Tensor, Tensor] = (target, source)  # Keeps both alive.
    return lambda: ctypes.memmove(addresses[0].data_ptr(), addresses[1].data_ptr(), size)


def _block(size: int, device: str) -> Callable[[], object]:
    source, target = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8, device=device)
    return lambda: target.copy_(source)


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        Path(sys.argv[2]).write_text(json.dumps(_row(order["model"], order["rounds"], order["device"], Path(root))))
