"""What the runs of a sweep say together: each method's mean and spread over seeds."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from scd_lightning.analysis.formatting import number, signed
from scd_lightning.analysis.pages import render
from scd_lightning.analysis.plots import comparison_plot
from scd_lightning.analysis.records import MODEL_NAMES, PREDICTORS, decompositions, metric_names, read_json

# Columns of the short table: heading and where the value stands in `Row.values`, {metric} being the primary one.
COLUMNS = {
    "teacher": "metrics.teacher.{metric}",
    "anchor": "metrics.anchor.{metric}",
    "student": "metrics.student.{metric}",
    "lead": "lead",
    "advantage": "subdomains.student_vs_teacher.error.advantage",
    "deficit": "subdomains.student_vs_teacher.error.deficit",
}
LEAD = COLUMNS["lead"]
HEADINGS = ["method", "n", *COLUMNS]


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
    """One method's n runs.

    Attributes:
        method: Name of the method.
        n: Number of runs.
        seeds: Their seeds, each once.
        repeated: Whether some seed ran twice: then the runs differ in more than the seed.
        values: By path within results.json, such as metrics.student.f1.
    """

    method: str
    n: int
    seeds: list[int]
    repeated: bool
    values: dict[str, Estimate]


@dataclass(frozen=True)
class Setting:
    """The methods that were tried on the same task, data, teacher and student."""

    task: str
    data: str
    teacher: str
    student: str
    primary_metric: str
    metrics: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Failure:
    """A run that did not finish."""

    folder: str
    type: str
    message: str


@dataclass(frozen=True)
class Comparison:
    """The runs of a sweep, grouped by setting and method."""

    settings: list[Setting]
    failures: list[Failure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Gives the content of comparison.json."""
        return asdict(self)

    def to_table(self) -> Table:
        """Gives what the terminal shows: one table for each setting, and the runs that failed."""
        grid = Table.grid()
        for setting in self.settings:
            grid.add_row(Text(heading(setting), style="italic"))
            grid.add_row(_setting_table(setting))
        for failure in self.failures:
            grid.add_row(Text(f"failed: {failure.folder}: {failure.type}: {failure.message}", style="red"))
        grid.add_row(Text(caption(self), style="italic"))
        return grid

    def write(self, folder: Path) -> None:
        """Writes comparison.json and comparison.html into the folder."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        (folder / "comparison.json").write_text(text + "\n", encoding="utf-8")
        views = [_view(setting) for setting in self.settings]
        page = render(
            "comparison.html.j2", headings=HEADINGS, views=views, failures=self.failures, caption=caption(self)
        )
        (folder / "comparison.html").write_text(page, encoding="utf-8")


def compare(run_dirs: Sequence[Path]) -> Comparison:
    """Compares the runs of a sweep.

    Args:
        run_dirs: Run folders, each with a results.json if the run finished, else with a failure.json
            {"type", "message"}, or neither if it was cut off.
    """
    settings: dict[tuple[str, str, str, str], dict[str, list[dict[str, Any]]]] = {}
    failures = []
    for folder in run_dirs:
        results = read_json(folder / "results.json", None)
        if results is None:
            failures.append(_failure(folder))
        else:
            settings.setdefault(_setting_key(results), {}).setdefault(results["method"], []).append(results)
    return Comparison([_setting(key, methods) for key, methods in settings.items()], failures)


def caption(comparison: Comparison) -> str:
    """Says how to read the numbers."""
    if not comparison.settings:
        return "No run finished."
    text = "Lead: student minus teacher in the primary metric. Advantage and deficit: in task error."
    rows = [row for setting in comparison.settings for row in setting.rows]
    if any(value.spread is not None for row in rows for value in row.values.values()):
        text += " Mean ± sample standard deviation over seeds."
    if any(row.repeated for row in rows):
        text += " Runs marked * differ in more than their seed, so they have no spread."
    return text


def heading(setting: Setting) -> str:
    """Names what the methods of a table have in common."""
    return f"{setting.task}: {setting.primary_metric} on the test split, {setting.teacher} -> {setting.student}"


def _failure(folder: Path) -> Failure:
    unknown = {"type": "unfinished", "message": "the run left neither results.json nor failure.json"}
    record = read_json(folder / "failure.json", unknown)
    return Failure(folder.name, record["type"], record["message"])


def _setting_key(results: dict[str, Any]) -> tuple[str, str, str, str]:
    models = results["models"]
    return results["task"], results["data"]["digest"], models["teacher"]["name"], models["student"]["name"]


def _setting(key: tuple[str, str, str, str], methods: dict[str, list[dict[str, Any]]]) -> Setting:
    first = next(iter(methods.values()))[0]
    rows = [_row(method, runs) for method, runs in methods.items()]
    return Setting(*key, first["primary_metric"], metric_names(first), rows)


def _row(method: str, runs: list[dict[str, Any]]) -> Row:
    seeds = [run["seed"] for run in runs]
    repeated = len(set(seeds)) < len(seeds)
    observed: dict[str, list[float]] = {}
    for run in runs:
        for name, value in _values(run).items():
            observed.setdefault(name, []).append(value)
    estimates = {
        name: Estimate(fmean(values), stdev(values) if len(values) > 1 and not repeated else None, len(values))
        for name, values in observed.items()
    }
    return Row(method, len(runs), sorted(set(seeds)), repeated, estimates)


def _values(results: dict[str, Any]) -> dict[str, float]:
    """Flattens what is compared: metrics of all models, decompositions, the student's lead over its teacher."""
    values = {
        f"metrics.{model}.{name}": value
        for model, metrics in results["metrics"].items()
        for name, value in metrics.items()
    }
    for model, risk, decomposition in decompositions(results):
        for name, value in decomposition.items():
            values[f"subdomains.{model}_vs_teacher.{risk}.{name}"] = value
    metric = results["primary_metric"]
    student, teacher = (values.get(f"metrics.{model}.{metric}") for model in ("student", "teacher"))
    if student is not None and teacher is not None:
        values[LEAD] = student - teacher
    return {name: value for name, value in values.items() if value is not None}


