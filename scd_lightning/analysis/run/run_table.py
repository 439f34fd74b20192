"""The table that a run ends with on the terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scd_lightning.analysis.formatting import number, share, signed
from scd_lightning.analysis.records import MODEL_NAMES, data_name, decompositions, evaluated_split, metric_names
from scd_lightning.analysis.run.run_warnings import exported_otherwise, lost_to_anchor, run_warnings


def run_table(results: dict[str, Any], verdict: str) -> RenderableType:
    """Shows the models' metrics, the SFS/TFS decomposition, each stage's checkpoint, the verdict, and warnings.

    Args:
        results: The content of results.json.
        verdict: The run in a sentence.
    """
    parts = [*_metrics(results)]
    if decompositions(results):
        parts += _decomposition(results)
    stages = results.get("schedule") or []
    if stages:
        parts += _schedule(stages)
    told = [Text(warning, style="yellow") for warning in run_warnings(results, stages)]
    return Group(*parts, Text(verdict, style="bold"), *told)


def run_line(results: dict[str, Any]) -> str:
    """The run in a line: each model's primary metric, whether the student lost to the anchor, doubts of its export."""
    metric = results["primary_metric"]
    values = {title: results["metrics"].get(key, {}).get(metric) for key, title in MODEL_NAMES.items()}
    listed = ", ".join(f"{title} {number(value)}" for title, value in values.items() if value is not None)
    by = lost_to_anchor(results)
    below = "" if by is None else f"; the student ended below the anchor by {number(by)}"
    export = "; its exported student is in doubt" if exported_otherwise(results) else ""
    return f"method {results['method']}, seed {results['seed']}: {metric} {listed}{below}{export}"


def _metrics(results: dict[str, Any]) -> list[RenderableType]:
    # A metric a row: names of metrics are longer than those of models, and there are more of them.
    name = data_name(results)
    models = [(key, title) for key, title in MODEL_NAMES.items() if results["metrics"].get(key)]
    table = _table([title for _, title in models])
    for metric in metric_names(results):
        table.add_row(metric, *(number(results["metrics"][key].get(metric)) for key, _ in models))
    run = f"{name}, method {results['method']}, seed {results['seed']}"
    return [_title(f"{run}: {evaluated_split(results)} split"), table]


def _decomposition(results: dict[str, Any]) -> list[RenderableType]:
    table = _table(["risk", "advantage", "deficit", "gap", "SFS", "ties"])
    for model, risk, values in decompositions(results):
        gain = [number(values["advantage"]), number(values["deficit"]), signed(values["gap"])]
        table.add_row(model, risk, *gain, share(values["sfs_share"]), share(values["tie_share"]))
    return [_title("Against the teacher (gap = deficit - advantage; below zero the model beats it)"), table]


def _schedule(schedule: list[dict[str, Any]]) -> list[RenderableType]:
    table = _table(["epochs", "checkpoint", "mean weight"])
    for stage in schedule:
        first, last = stage["epochs"]
        epochs, weight = f"{first}-{last}", number(stage.get("mean_weight"))
        table.add_row(f"stage {stage['stage']}", epochs, str(stage["checkpoint"]), weight)
    return [_title("Which checkpoint each stage learned from"), table]


def _title(text: str) -> Text:
    return Text(text, style="italic")


def _table(columns: list[str]) -> Table:
    table = Table("", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right")
    return table
