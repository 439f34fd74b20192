"""comparison.html and comparison.json, from a comparison alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scd_lightning.analysis.comparison import Comparison, Row, Setting
from scd_lightning.analysis.comparison_costs import shared_seconds, stage_costs
from scd_lightning.analysis.comparison_csv import csv_tables, data_link
from scd_lightning.analysis.comparison_plots import leads_plot, seeds_plot
from scd_lightning.analysis.comparison_words import METHODS_NOTE, bounds, caption, heading, verdict, warnings
from scd_lightning.analysis.formatting import duration, number, share, signed
from scd_lightning.analysis.pages import render
from scd_lightning.analysis.records import MODEL_NAMES
from scd_lightning.analysis.sweep import LEAD, SECONDS, VALIDATION, SweepRun

_ERROR = "subdomains.student_vs_teacher.error."
# Heading -> where the value stands in `Row.values`, {metric} being the primary one, and its format.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "student": ("metrics.student.{metric}", number),
    "lead": (LEAD, signed),
    "teacher": ("metrics.teacher.{metric}", number),
    "anchor": ("metrics.anchor.{metric}", number),
    "validation": (VALIDATION, number),
    "SFS": (_ERROR + "sfs_share", share),
    "advantage": (_ERROR + "advantage", number),
    "deficit": (_ERROR + "deficit", number),
    "time": (SECONDS, duration),
}


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
        columns=list(COLUMNS),
        views=[_view(setting, folder) for setting in comparison.settings],
        failures=comparison.failures,
        caption=caption(comparison),
        note=METHODS_NOTE,
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
        "verdict": verdict(setting),
        "warnings": warnings(setting),
        "rows": [_row(setting, index, folder) for index in range(len(setting.rows))],
        "plots": [seeds_plot(setting), leads_plot(setting)],
        "differences": _differences(setting),
        "schedules": _schedules(setting),
        "costs": stage_costs(setting),
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
            "told_apart": found.interval.low > 0,
        }
        for found in setting.differences
    ]


def _row(setting: Setting, index: int, folder: Path) -> dict[str, Any]:
    row, cells = setting.rows[index], []
    for name, format_value in _columns(setting):
        value = row.values.get(name)
        spread = value and value.spread
        cells.append(
            {
                "text": format_value(value and value.mean),
                "spread": None if spread is None else format_value(spread).removeprefix("+"),
                "sort": value and value.mean,
            }
        )
    return {
        "row": row,
        "index": index,
        "best": setting.best == index,
        "interval": bounds(row.lead),
        "cells": cells,
        "runs": [_run(setting, run, folder) for run in row.runs],
    }


def _run(setting: Setting, run: SweepRun, folder: Path) -> dict[str, Any]:
    cells = [format_value(run.values.get(name)) for name, format_value in _columns(setting)]
    return {"seed": run.seed, "folder": run.folder.name, "link": _link(run, folder), "cells": cells}


def _columns(setting: Setting) -> list[tuple[str, Callable[[Any], str]]]:
    return [(name.format(metric=setting.primary_metric), form) for name, form in COLUMNS.values()]


def _link(run: SweepRun, folder: Path) -> str | None:
    page = run.folder / "report.html"
    if not page.exists():
        return None
    return quote(Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix())


def _schedules(setting: Setting) -> list[dict[str, Any]]:
    """The checkpoints that each distilled run learned from."""
    found = []
    for row in setting.rows:
        for run in row.runs:
            stages = run.record.schedule.get("stages") or run.record.results.get("schedule") or []
            if stages:
                count = run.record.schedule.get("num_checkpoints") or 1 + max(stage["checkpoint"] for stage in stages)
                found.append(
                    {
                        "name": row.short_name,
                        "seed": run.seed,
                        "stages": [stage["checkpoint"] for stage in stages],
                        "best": run.record.schedule.get("best_checkpoint"),
                        "count": count,
                    }
                )
    return found


def _every_metric(setting: Setting) -> list[list[str]]:
    primary = setting.primary_metric
    return [
        [row.short_name, title, *(_text(row, f"metrics.{model}.{name}") for name in setting.metrics)]
        for row in setting.rows
        for model, title in MODEL_NAMES.items()
        if f"metrics.{model}.{primary}" in row.values
    ]


def _text(row: Row, name: str) -> str:
    value = row.values.get(name)
    return number(None) if value is None else str(value)
