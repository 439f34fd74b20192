"""What a distillation step costs beside a fine-tuning step, on the same batches: cached and live teacher.

Prints median seconds of forward + backward + optimizer step, interleaved, and their ratios to fine-tuning:

    python benchmarks/step_cost.py [rounds]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from scd_lightning.batch import Batch, Slot, TokenizedSample
from scd_lightning.checkpoints.store import CheckpointStore
from scd_lightning.data.collate import collate
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.live import LiveSource
from scd_lightning.teachers.signals import SampleSet, SignalStore
from scd_lightning.teachers.source import TeacherSource

VOCAB, BATCH, PROMPT, COMPLETION, BATCHES = 8000, 8, 96, 32, 4
TEACHER: dict[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
}
STUDENT: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
}


def model(shape: dict[str, Any]) -> CausalLM:
    """A model from scratch."""
    torch.manual_seed(0)
    return CausalLM(LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, tie_word_embeddings=True, **shape)), VOCAB)


def batches() -> list[Batch]:
    """Random batches; the arithmetic does not care what they say."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for first in range(0, BATCH * BATCHES, BATCH):
        ids = [torch.randint(VOCAB, (PROMPT + COMPLETION,), generator=generator).tolist() for _ in range(BATCH)]
        samples = [TokenizedSample(first + i, row[:PROMPT], row[PROMPT:]) for i, row in enumerate(ids)]
        made.append(collate(samples, [Slot(s.index, 1.0, BATCH, BATCH * COMPLETION) for s in samples], pad_id=0))
    return made


def sources(data: list[Batch], folder: Path) -> dict[str, TeacherSource]:
    """A live and a cached source of one stored teacher."""
    teacher = model(TEACHER)
    store = CheckpointStore(folder / "trajectory")
    store.save(teacher, step=1, metrics={})
    count = BATCH * BATCHES
    samples = SampleSet("signals", range(count), [COMPLETION] * count, "benchmark", lambda: data, len(data))
    live = LiveSource(teacher, store)
    cached = CachedSource(store, SignalStore(folder, "32"), samples, lambda: live, torch.device("cpu"))
    for source in (live, cached):
        source.load(0)
    return {"live": live, "cached": cached}


def step(
    student: CausalLM,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    source: TeacherSource | None,
    batch: Batch,
) -> None:
    """One optimizer step, as the framework computes it."""
    teacher: Unprojected | None = None
    weight: Tensor | None = None
    if source is not None:
        with torch.no_grad():
            teacher = source.outputs(batch)
        weight = torch.full((batch.size,), 0.5)
    result = objective(
        student.outputs(batch),
        batch.targets,
        batch.rows,
        batch.sample_weight,
        window_samples=batch.window_samples,
        window_tokens=batch.window_tokens,
        teacher=teacher,
        weight=weight,
    )
    result.loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def main(rounds: int) -> None:
    """Measures and prints."""
    data = batches()
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, TeacherSource | None] = {"fine-tuning": None, **sources(data, Path(folder))}
        runs: dict[str, Callable[[Batch], None]] = {}
        for name, source in kinds.items():
            student = model(STUDENT)
            optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, fused=True)
            runs[name] = partial(step, student, optimizer, Objective(forward_kl), source)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(rounds + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run(data[turn % len(data)])
                if turn:  # the first turn warms up
                    seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["fine-tuning"])
    print(f"{'step':<12} {'median s':>9} {'min':>7} {'max':>7}  x fine-tuning")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<12} {median:9.3f} {min(values):7.3f} {max(values):7.3f}  {median / base:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
