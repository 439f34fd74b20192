"""What the terminal shows of a comparison."""

from collections.abc import Sequence
from textwrap import shorten

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scd_lightning.analysis.comparison.compare import Comparison, Setting
from scd_lightning.analysis.comparison.comparison_rows import shown_margin
from scd_lightning.analysis.comparison.comparison_verdict import conclusions, missing
from scd_lightning.analysis.comparison.comparison_words import caption, heading, shared_line, warnings
from scd_lightning.analysis.comparison.failed_jobs import UNFINISHED, Failure
from scd_lightning.analysis.comparison.sweep_runs import VALIDATION, metric_path

# Characters of an error that are shown here; the page has all of it.
LONGEST = 400
# By the side of zero on which an interval lies.
_STYLES = {1: "green", 0: "", -1: "red"}


def comparison_table(comparison: Comparison) -> RenderableType:
    """Gives one table for each setting, and the runs that failed; `verdict_lines` are what follows."""
    parts: list[RenderableType] = []
    for setting in comparison.settings:
        parts += [Text(heading(setting), style="italic"), _table(setting)]
        if setting.shared:
            parts.append(Text(shared_line(setting)))
        parts += [Text(warning, style="yellow") for warning in warnings(setting)]
    return Group(*parts, Text(caption(comparison), style="italic"), *failure_lines(comparison.failures))


def verdict_lines(comparison: Comparison) -> RenderableType:
    """Gives the last words on a comparison: each method against plain fine-tuning and its teacher, in colour."""
    parts = [Text(text, style="red") for text in [missing(comparison)] if text]
    for introduction, sentences in conclusions(comparison):
        parts.append(Text(introduction, style="bold"))
        for sentence in sentences:
            coloured = [(text, _STYLES[side]) for text, side in sentence.parts]
            parts.append(Text.assemble(*coloured, style="bold"))
    return Group(*parts)


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
    # Dense, so that all columns fit into 80 characters; what all rows have alike is said below.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", min_width=max(len(row.method) for row in setting.rows), overflow="fold")
    heads = ("student", "against\nfine-tuning", "against\nteacher")
    for column in (f"{setting.unit}s", "validation", *setting.unshared, *heads):
        table.add_column(column, justify="right", min_width=max(map(len, column.split("\n"))))
    for row in setting.rows:
        metrics = [metric_path(model, setting.primary_metric) for model in (*setting.unshared, "student")]
        count = f"{row.n}{'*' if row.repeated else ''}"
        cells = [row.short_name, count, *(row.shown(name) for name in (VALIDATION, *metrics))]
        margins = [
            Text(shown_margin(each, "{}\n{}"), style=_STYLES[each.side if each else 0]) for each in (row.gain, row.lead)
        ]
        table.add_row(*cells, *margins)
    return table
