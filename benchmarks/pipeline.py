"""Whole commands of run.py on a device: precisions, teachers whose signals are stored and live ones, side by side."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import run_python
from benchmarks.rows import Row
from benchmarks.settings import Settings

MODELS = ("teacher", "anchor", "student")
# Enough that answers end, as few as that takes: what is looked at is whether all of it works, and is the same.
_EMBEDDED = (
    "task.data.synthetic={train: 600, validation: 60, test: 120}",
    "teacher.epochs=4",
    "budget=paper",
    "budget.stages=2",
    "budget.stage_epochs=2",
)
_PRETRAINED = (
    "teacher=smollm2_trimmed",
    "student=smollm2_small",
    "student.keep_layers=4",
    "task.data.synthetic={train: 160, validation: 32, test: 48}",
    "teacher.epochs=2",
    "teacher.checkpoints=2",
    "budget.stages=2",
    "budget.stage_epochs=1",
)
_QUICK = ("debug=smoke",)


@dataclass(frozen=True)
class Command:
    """One command of run.py.

    Attributes:
        models: What tables call the pair of models.
        device: "cpu" or "cuda".
        precision: Lightning's.
        teacher: "cached" or "live".
        overrides: What else is set.
        beside: The command whose losses on test samples it should have; None for one that others are held against.
    """

    models: str
    device: str
    precision: str
    teacher: str
    overrides: tuple[str, ...]
    beside: "Command | None" = None

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return f"{self.models}, {self.device} {self.precision}, {self.teacher}"

    @property
    def arguments(self) -> list[str]:
        """What follows run.py, folders apart."""
        accelerator = "gpu" if self.device == "cuda" else "cpu"
        device = [f"trainer={accelerator}", f"trainer.precision={self.precision}"]
        return [*device, "method=scd_aw", f"method.teacher={self.teacher}", "logger=none", *self.overrides]


def commands(settings: Settings) -> list[Command]:
    """All commands, each after the one that it is held against.

    Args:
        settings: The settings; on a GPU, float32 is held against the CPU's, and bfloat16 measured too.
    """
    on_gpu = settings.device == "cuda"
    embedded = _QUICK if settings.quick else _EMBEDDED
    reference = Command("embedded", "cpu", "32-true", "cached", embedded) if on_gpu else None
    found = [reference] if reference else []
    found += _cached_and_live("embedded", settings.device, "32-true", embedded, reference)
    if on_gpu:
        found += _cached_and_live("embedded", settings.device, "bf16-mixed", embedded)
    if settings.model is not None:
        files = tuple(f"{role}.gguf='{settings.model}'" for role in ("teacher", "student"))
        overrides = (*_PRETRAINED, *files, *(_QUICK if settings.quick else ()))
        found += _cached_and_live(
            settings.model.stem, settings.device, "bf16-mixed" if on_gpu else "32-true", overrides
        )
    return found


def _cached_and_live(
    models: str, device: str, precision: str, overrides: tuple[str, ...], beside: Command | None = None
) -> list[Command]:
    cached = Command(models, device, precision, "cached", overrides, beside)
    return [cached, Command(models, device, precision, "live", overrides, cached)]


def measure(settings: Settings) -> Iterator[Row]:
    """One row a command, as soon as it is done; see `row`. What fails is a row too.

    Args:
        settings: The settings.
    """
    for command in commands(settings):
        made = row(settings, command)
        told = f"failed: {made['error']}" if made["error"] else f"{made['seconds']:.0f} s"
        print(f"{command.name}: {told}", file=sys.stderr, flush=True)
        yield made


def row(settings: Settings, command: Command) -> Row:
    """Runs a command.

    Args:
        settings: The settings.
        command: The command.

    Returns:
        "name" and the command's fields; "error", what it printed last where it failed, or None; and
        seconds: of the whole process;
        phases: phase -> seconds, peak_memory_bytes and, where it trained, tokens_per_second; those alone that were not
            in the store already;
        scores: model -> the task's metric on the test split;
        apart: model -> the largest difference between a test sample's losses here and by `beside`; None without one.
    """
    about = {"models": command.models, "device": command.device, "precision": command.precision}
    beside = command.beside.name if command.beside else None
    common = {"name": command.name, **about, "teacher": command.teacher, "beside": beside}
    folder = _folder(settings, command)
    # Commands that differ in nothing but how signals reach the student share teacher and anchor.
    store = settings.folder / "pipeline" / f"{command.models}-{command.device}-{command.precision}"
    start = time.perf_counter()
    try:
        places = [f"paths.store='{store}'", f"hydra.run.dir='{folder}'"]
        run_python(["run.py", *command.arguments, *places], settings.environment)
        seconds = time.perf_counter() - start
        return common | {"error": None, "seconds": round(seconds, 2)} | _found(settings, command, folder)
    except (RuntimeError, OSError) as error:
        return common | {"error": str(error)}


def _folder(settings: Settings, command: Command) -> Path:
    return settings.folder / "pipeline" / command.name.replace(" ", "-").replace(",", "")


def _found(settings: Settings, command: Command, folder: Path) -> dict[str, Any]:
    results = json.loads((folder / "results.json").read_text())
    costs = json.loads((folder / "costs.json").read_text())
    apart = None
    if command.beside is not None:
        other = _folder(settings, command.beside)
        apart = {model: _apart(_losses(folder, model), _losses(other, model)) for model in MODELS}
    metric = results["primary_metric"]
    return {
        "phases": {phase: _phase(cost) for phase, cost in costs.items() if not cost["reused"]},
        "metric": metric,
        "scores": {model: results["metrics"][model][metric] for model in MODELS},
        "apart": apart,
    }


def _phase(cost: dict[str, Any]) -> dict[str, float]:
    found = {name: cost[name] for name in ("seconds", "peak_memory_bytes")}
    return found | ({"tokens_per_second": cost["tokens"] / cost["seconds"]} if "tokens" in cost else {})


def _losses(folder: Path, model: str) -> dict[str, float]:
    lines = (folder / "predictions" / f"{model}.jsonl").read_text(encoding="utf-8").splitlines()
    return {each["id"]: each["loss"] for each in map(json.loads, lines)}


def _apart(one: dict[str, float], other: dict[str, float]) -> float:
    if one.keys() != other.keys():
        raise RuntimeError(f"other samples were answered: {sorted(one.keys() ^ other.keys())[:3]}")
    return max(abs(one[name] - other[name]) for name in one)
