"""Trainings on the embedded data, measured on the validation split in the task's own metric, two at a time."""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
from hydra import compose, initialize_config_dir

from benchmarks.settings import ROOT
from scd_lightning.cli.built_job import build_job
from scd_lightning.cli.quiet import quiet
from scd_lightning.config.build import read_settings
from scd_lightning.pipeline.prepare import prepare
from scd_lightning.pipeline.runner import execute, plan

JOBS_AT_ONCE = 2
# Pipeline steps that a trial makes, or finds in the store.
_STEPS = {
    "teacher": ("teacher", "evaluation of teacher"),
    "anchor": ("anchor", "evaluation of anchor"),
    "student": ("teacher", "anchor", "student", "evaluation of student"),
}


@dataclass(frozen=True)
class Trial:
    """One model of one draw.

    Attributes:
        model: Which model is measured.
        draw: The seed.
        overrides: Everything else that it depends on, as on the command line.
    """

    model: Literal["teacher", "anchor", "student"]
    draw: int
    overrides: tuple[str, ...]


def measure(trials: Iterable[Trial], store: Path) -> Iterator[dict[str, Any]]:
    """Makes what the trials need, each once, and measures it.

    Args:
        trials: What to measure.
        store: Where models are kept, for later trials and for going on after an interruption.

    Yields:
        For each trial, in order, its fields with metric (of the validation split), best_epoch, seconds (what training
        took) and checkpoints (of a student's stages).
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with ProcessPoolExecutor(JOBS_AT_ONCE, get_context("spawn")) as pool:
        yield from pool.map(_measure, trials, repeat(str(store)))


def _measure(trial: Trial, store: str) -> dict[str, Any]:
    quiet()
    torch.set_num_threads(1)
    folder = Path(store)
    fixed = (f"seed={trial.draw}", "evaluate.split=validation", f"paths.store='{store}'", "trainer=cpu", "logger=none")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", [*fixed, f"paths.run='{folder}'", *trial.overrides])
        job = build_job(read_settings(cfg), folder)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        prepared = prepare(job)
        made = execute(prepared, [step for step in plan(prepared) if step.name in _STEPS[trial.model]])
    return asdict(trial) | _found(trial.model, made, prepared.data.primary_metric)


def _found(model: str, made: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    trained = made[model]
    result = trained.result
    return {
        "metric": made[f"evaluation of {model}"].result.metrics[metric],
        "best_epoch": getattr(result, "best_epoch", None),
        "seconds": trained.costs["seconds"],
        "checkpoints": [stage["checkpoint"] for stage in getattr(result, "schedule", ())],
    }
