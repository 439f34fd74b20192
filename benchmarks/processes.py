"""Two processes on the CPU beside one with as many threads: the same training, the same batches."""

import json
import os
import statistics
from typing import Any

from benchmarks.commands import fine_tune_teacher
from benchmarks.rows import spread
from benchmarks.settings import Settings

# Fine-tuning of the teacher on the embedded data; the second is as wide as it takes for products of matrices to rule.
_WIDE = (
    "teacher.architecture.hidden_size=384",
    "teacher.architecture.intermediate_size=1024",
    "teacher.architecture.num_hidden_layers=6",
    "teacher.architecture.num_attention_heads=6",
    "teacher.architecture.num_key_value_heads=6",
)
_MODELS: dict[str, tuple[str, ...]] = {"tiny": (), "wide": _WIDE}
_WAYS = {"one process, 2 threads": ("trainer=cpu", 2), "two processes, 1 thread each": ("trainer=ddp_cpu", 1)}
_STEPS = {"tiny": 100, "wide": 40}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a model and way: "model", "way", "rounds", "seconds" a step {median, min, max} of the rounds' medians.

    Ways take turns.
    """
    if (os.cpu_count() or 1) < 2:
        raise RuntimeError("two processes need two cores")
    rounds = 1 if settings.quick else 5
    taken: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds):
        for model in _MODELS:
            for way in _WAYS:
                taken.setdefault((model, way), []).append(_seconds(settings, model, way, turn))
    return [
        {"model": model, "way": way, "rounds": rounds, "seconds": spread(seconds)}
        for (model, way), seconds in taken.items()
    ]


def _seconds(settings: Settings, model: str, way: str, turn: int) -> float:
    trainer, threads = _WAYS[way]
    name = f"{model}-{trainer.removeprefix('trainer=')}-{turn}"
    answer = settings.folder / f"{name}.json"
    timer = "{_target_: benchmarks.throughput.Throughput, _partial_: true, file: '" + str(answer) + "'}"
    steps = 12 if settings.quick else _STEPS[model]
    overrides = [
        trainer,
        f"task.data.synthetic={{train: {16 * steps}, validation: 8, test: 8}}",
        "teacher.epochs=1",
        "teacher.global_batch=16",
        "allowed_targets=[benchmarks]",
        f"+callbacks.throughput={timer}",
        *_MODELS[model],
    ]
    fine_tune_teacher(settings, settings.folder / name, overrides, threads)
    return statistics.median(json.loads(answer.read_text()))
