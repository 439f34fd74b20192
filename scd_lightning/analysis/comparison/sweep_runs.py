"""The runs of a sweep, read back for comparing: what they found, with what settings, and which did not finish."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scd_lightning.analysis.bootstrap import Scores
from scd_lightning.analysis.comparison.failed_jobs import Failure, describe_failures, is_finished
from scd_lightning.analysis.records import RunRecord, decompositions, read_run
from scd_lightning.analysis.statistics import SAMPLE_SCORE, sample_score, statistic
from scd_lightning.config.trainer_options import trainer_numbers, whole_precision
from scd_lightning.errors import StoreError
from scd_lightning.run_folder.names import FAILURE, RESULTS, RUN
from scd_lightning.run_folder.sweep_folder import is_of, swept_by
from scd_lightning.store.manifest import sha256_json

LEAD, VALIDATION, SECONDS = "lead", "validation", "seconds"
_MODEL = ("name", "path", "revision", "trust_remote_code", "allow_pickle", "gradient_checkpointing")
# Settings that change no numbers, or that results.json tells by content: data and models by their digests.
_ASIDE = (
    "paths",
    "logger",
    "callbacks",
    "phases",
    "seed",
    "debug",
    "experiment",
    "hparams_search",
    "allowed_targets",
    "resume",
    "evaluate.base",
    "evaluate.confidence",
    "task.data.path",
    "budget.warn",
    "method.name",
    "method.teacher",
    *(f"{model}.{name}" for model in ("teacher", "student") for name in _MODEL),
)


@dataclass(frozen=True)
class SweepRun:
    """A finished run.

    Attributes:
        folder: Its folder.
        record: Its saved files.
        settings: Its configuration as dotted key -> value, without what changes no numbers.
        values: By name, what is compared: paths within results.json, `LEAD`, `VALIDATION` and `SECONDS`.
        scores: teacher, anchor, student -> per-sample scores; empty where no predictions were kept.
        score_name: What the scores average to.
    """

    folder: Path
    record: RunRecord
    settings: Mapping[str, Any]
    values: Mapping[str, float]
    scores: Mapping[str, Scores]
    score_name: str

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.record.results["method"]

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.record.results["seed"]

    @property
    def data(self) -> str:
        """Digest of its data."""
        return self.record.results["data"]["digest"]

    @cached_property
    def tests(self) -> str:
        """Digest of its test samples, which runs may share whose training rows are others."""
        answered = next(iter(self.record.predictions.values()), [])
        samples = self.record.samples or [{name: row.get(name) for name in ("id", "gold")} for row in answered]
        return sha256_json(samples) if samples else self.data

    @property
    def generator_seed(self) -> int | None:
        """What its data were drawn with, or None where they are not generated."""
        return (self.record.results["data"].get("generator") or {}).get("seed")

    def on_sample_scores(self) -> "SweepRun":
        """The run with each sample's own score, which every run has, in place of what makes up the primary metric."""
        scores = {model: sample_score(rows) for model, rows in self.record.predictions.items()}
        return replace(self, scores=scores, score_name=SAMPLE_SCORE)


def metric_path(model: str, metric: str) -> str:
    """Where a metric stands in results.json, which is its name in `SweepRun.values`.

    >>> metric_path("student", "f1")
    'metrics.student.f1'
    """
    return f"metrics.{model}.{metric}"


def find_runs(folder: Path, sweep: str | None = None) -> list[Path]:
    """Lists a sweep's run folders, in the order of its jobs: job 10 comes after job 2.

    Args:
        folder: The sweep's.
        sweep: Its identity; None for the sweep that the folder is of.
    """
    sweep = sweep or swept_by(folder)
    left = (RESULTS, FAILURE, RUN, ".hydra")
    jobs = [path for path in folder.iterdir() if path.is_dir() and any((path / name).exists() for name in left)]
    return sorted((path for path in jobs if is_of(path, sweep)), key=lambda path: (len(path.name), path.name))


def read_sweep(folders: Sequence[Path], allowed: Sequence[str] = ()) -> tuple[list[SweepRun], list[Failure]]:
    """Reads runs, and keeps apart those that did not finish or whose files are damaged.

    Args:
        folders: Theirs.
        allowed: See `task_of`.
    """
    runs: list[SweepRun] = []
    errors: dict[Path, StoreError | None] = {}
    for folder in folders:
        try:
            if is_finished(folder):
                runs.append(read_sweep_run(folder, allowed))
            else:
                errors[folder] = None
        except StoreError as error:
            errors[folder] = error
    return runs, describe_failures(errors, folders)


def read_sweep_run(folder: Path, allowed: Sequence[str] = ()) -> SweepRun:
    """Reads one finished run.

    Args:
        folder: Its folder.
        allowed: See `task_of`.

    Raises:
        StoreError: A file is damaged.
    """
    record = read_run(folder, allowed)
    trainer = record.config.get("trainer") or {}
    numbers = trainer_numbers(trainer) | {"precision": whole_precision(trainer)}
    settings = {key: value for key, value in flatten(record.config | {"trainer": numbers}) if not _is_aside(key)}
    if settings.get("budget.samples") is not None:
        settings.pop("budget.stage_epochs", None)  # One that plays no part sets no runs apart.
    metric = record.results["primary_metric"]
    found = {model: statistic(record, model, metric) for model in record.predictions}
    exact = {model: scores for model, scores in found.items() if scores is not None}
    run = SweepRun(folder, record, settings, _values(record), exact, metric)
    # One score for all models: the samples' own where the saved rows of one do not give its recorded value.
    return run if exact and len(exact) == len(found) else run.on_sample_scores()


def _is_aside(key: str) -> bool:
    return any(f"{key}.".startswith(f"{each}.") for each in _ASIDE)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested settings as dotted key and value.

    >>> dict(flatten({"student": {"lr": 0.1, "betas": [0.9]}, "seed": 0}))
    {'student.lr': 0.1, 'student.betas': [0.9], 'seed': 0}
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _values(record: RunRecord) -> dict[str, float]:
    results = record.results
    values = {
        metric_path(model, name): value
        for model, metrics in results["metrics"].items()
        for name, value in metrics.items()
    }
    for model, risk, decomposition in decompositions(results):
        values |= {f"subdomains.{model}_vs_teacher.{risk}.{name}": value for name, value in decomposition.items()}
    metric = results["primary_metric"]
    student, teacher = (values.get(metric_path(model, metric)) for model in ("student", "teacher"))
    if student is not None and teacher is not None:
        values[LEAD] = student - teacher
    # Of the student that is reported; without distillation it is the anchor.
    points = record.curves.get("student") or (record.curves.get("anchor", []) if not record.schedule else [])
    validated = [point["validation_metric"] for point in points if point.get("validation_metric") is not None]
    if validated:
        values[VALIDATION] = max(validated)
    if record.costs:
        values[SECONDS] = sum(cost.get("seconds", 0) for cost in record.costs.values())
    return {name: value for name, value in values.items() if value is not None}
