"""What saving the state of a training costs, with the settings as they come."""

import json
from typing import Any

from benchmarks.commands import fine_tune_teacher
from benchmarks.settings import Settings

_135M = (
    "teacher.architecture.hidden_size=576",
    "teacher.architecture.intermediate_size=1536",
    "teacher.architecture.num_hidden_layers=30",
    "teacher.architecture.num_attention_heads=9",
    "teacher.architecture.num_key_value_heads=3",
    "teacher.vocab_size=8000",
    "student.vocab_size=8000",
)
# Model -> overrides, training samples and epochs: a few minutes of a teacher from scratch, and of a large model.
_CASES: dict[str, tuple[tuple[str, ...], int, int]] = {"tiny": ((), 3600, 6), "106M": (_135M, 320, 10)}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a model: "model", "seconds" of the phase, "saves" and "save_seconds" of its states."""
    return [_row(settings, model) for model in _CASES]


def _row(settings: Settings, model: str) -> dict[str, Any]:
    changes, samples, epochs = _CASES[model]
    store = settings.folder / f"saving-{model}"
    overrides = [
        "trainer=cpu",
        f"task.data.synthetic={{train: {64 if settings.quick else samples}, validation: 16, test: 16}}",
        f"teacher.epochs={1 if settings.quick else epochs}",
        *changes,
    ]
    fine_tune_teacher(settings, store, overrides)
    (manifest,) = store.glob("teacher-*/artifact.json")
    costs = json.loads(manifest.read_text())["costs"]
    return {"model": model} | {name: costs[name] for name in ("seconds", "saves", "save_seconds")}
