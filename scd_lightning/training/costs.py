"""What a phase costs: time, memory, samples, tokens, padding."""

import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.training.data_module import DomainDataModule


class Meter:
    """Measures from its making to `read`."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._earlier: Mapping[str, Any] = {"seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_bytes": 0}
        # Not merely available: a job may run on the CPU beside a GPU.
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()
        # ru_maxrss never falls within a process; Linux forgets VmHWM when 5 is written here.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def add(self, earlier: Mapping[str, Any]) -> None:
        """Counts what an interrupted run read before it ended: this one goes on with its work."""
        self._earlier = earlier

    def read(self) -> dict[str, Any]:
        """Seconds, CPU-seconds of all threads, and peak memory in bytes of the GPU or else of the process."""
        return {
            "seconds": round(self._earlier["seconds"] + time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(self._earlier["cpu_seconds"] + time.process_time() - self._cpu, 3),
            "peak_memory_bytes": max(self._earlier["peak_memory_bytes"], _peak()),
        }


def _peak() -> int:
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def passed_weights(model: CausalLM) -> int:
    """How many weights each token is multiplied by: all but embeddings, which are looked up, unless they are the head.

    Args:
        model: The model; of one that is cut over processes, those of all of them are counted.
    """
    head, embeddings = (
        cast(nn.Linear | nn.Embedding, each).weight
        for each in (model.base.get_output_embeddings(), model.base.get_input_embeddings())
    )
    return sum(p.numel() for p in model.parameters()) - (0 if head is embeddings else embeddings.numel())


def training_volume(data: DomainDataModule, curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Samples, tokens and share of padding of a training, over all processes and micro-batches.

    Args:
        data: What it went through.
        curve: Its epochs, each with its last optimizer step: it may have ended early.
    """
    sampler, samples, tokens, padded = data.train_sampler(), 0, 0, 0
    for epoch, (first, last) in enumerate(pairwise([0, *(point["step"] for point in curve)])):
        sampler.set_epoch(epoch)
        plan = sampler.plan
        lengths = [plan.lengths[index] for batch in plan.batches[: last - first] for index in batch]
        samples, tokens = samples + len(lengths), tokens + sum(lengths)
        padded += plan.padded_tokens(sampler.world_size, sampler.micro_batches, last - first)
    return {"samples": samples, "tokens": tokens, "padding_share": round(1 - tokens / padded, 4)}
