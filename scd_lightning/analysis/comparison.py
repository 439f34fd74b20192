"""What runs say together: each method's mean and spread over seeds, and the differences that hold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scd_lightning.analysis.agreement import Agreement, agreement
from scd_lightning.analysis.bootstrap import Interval, paired_bootstrap
from scd_lightning.analysis.failures import Failure
from scd_lightning.analysis.formatting import number, signed
from scd_lightning.analysis.grouping import common_differences, confounded, identity, label, short_label, varying
from scd_lightning.analysis.records import metric_names
from scd_lightning.analysis.sample_scores import SAMPLE_SCORE
from scd_lightning.analysis.sweep import VALIDATION, SweepRun, read_sweep


@dataclass(frozen=True)
class Estimate:
    """A value over n runs; the spread is the sample standard deviation, None unless the runs are n >= 2 seeds."""

    mean: float
    spread: float | None
    n: int

    def __str__(self) -> str:
        return number(self.mean) + self._plus_minus()

    def signed(self) -> str:
        """Formats a difference, with its sign."""
        return signed(self.mean) + self._plus_minus()

    def _plus_minus(self) -> str:
        return "" if self.spread is None else f" ±{number(self.spread)}"


@dataclass(frozen=True)
class Row:
    """One method's n runs, under the same settings.

    Attributes:
        method: Name of the method.
        settings: Settings that vary over the runs of this table besides method and seed, as overrides; often "".
        short: The same in short, for narrow places.
        n: Number of runs.
        seeds: Their seeds, each once.
        repeated: Whether some seed ran twice: then the runs differ in something that is not recorded.
        values: Mean and spread of what was measured, by name.
        lead: Interval of student minus teacher; None where it can't be told.
        agreement: How student and teacher agree, sample by sample; None without predictions.
        runs: The runs themselves.
    """

    method: str
    settings: str
    short: str
    n: int
    seeds: list[int]
    repeated: bool
    values: dict[str, Estimate]
    lead: Interval | None
    agreement: Agreement | None
    runs: list[SweepRun]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.method} {self.settings}".strip()

    @property
    def short_name(self) -> str:
        """What narrow tables call it."""
        return f"{self.method} {self.short}".strip()


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
        digest: Of the data.
        teacher: Name of the teacher.
        student: Name of the student.
        primary_metric: Name of the metric.
        metrics: All metrics, the primary one first.
        score: What intervals are of: the primary metric, or `SAMPLE_SCORE` where that is no mean over samples.
        apart: Settings that tell this table from others with the same names.
        confounded: Settings besides the method's own in which methods differ.
        rows: The methods.
        best: Index of the row whose student is the best one on the validation split, or None.
        differences: Between the students of two rows, the better one first.
    """

    task: str
    data: str
    digest: str
    teacher: str
    student: str
    primary_metric: str
    metrics: list[str]
    score: str
    apart: dict[str, str]
    confounded: dict[str, dict[str, str]]
    rows: list[Row]
    best: int | None
    differences: list[Difference]

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


def compare(run_dirs: Sequence[Path]) -> Comparison:
    """Compares runs, of one sweep or of several.

    Args:
        run_dirs: Run folders, each with a results.json if the run finished, else with a failure.json or partial.json
            that says why not, or neither if it was cut off.
    """
    runs, failures = read_sweep(list(dict.fromkeys(run_dirs)))
    groups: dict[tuple[str, ...], list[SweepRun]] = {}
    for run in runs:
        groups.setdefault(identity(run.record.results), []).append(run)
    apart = common_differences(list(groups.values()))
    settings = [_setting(group, differs) for group, differs in zip(groups.values(), apart, strict=True)]
    return Comparison(settings, failures)


def _setting(runs: list[SweepRun], apart: dict[str, str]) -> Setting:
    results = runs[0].record.results
    score = runs[0].score_name if len({run.score_name for run in runs}) == 1 else SAMPLE_SCORE
    runs = [run if run.score_name == score else run.on_sample_scores() for run in runs]
    rows = _rows(runs)
    return Setting(
        task=results["task"],
        data=results["data"].get("name") or results["task"],
        digest=results["data"]["digest"],
        teacher=results["models"]["teacher"]["name"],
        student=results["models"]["student"]["name"],
        primary_metric=results["primary_metric"],
        metrics=metric_names(results),
        score=score,
        apart=apart,
        confounded=confounded(runs),
        rows=rows,
        best=_best(rows),
        differences=_differences(rows),
    )


def _rows(runs: list[SweepRun]) -> list[Row]:
    keys = varying(runs)
    groups: dict[tuple[str, str], list[SweepRun]] = {}
    for run in runs:
        groups.setdefault((run.method, label(run, keys)), []).append(run)
    return [_row(*name, short_label(same[0], keys), same) for name, same in groups.items()]


def _row(method: str, settings: str, short: str, runs: list[SweepRun]) -> Row:
    runs = sorted(runs, key=lambda run: run.seed)
    seeds = sorted({run.seed for run in runs})
    repeated = len(seeds) < len(runs)
    values = {name: _estimate(runs, name, repeated) for run in runs for name in run.values}
    scored = not repeated and all({"teacher", "student"} <= run.scores.keys() for run in runs)
    lead = _interval(runs, "student", runs, "teacher") if scored else None
    return Row(method, settings, short, len(runs), seeds, repeated, values, lead, agreement(runs), runs)


def _estimate(runs: Sequence[SweepRun], name: str, repeated: bool) -> Estimate:
    values = [run.values[name] for run in runs if name in run.values]
    spread = stdev(values) if len(values) > 1 and not repeated else None
    return Estimate(fmean(values), spread, len(values))


def _interval(ours: Sequence[SweepRun], our_model: str, theirs: Sequence[SweepRun], their_model: str) -> Interval:
    return paired_bootstrap([run.scores[our_model] for run in ours], [run.scores[their_model] for run in theirs])


def _best(rows: Sequence[Row]) -> int | None:
    if not all(VALIDATION in row.values for row in rows):
        return None
    return max(range(len(rows)), key=lambda index: rows[index].values[VALIDATION].mean, default=None)


def _differences(rows: Sequence[Row]) -> list[Difference]:
    found = []
    for first, second in combinations(rows, 2):
        seeds = sorted(set(first.seeds) & set(second.seeds))
        pair = [[run for run in row.runs if run.seed in seeds and "student" in run.scores] for row in (first, second)]
        if first.repeated or second.repeated or not seeds or any(len(runs) < len(seeds) for runs in pair):
            continue
        ahead = _interval(pair[0], "student", pair[1], "student")
        if ahead.value >= 0:
            found.append(Difference(first.name, second.name, seeds, ahead))
        else:
            behind = _interval(pair[1], "student", pair[0], "student")
            found.append(Difference(second.name, first.name, seeds, behind))
    return found


def _setting_dict(setting: Setting) -> dict[str, Any]:
    plain = {name: value for name, value in vars(setting).items() if name not in ("rows", "differences")}
    return plain | {
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
        "agreement": row.agreement and asdict(row.agreement),
        "runs": [{"folder": run.folder.name, "seed": run.seed, "values": dict(run.values)} for run in row.runs],
    }
