"""comparison.html and comparison.json, from a comparison alone."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scd_lightning.analysis.comparison.compare import Comparison, Setting
from scd_lightning.analysis.comparison.comparison_costs import phase_costs, shared_seconds
from scd_lightning.analysis.comparison.comparison_csv import csv_tables, data_link
from scd_lightning.analysis.comparison.comparison_plots import gains_plot, leads_plot, seeds_plot
from scd_lightning.analysis.comparison.comparison_rows import Margin, Row
from scd_lightning.analysis.comparison.comparison_verdict import introduction, verdict
from scd_lightning.analysis.comparison.comparison_words import caption, heading, methods_note, shared_line, warnings
from scd_lightning.analysis.comparison.sweep_runs import SECONDS, VALIDATION, metric_path
from scd_lightning.analysis.formatting import duration, number, share, signed
from scd_lightning.analysis.pages import render
from scd_lightning.analysis.records import MODEL_NAMES
from scd_lightning.analysis.standing import bounds

_ERROR = "subdomains.student_vs_teacher.error."
# Classes of the page, by the side of zero on which an interval lies.
_SIDES = {1: "above", 0: "", -1: "below"}
Format = Callable[[Any], str]


@dataclass(frozen=True)
class Column:
    """A column of the table of methods.

    Attributes:
        heading: What stands above it.
        name: Where its value stands in `Row.values`, or "gain" or "lead" of a row itself.
        form: Its format.
    """

    heading: str
    name: str
    form: Format

    @property
    def is_margin(self) -> bool:
        """Whether it is a difference with an interval."""
        return self.name in ("gain", "lead")

    def margin(self, row: Row) -> Margin | None:
        """A row's difference, where this column is one."""
        return {"gain": row.gain, "lead": row.lead}.get(self.name)


def _columns(setting: Setting) -> list[Column]:
    """The columns of a table, without models whose scores all rows have alike: a line of its own names those."""
    metric = setting.primary_metric
    return [
        Column("student", metric_path("student", metric), number),
        Column("against fine-tuning", "gain", signed),
        Column("against teacher", "lead", signed),
        *(Column(model, metric_path(model, metric), number) for model in setting.unshared),
        Column("validation", VALIDATION, number),
        Column("SFS", _ERROR + "sfs_share", share),
        Column("advantage", _ERROR + "advantage", number),
        Column("deficit", _ERROR + "deficit", number),
        Column("time", SECONDS, duration),
    ]


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Writes comparison.json and comparison.html, which needs no other file, into a folder.

    Args:
        comparison: What to show.
        folder: Where to; made if it is not there. The page's links to the runs' reports are relative to it.

    Returns:
        The path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False)
    (folder / "comparison.json").write_text(text + "\n", encoding="utf-8")
    page = render(
        "comparison.html.j2",
        views=[_view(setting, folder) for setting in comparison.settings],
        failures=comparison.failures,
        caption=caption(comparison),
        seconds=shared_seconds(comparison.settings),
        downloads=[(name, data_link(text)) for name, text in csv_tables(comparison).items()],
    )
    path = folder / "comparison.html"
    path.write_text(page, encoding="utf-8")
    return path


def _view(setting: Setting, folder: Path) -> dict[str, Any]:
    return {
        "setting": setting,
        "heading": heading(setting),
        "introduction": introduction(setting),
        "verdict": [[(text, _SIDES[side]) for text, side in sentence.parts] for sentence in verdict(setting)],
        "shared": shared_line(setting),
        "note": methods_note(setting),
        "columns": _columns(setting),
        "warnings": warnings(setting),
        "rows": [_row(setting, index, folder) for index in range(len(setting.rows))],
        "plots": list(filter(None, (seeds_plot(setting), gains_plot(setting), leads_plot(setting)))),
        "differences": _differences(setting),
        "schedules": _schedules(setting),
        "costs": phase_costs(setting),
        "every_metric": _every_metric(setting),
    }


def _differences(setting: Setting) -> list[dict[str, Any]]:
    names = {row.name: row.short_name for row in setting.rows}
    return [
        {
            "first": names[found.first],
            "second": names[found.second],
            "value": found.interval.value,
            "bounds": bounds(found.interval),
            "seeds": len(found.seeds),
            "told_apart": found.interval.side > 0,
        }
        for found in setting.differences
    ]


def _row(setting: Setting, index: int, folder: Path) -> dict[str, Any]:
    row, columns = setting.rows[index], _columns(setting)
    return {
        "row": row,
        "index": index,
        "best": setting.best == index,
        "cells": [_cell(row, column) for column in columns],
        "runs": [_run(row, place, columns, folder) for place in range(len(row.runs))],
    }


def _cell(row: Row, column: Column) -> dict[str, Any]:
    """A mean, and in small print its spread, or its interval where it is a difference."""
    margin = column.margin(row)
    value = margin.value if margin else row.values.get(column.name)
    mean = None if value is None else value.mean
    spread = None if value is None or value.spread is None else f"±{column.form(value.spread)}"
    small, side = (spread, 0) if margin is None else (margin.bounds, margin.side)
    return {"text": column.form(mean), "sort": mean, "small": small, "side": _SIDES[side]}


def _run(row: Row, place: int, columns: Sequence[Column], folder: Path) -> dict[str, Any]:
    run = row.runs[place]
    cells = []
    for column in columns:
        margin = column.margin(row)
        of_run = margin and margin.by_run[place]
        cells.append(column.form(of_run if column.is_margin else run.values.get(column.name)))
    page = run.folder / "report.html"
    link = quote(Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix()) if page.exists() else None
    return {"seed": run.seed, "folder": run.folder.name, "link": link, "cells": cells}


def _schedules(setting: Setting) -> list[dict[str, Any]]:
    """The checkpoints that each distilled run learned from."""
    found = []
    for row in setting.rows:
        for run in row.runs:
            schedule, chosen = run.record.schedule, [stage["checkpoint"] for stage in run.record.stages]
            if chosen:
                names = {"name": row.short_name, "seed": run.seed, "stages": chosen}
                count = schedule.get("num_checkpoints") or 1 + max(chosen)
                found.append({**names, "best": schedule.get("best_checkpoint"), "count": count})
    return found


def _every_metric(setting: Setting) -> list[list[str]]:
    primary = setting.primary_metric
    return [
        [row.short_name, title, *(row.shown(metric_path(model, name)) for name in setting.metrics)]
        for row in setting.rows
        for model, title in MODEL_NAMES.items()
        if metric_path(model, primary) in row.values
    ]
