"""A job of a search: it trains and validates alone, and hands on what it reached."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.search import TRIAL
from scd_lightning.cli.overrides import chosen
from scd_lightning.errors import ConfigError
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.store.manifest import read_json, write_json


def is_search() -> bool:
    """Whether the running job is one of a search."""
    return chosen("hparams_search") is not None


def texts() -> dict[str, str]:
    """What stands in the folder of a job of a search from its beginning; nothing in those of others."""
    return {TRIAL: json.dumps({"validation_metric": None}) + "\n"} if is_search() else {}


def check_phases(phases: Sequence[str]) -> None:
    """Raises a ConfigError where a job of a search would read the test split."""
    if set(phases) & {"evaluate", "report"}:
        raise ConfigError(
            "A search reads the validation split alone, and these phases read the test split",
            where="phases",
            got=list(phases),
            expected="[teacher_sft, heal, student_sft, answer, distill]",
        )


def record(run_dir: Path, metric: str | None, made: Mapping[str, Any]) -> None:
    """Notes what a job of a search has reached on the validation split with its students' best epochs.

    Args:
        run_dir: The run's folder.
        metric: Name of the validation metric.
        made: The job's artifacts. What counts is its student, which is the anchor where it distils none.
    """
    tuned = {name: each for name, each in made.items() if name in ("anchor", "student")}
    if "student" not in tuned:
        tuned = {"student": tuned["anchor"]}
    found = {name: _reached(each.result) | {"artifact": each.folder.name} for name, each in tuned.items()}
    own = {name: each for name, each in found.items() if tuned[name].result.imported is None}
    write_json(run_dir / TRIAL, {"metric": metric, **_reached(tuned["student"].result), "made": own})


def _reached(result: Any) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("validation_metric", "validation_loss", "best_epoch")}


def objective(folder: RunFolder) -> float:
    """What a search makes as high as it can: the validation metric; a job that failed is worse than any."""
    path = folder.path / TRIAL
    value = read_json(path)["validation_metric"] if folder.finished and path.is_file() else None
    return -math.inf if value is None or math.isnan(value) else float(value)