def _setting_table(setting: Setting) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in HEADINGS:
        table.add_column(column, justify="left" if column == "method" else "right", min_width=len(column))
    for row in setting.rows:
        table.add_row(*map(Text, _cells(setting, row)))
    return table


def _cells(setting: Setting, row: Row) -> list[str]:
    values = [_cell(row, template.format(metric=setting.primary_metric)) for template in COLUMNS.values()]
    return [row.method, f"{row.n}{'*' if row.repeated else ''}", *values]


def _cell(row: Row, name: str) -> str:
    value = row.values.get(name)
    if value is None:
        return number(None)
    return value.signed() if name == LEAD else str(value)


def _view(setting: Setting) -> dict[str, Any]:
    """Prepares a setting for the page: the short table, all metrics, and the plot."""
    every_metric = [
        [row.method, title, *(_cell(row, f"metrics.{model}.{name}") for name in setting.metrics)]
        for row in setting.rows
        for model, title in MODEL_NAMES.items()
        if f"metrics.{model}.{setting.primary_metric}" in row.values
    ]
    return {
        "heading": heading(setting),
        "data": setting.data,
        "metrics": setting.metrics,
        "rows": [_cells(setting, row) for row in setting.rows],
        "every_metric": every_metric,
        "plot": comparison_plot([_points(setting, row) for row in setting.rows], setting.primary_metric),
    }


def _points(setting: Setting, row: Row) -> dict[str, Any]:
    estimates = {model: row.values.get(f"metrics.{model}.{setting.primary_metric}") for model in PREDICTORS}
    return {"method": row.method, **{model: e and (e.mean, e.spread) for model, e in estimates.items()}}
