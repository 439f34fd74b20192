"""Plots of a comparison: every run a point."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scd_lightning.analysis.comparison import Row
from scd_lightning.analysis.plots import INK, LOOKS, STUDENT, plot
from scd_lightning.analysis.sweep import LEAD, SweepRun

_WIDTH, _ROW, _FRAME = 4.6, 0.62, 1.3
# Longer names would leave no room for the plot.
_LONGEST = 24


@plot
def seeds_plot(axes: Axes, rows: Sequence[Row], metric: str) -> None:
    """Draws a metric of teacher, anchor and student of each run; a line marks the mean of a row.

    Args:
        axes: Where to draw.
        rows: The methods.
        metric: Name of the metric.
    """
    for offset, (model, look) in zip((-0.22, 0.0, 0.22), LOOKS.items(), strict=True):
        name = f"metrics.{model}.{metric}"
        points = [
            (run.values[name], index + offset)
            for index, row in enumerate(rows)
            for run in row.runs
            if name in run.values
        ]
        if points:
            axes.plot(*zip(*points, strict=True), linestyle="none", fillstyle="none", label=model, **look)
        for index, row in enumerate(rows):
            if name in row.values:
                axes.vlines(
                    row.values[name].mean, index + offset - 0.1, index + offset + 0.1, look["color"], linewidth=2
                )
    _name_rows(axes, rows)
    axes.set(xlabel=f"test {metric}", title="Every run (line: mean)")
    _legend_below(axes)


@plot
def leads_plot(axes: Axes, rows: Sequence[Row], score: str) -> None:
    """Draws what each method's student is ahead of its teacher, with its interval; a dot is a run.

    Args:
        axes: Where to draw.
        rows: The methods; those without an interval have dots alone.
        score: Name of what is averaged.
    """
    axes.axvline(0, color=INK, linewidth=1)
    for index, row in enumerate(rows):
        if row.lead is not None:
            axes.hlines(index, row.lead.low, row.lead.high, STUDENT, linewidth=2)
            axes.plot(row.lead.value, index, "o", color=STUDENT, markersize=7)
        runs = [_run_lead(run) for run in row.runs]
        found = [lead for lead in runs if lead is not None]
        axes.plot(found, [index + 0.22] * len(found), ".", color=INK, fillstyle="none")
    _name_rows(axes, rows)
    axes.set(xlabel=f"student minus teacher, test {score}", title="Lead (bar: 95 % interval; dots: runs)")


def _run_lead(run: SweepRun) -> float | None:
    if {"student", "teacher"} <= run.scores.keys():
        return run.scores["student"].value - run.scores["teacher"].value
    return run.values.get(LEAD)


def _name_rows(axes: Axes, rows: Sequence[Row]) -> None:
    names = [f"{row.method}\n{_end(row.short)}" if row.short else row.method for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    assert isinstance(axes.figure, Figure)
    axes.figure.set_size_inches(_WIDTH, _FRAME + _ROW * max(2, len(rows)))


def _end(text: str) -> str:
    """The end of a long name, which is where overrides differ."""
    return text if len(text) <= _LONGEST else f"…{text[1 - _LONGEST :]}"


def _legend_below(axes: Axes) -> None:
    assert isinstance(axes.figure, Figure)
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
