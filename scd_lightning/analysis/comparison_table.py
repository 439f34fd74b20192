"""What the terminal shows of a comparison."""

from collections.abc import Sequence
from textwrap import shorten

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scd_lightning.analysis.comparison import Comparison, Row, Setting
from scd_lightning.analysis.comparison_words import bounds, caption, heading, verdict, warnings
from scd_lightning.analysis.failures import UNFINISHED, Failure
from scd_lightning.analysis.formatting import number
from scd_lightning.analysis.sweep import LEAD, VALIDATION

_INTERVAL, _BOUND = "95 % interval", len("-0.123 to")
# Characters of an error that are shown here; the page has all of it.
LONGEST = 400
# Heading -> where the value stands in `Row.values`, {metric} being the primary one.
_COLUMNS = {
    "validation": VALIDATION,
    "teacher": "metrics.teacher.{metric}",
    "anchor": "metrics.anchor.{metric}",
    "student": "metrics.student.{metric}",
    "lead": LEAD,
}


def comparison_table(comparison: Comparison) -> RenderableType:
    """Gives one table for each setting with its verdict, and the runs that failed."""
    parts: list[RenderableType] = []
    for setting in comparison.settings:
        parts += [Text(heading(setting), style="italic"), _table(setting)]
        parts += [Text(warning, style="yellow") for warning in warnings(setting)]
        parts.append(Text(verdict(setting), style="bold"))
    return Group(*parts, *failure_lines(comparison.failures), Text(caption(comparison), style="italic"))


def failure_lines(failures: Sequence[Failure]) -> list[RenderableType]:
    """Gives the runs that did not finish, each with its error and the command that runs it alone."""
    parts: list[RenderableType] = []
    for failure in failures:
        # One that is unfinished may be running.
        begin = [UNFINISHED, failure.name] if failure.type == UNFINISHED else ["failed", failure.name, failure.type]
        message = shorten(failure.message, LONGEST, placeholder=" …")
        parts.append(Text(": ".join([*begin, message]), style="red"))
        if failure.command:
            # In one line however long, to be copied.
            parts.append(Text(f"  alone: {failure.command}", no_wrap=True, overflow="ignore"))
    return parts


def _table(setting: Setting) -> Table:
    # Dense, so that all columns fit into 80 characters.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", min_width=max(len(row.method) for row in setting.rows), overflow="fold")
    for column in ("n", *_COLUMNS, _INTERVAL):
        table.add_column(column, justify="right", min_width=_BOUND if column == _INTERVAL else len(column))
    for row in setting.rows:
        # Text, not str: rich would read [brackets] in names as styles.
        table.add_row(*map(Text, _cells(setting, row)))
    return table


def _cells(setting: Setting, row: Row) -> list[str]:
    values = [_cell(row, name.format(metric=setting.primary_metric)) for name in _COLUMNS.values()]
    return [row.short_name, f"{row.n}{'*' if row.repeated else ''}", *values, bounds(row.lead)]


def _cell(row: Row, name: str) -> str:
    value = row.values.get(name)
    if value is None:
        return number(None)
    return value.signed() if name == LEAD else str(value)
