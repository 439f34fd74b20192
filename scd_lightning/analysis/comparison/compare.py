"""What runs say together: each method's mean and spread over seeds, and the differences that hold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison.comparison_rows import (
    Estimate,
    Row,
    estimate,
    interval_of,
    make_rows,
    pair,
    preferred,
)
from scd_lightning.analysis.comparison.failed_jobs import Failure
from scd_lightning.analysis.comparison.grouping import confounded, follows_seed, identity, settings_apart
from scd_lightning.analysis.comparison.sweep_runs import SweepRun, metric_path, read_sweep
from scd_lightning.analysis.records import data_name, evaluated_split, metric_names
from scd_lightning.analysis.statistics import SAMPLE_SCORE


@dataclass(frozen=True)
class Difference:
    """The student of one row minus that of another, over the seeds that both have."""

    first: str
    second: str
    seeds: list[int]
    interval: Interval


@dataclass(frozen=True)
class Setting:
    """What was tried on the same task, data, teacher and student.

    Attributes:
        task: The task.
        data: Name of the data, or else of the task.
        digests: Of the data; one for each draw of data that are generated.
        split: The split that was evaluated.
        unit: What differs between the runs of a row: a "seed", or a "draw" where the data follow the seed.
        teacher: Name of the teacher.
        student: Name of the student.
        primary_metric: Name of the metric.
        metrics: All metrics, the primary one first.
        score: What intervals are of: the primary metric, or `SAMPLE_SCORE` where that is no mean over samples.
        apart: Settings that tell this table from others with the same names.
        confounded: Settings besides the method's own in which methods differ.
        rows: The methods.
        shared: What all rows have alike, seed by seed: "teacher", "anchor", or none -> its score.
        best: Index of the row whose student is the best one on the validation split, or None.
        differences: Between the students of two rows, the better one first.
    """

    task: str
    data: str
    digests: list[str]
    split: str
    unit: str
    teacher: str
    student: str
    primary_metric: str
    metrics: list[str]
    score: str
    apart: dict[str, str]
    confounded: dict[str, dict[str, str]]
    rows: list[Row]
    shared: dict[str, Estimate]
    best: int | None
    differences: list[Difference]

    @property
    def unshared(self) -> list[str]:
        """Of teacher and anchor those whose scores differ between rows, and have columns."""
        return [model for model in ("teacher", "anchor") if model not in self.shared]

    @property
    def runs(self) -> list[SweepRun]:
        """All runs."""
        return [run for row in self.rows for run in row.runs]


@dataclass(frozen=True)
class Comparison:
    """Runs grouped by setting and method."""

    settings: list[Setting]
    failures: list[Failure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Gives the content of comparison.json."""
        return {
            "settings": [_setting_dict(setting) for setting in self.settings],
            "failures": [asdict(failure) for failure in self.failures],
        }


def compare(run_dirs: Sequence[Path], allowed: Sequence[str] = ()) -> Comparison:
    """Compares runs, of one sweep or of several.

    Args:
        run_dirs: Run folders, each with a results.json if the run finished, else with a failure.json or partial.json
            that says why not, or neither if it was cut off.
        allowed: See `task_of`.
    """
    runs, failures = read_sweep(list(dict.fromkeys(run_dirs)), allowed)
    groups: dict[tuple[str, ...], list[SweepRun]] = {}
    for run in runs:
        groups.setdefault(identity(run.record.results), []).append(run)
    apart = settings_apart(list(groups.values()))
    settings = [_setting(group, differs) for group, differs in zip(groups.values(), apart, strict=True)]
    return Comparison(settings, failures)


def _setting(runs: list[SweepRun], apart: dict[str, str]) -> Setting:
    results = runs[0].record.results
    score = runs[0].score_name if len({run.score_name for run in runs}) == 1 else SAMPLE_SCORE
    runs = [run if run.score_name == score else run.on_sample_scores() for run in runs]
    rows = make_rows(runs)
    best = preferred(rows)
    return Setting(
        task=results["task"],
        data=data_name(results),
        digests=list(dict.fromkeys(run.data for run in runs)),
        split=evaluated_split(results),
        unit="draw" if follows_seed(runs) else "seed",
        teacher=results["models"]["teacher"]["name"],
        student=results["models"]["student"]["name"],
        primary_metric=results["primary_metric"],
        metrics=metric_names(results),
        score=score,
        apart=apart,
        confounded=confounded(runs),
        rows=rows,
        shared=_shared(rows, results["primary_metric"]),
        best=None if best is None else rows.index(best),
        differences=_differences(rows),
    )


def _shared(rows: Sequence[Row], metric: str) -> dict[str, Estimate]:
    """Teacher and anchor, as far as they are the same for all methods: one that stands alone shares nothing."""
    found = {}
    for model in ("teacher", "anchor"):
        name = metric_path(model, metric)
        by_row = [[(run.seed, run.data, run.values.get(name)) for run in row.runs] for row in rows]
        same = len(rows) > 1 and all(each == by_row[0] for each in by_row)
        values = [value for _, _, value in by_row[0] if value is not None]
        if same and values:
            found[model] = estimate(values, any(row.repeated for row in rows))
    return found


def _differences(rows: Sequence[Row]) -> list[Difference]:
    found = []
    for first, second in combinations(rows, 2):
        ahead = interval_of(pair(first, second), "student", "student")
        if ahead is not None and ahead.value < 0:
            first, second = second, first
            ahead = interval_of(pair(first, second), "student", "student")
        if ahead is not None:
            found.append(Difference(first.name, second.name, [run.seed for run, _ in pair(first, second)], ahead))
    return found


def _setting_dict(setting: Setting) -> dict[str, Any]:
    plain = {name: value for name, value in vars(setting).items() if name not in ("rows", "shared", "differences")}
    return plain | {
        "shared": {model: asdict(value) for model, value in setting.shared.items()},
        "rows": [_row_dict(row) for row in setting.rows],
        "differences": [asdict(difference) for difference in setting.differences],
    }


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "settings": row.settings,
        "n": row.n,
        "seeds": row.seeds,
        "repeated": row.repeated,
        "values": {name: asdict(value) for name, value in row.values.items()},
        "lead": row.lead and asdict(row.lead),
        "gain": row.gain and asdict(row.gain),
        "agreement": row.agreement and asdict(row.agreement),
        "runs": [{"folder": run.folder.name, "seed": run.seed, "values": dict(run.values)} for run in row.runs],
    }
