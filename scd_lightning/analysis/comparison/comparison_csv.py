"""The tables of a comparison as CSV: every run, every row, every difference, every phase."""

import base64
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison.compare import Comparison, Setting
from scd_lightning.analysis.comparison.comparison_rows import Margin, Row
from scd_lightning.analysis.comparison.comparison_words import heading

# What a formula begins with, in full width too; at a tab or a line's end some spreadsheets look at what follows.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def csv_tables(comparison: Comparison) -> dict[str, str]:
    """Gives file name -> CSV text; numbers are not rounded, and tables without a row are left out."""
    tables = {
        "runs.csv": _runs(comparison),
        "methods.csv": _methods(comparison),
        "differences.csv": _differences(comparison),
        "schedules.csv": _schedules(comparison),
        "costs.csv": _costs(comparison),
    }
    listed = {name: list(rows) for name, rows in tables.items()}
    return {name: to_csv(rows) for name, rows in listed.items() if rows}


def write_csv(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes the tables into a folder, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in csv_tables(comparison).items():
        paths.append(folder / name)
        paths[-1].write_text(text, encoding="utf-8", newline="")
    return paths


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Writes rows as CSV; columns are those of all rows, in order of appearance, and a gap is an empty cell.

    >>> to_csv([{"a": 1}, {"a": "x, y", "b": None}, {"a": -1.5, "b": "=1+1"}])
    'a,b\r\n1,\r\n"x, y",\r\n-1.5,\'=1+1\r\n'
    """
    buffer = io.StringIO(newline="")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines: list[Sequence[Any]] = [names, *([row.get(name) for name in names] for row in rows)]
    csv.writer(buffer).writerows([[guarded(cell) for cell in line] for line in lines])
    return buffer.getvalue()


def guarded(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before a text that begins like one.

    >>> guarded("=1+1"), guarded("+1e-3"), guarded("scd_aw"), guarded(-2)
    ("'=1+1", '+1e-3', 'scd_aw', -2)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def data_link(text: str) -> str:
    """A link that holds the file itself; the mark at its start tells spreadsheets that it is UTF-8."""
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(("\ufeff" + text).encode()).decode()


def _rows(comparison: Comparison) -> Iterator[tuple[Setting, Row, dict[str, Any]]]:
    for setting in comparison.settings:
        for row in setting.rows:
            yield setting, row, {"setting": heading(setting), "method": row.method, "overrides": row.settings}


def _runs(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for _, row, names in _rows(comparison):
        for run in row.runs:
            yield {**names, "seed": run.seed, "folder": run.folder.name, **run.values}


def _methods(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for setting, row, names in _rows(comparison):
        differences = {**_against("fine-tuning", row.gain), **_against("teacher", row.lead)}
        score = {"interval_of": setting.score} if differences else {}
        means = {name: value.mean for name, value in row.values.items()}
        spreads = {f"{name} sd": value.spread for name, value in row.values.items()}
        seeds = " ".join(map(str, row.seeds))
        yield {**names, "n": row.n, "seeds": seeds, **score, **differences, **means, **spreads}


def _against(other: str, margin: Margin | None) -> dict[str, float]:
    if margin is None or margin.interval is None:
        return {}
    return {f"minus {other} {name}": value for name, value in _interval(margin.interval).items()}


def _interval(found: Interval) -> dict[str, float]:
    return {"difference": found.value, "low": found.low, "high": found.high}


def _differences(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for setting in comparison.settings:
        for found in setting.differences:
            names = {"setting": heading(setting), "first": found.first, "second": found.second, "of": setting.score}
            yield {**names, "seeds": " ".join(map(str, found.seeds)), **_interval(found.interval)}


def _schedules(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for _, row, names in _rows(comparison):
        for run in row.runs:
            for stage in run.record.results.get("schedule") or []:
                kept = {name: stage.get(name) for name in ("stage", "checkpoint", "mean_weight")}
                yield {**names, "seed": run.seed, **kept}


def _costs(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for _, row, names in _rows(comparison):
        for run in row.runs:
            for cost in run.record.cost_rows():
                yield {**names, "seed": run.seed, **cost}
