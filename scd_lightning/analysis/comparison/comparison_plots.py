"""Plots of a comparison: every run a point."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scd_lightning.analysis.comparison.compare import Setting
from scd_lightning.analysis.comparison.comparison_rows import Margin, Row
from scd_lightning.analysis.comparison.sweep_runs import metric_path
from scd_lightning.analysis.plots import INK, LOOKS, STUDENT, plot

_WIDTH, _ROW, _FRAME = 4.6, 0.62, 1.3
# Longer names would leave no room for the plot.
_LONGEST = 24

Points = Mapping[str, Any]


def seeds_plot(setting: Setting) -> str:
    """Draws the primary metric of teacher, anchor and student of each run; a line marks the mean of a row."""
    label = f"{setting.split} {setting.primary_metric}"
    return _seeds_plot([_seeds(setting, row) for row in setting.rows], label)


def leads_plot(setting: Setting) -> str | None:
    """Draws what each method's student is ahead of its teacher, with its interval; a dot is a run. None without one."""
    return _margins("its teacher", setting, [(row, row.lead) for row in setting.rows])


def gains_plot(setting: Setting) -> str | None:
    """Draws the same against plain fine-tuning."""
    return _margins("plain fine-tuning", setting, [(row, row.gain) for row in setting.rows])


def _margins(other: str, setting: Setting, margins: Iterable[tuple[Row, Margin | None]]) -> str | None:
    rows: list[Points] = []
    for row, margin in margins:
        if margin is not None:
            found = margin.interval
            ends = None if found is None else (found.value, found.low, found.high)
            rows.append({"name": _name(row), "runs": margin.by_run, "interval": ends})
    return _margins_plot(rows, other, f"{setting.split} {setting.score}") if rows else None


def _seeds(setting: Setting, row: Row) -> Points:
    names = {model: metric_path(model, setting.primary_metric) for model in LOOKS}
    found = {model: [run.values[name] for run in row.runs if name in run.values] for model, name in names.items()}
    means = {model: row.values[name].mean for model, name in names.items() if name in row.values}
    return {"name": _name(row), "runs": found, "means": means}


def _name(row: Row) -> str:
    """A row's name on two lines; of a long one the end, which is where overrides differ."""
    settings = row.short if len(row.short) <= _LONGEST else f"…{row.short[1 - _LONGEST :]}"
    return f"{row.method}\n{settings}" if settings else row.method


# What is drawn is plain values alone: a picture's ids come from them, and are the same wherever the runs are.


@plot
def _seeds_plot(axes: Axes, rows: Sequence[Points], label: str) -> None:
    for offset, (model, look) in zip((-0.22, 0.0, 0.22), LOOKS.items(), strict=True):
        points = [(value, index + offset) for index, row in enumerate(rows) for value in row["runs"][model]]
        if points:
            axes.plot(*zip(*points, strict=True), linestyle="none", fillstyle="none", label=model, **look)
        for index, row in enumerate(rows):
            if model in row["means"]:
                ends = (index + offset - 0.1, index + offset + 0.1)
                axes.vlines(row["means"][model], *ends, look["color"], linewidth=2)
    _name_rows(axes, rows)
    axes.set(xlabel=label, title="Every run (line: mean)")
    assert isinstance(axes.figure, Figure)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)


@plot
def _margins_plot(axes: Axes, rows: Sequence[Points], other: str, score: str) -> None:
    axes.axvline(0, color=INK, linewidth=1)
    for index, row in enumerate(rows):
        if row["interval"] is not None:
            value, low, high = row["interval"]
            axes.hlines(index, low, high, STUDENT, linewidth=2)
            axes.plot(value, index, "o", color=STUDENT, markersize=7)
        axes.plot(row["runs"], [index + 0.22] * len(row["runs"]), ".", color=INK, fillstyle="none")
    _name_rows(axes, rows)
    axes.set(xlabel=f"difference in {score}", title=f"Against {other} (bar: 95 % interval)")


def _name_rows(axes: Axes, rows: Sequence[Points]) -> None:
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    assert isinstance(axes.figure, Figure)
    axes.figure.set_size_inches(_WIDTH, _FRAME + _ROW * max(2, len(rows)))
