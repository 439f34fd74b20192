"""`scd evaluate STUDENT --file ROWS`: a student's metrics on rows with labels, such as came later than its run."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from scd_lightning.cli.outcome import command, parser_of
from scd_lightning.cli.student_options import add_student, check_folder, check_student, load_student, read_rows
from scd_lightning.progress import bar, say, show

if TYPE_CHECKING:
    from scd_lightning.use.measuring import Report
    from scd_lightning.use.student import Judged

_EPILOG = """example:
  {program} outputs/2026-11-25/10-15-00 --file june.jsonl     rows as the run's test split had them
"""


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "evaluate",
        "Measures a student on rows with labels that are none of its run's.",
        _EPILOG,
    )
    add_student(parser)
    parser.add_argument("--file", type=Path, required=True, help="rows with labels, as JSON, CSV or Parquet")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _evaluate(options: argparse.Namespace) -> None:
    check_student(options)
    check_folder(options)
    rows = read_rows(options)
    student = load_student(options)
    judged: list[Judged] = []
    with bar("rows", len(rows), told=not options.json) as progress:
        for part in student.judge(rows, options.batch):
            judged += part
            progress.advance(len(part))
    from scd_lightning.use.measuring import measure

    report = measure(student.form, judged)
    refused = [each.given for each in judged if each.given.error is not None]
    if options.json:
        say(json.dumps({**asdict(report), "refused": [each.row() for each in refused]}, ensure_ascii=False))
        return
    show(_metrics(report))
    if report.labels:
        show(_labels(report))
    if report.unknown:
        named = ", ".join(f"{label} ({count})" for label, count in sorted(report.unknown.items()))
        say(f"Labels that the student has never learnt, and so can't answer: {named}")
    if refused:
        say(f"{len(refused):,} of {len(rows):,} rows can't be used; the first, {refused[0].id}: {refused[0].error}")


def _metrics(report: "Report") -> Table:
    table = Table(title=f"{report.rows:,} rows", title_justify="left", box=None)
    for name in ("metric", "student", "95 % interval"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, found in report.metrics.items():
        table.add_row(name, f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}")
    return table


def _labels(report: "Report") -> Table:
    table = Table(box=None)
    for name in ("label", "support", "precision", "recall", "f1"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for each in report.labels:
        (scores,) = each.models.values()
        table.add_row(each.label, f"{each.support:,}", *(f"{value:.3f}" for value in asdict(scores).values()))
    return table


main = command(_parser, _evaluate)
