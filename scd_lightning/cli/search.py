"""A job of a search: it trains and validates alone, and hands on what it reached."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.search import TRIAL
from scd_lightning.cli.overrides import chosen
from scd_lightning.errors import ConfigError
from scd_lightning.store.manifest import read_json, write_json


def is_search() -> bool:
    """Whether the running job is one of a search."""
    return chosen("hparams_search") is not None


def begin(run_dir: Path, phases: Sequence[str]) -> None:
    """Notes that a job of a search has begun.

    Args:
        run_dir: The run's folder.
        phases: Which phases it runs.

    Raises:
        ConfigError: It would read the test split.
    """
    if set(phases) & {"evaluate", "report"}:
        raise ConfigError(
            "A search reads the validation split alone, and these phases read the test split",
            where="phases",
            got=list(phases),
            expected="[teacher_sft, student_sft, distill]",
        )
    write_json(run_dir / TRIAL, {"validation_metric": None})


def record(run_dir: Path, metric: str | None, result: Any) -> None:
    """Notes what a job of a search has reached on the validation split with its best epoch.

    Args:
        run_dir: The run's folder.
        metric: Name of the validation metric.
        result: The student's `StudentResult`.
    """
    found = {name: getattr(result, name) for name in ("validation_metric", "validation_loss", "best_epoch")}
    write_json(run_dir / TRIAL, {"metric": metric, **found})


def objective(run_dir: Path) -> float:
    """What a search makes as high as it can: the validation metric; a job that failed is worse than any."""
    value = read_json(run_dir / TRIAL)["validation_metric"] if (run_dir / TRIAL).is_file() else None
    return -math.inf if value is None or math.isnan(value) else float(value)
