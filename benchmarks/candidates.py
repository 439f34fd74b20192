"""What losses and answers of a tuned model take where samples have candidates, beside scoring each candidate."""

import os
from pathlib import Path
from typing import Any

from benchmarks.process import fresh
from benchmarks.settings import Settings

# The embedded pair on embedded rows of a few labels; and on real ones of many, where their folder is at hand.
_CASES = {
    "embedded": ["task=classification", "task.data.synthetic={train: 600, validation: 60, test: 400}"],
    "banking77": ["task=classification", "task.data.allow_overlap=true"],
}
_SIZES = "task.data.max_samples={train: 1500, validation: 60, test: 400}"
_TUNED = ["teacher=embedded", "student=embedded", "teacher.checkpoints=1"]
_ORDER = {"model": "teacher", "samples": 400, "rounds": 3}
_EPOCHS, _QUICK_EPOCHS = 10, 1
REAL_DATA = "SCD_REAL_DATA"


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a data set, as `choosing.rounds` has it, with its "name"."""
    order = _ORDER | {"device": settings.device} | ({"samples": 40, "rounds": 1} if settings.quick else {})
    epochs = _QUICK_EPOCHS if settings.quick else _EPOCHS
    cases = {"embedded": _CASES["embedded"]}
    if os.environ.get(REAL_DATA) and not settings.quick:
        folder = Path(os.environ[REAL_DATA]) / "banking77"
        cases["banking77"] = [*_CASES["banking77"], f"task.data.path='{folder}'", _SIZES]
    return [
        {"name": name}
        | fresh(
            settings,
            "benchmarks.choosing",
            order | {"overrides": [*overrides, *_TUNED, f"teacher.epochs={epochs}"]},
        )
        for name, overrides in cases.items()
    ]
