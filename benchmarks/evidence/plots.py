"""The page's plots, as SVG files that are equal for equal numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.evidence import where_part
from benchmarks.evidence.contrasts import Contrast, contrast
from benchmarks.evidence.found import Found
from benchmarks.evidence.primary import METHOD
from benchmarks.evidence.study import TASKS
from benchmarks.evidence.tuning import SFT
from scd_lightning.analysis.formatting import count

_COLOURS, _MARKERS = ("#2a6f97", "#c1666b", "#7a7a7a", "#5b8c5a"), "os^D"
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#cccccc",
    "legend.frameon": False,
    "svg.fonttype": "none",
    # Names the ids within the file, which are random otherwise.
    "svg.hashsalt": "evidence",
}


@dataclass(frozen=True)
class Panel:
    """Differences side by side.

    Attributes:
        title: Above it.
        groups: What stands along the bottom.
        series: Name -> a difference for each group, None where there is none.
    """

    title: str
    groups: Sequence[str]
    series: dict[str, Sequence[Contrast | None]]

    @property
    def shows(self) -> bool:
        """Whether there is a difference at all."""
        return any(seen is not None for contrasts in self.series.values() for seen in contrasts)


def where_panels(found: Found) -> list[Panel]:
    """Part 5: a panel for each share of wrong labels, along the numbers of labels; every cell that is measured."""
    task, sizes = found.study.tasks[0], found.study.sizes
    panels = []
    for noise in where_part.NOISE:
        series: dict[str, Sequence[Contrast | None]] = {}
        for method in where_part.DISTILLED:
            series[f"{method} - {SFT}"] = [
                contrast(
                    found.values(5, "where", task, where_part.named(method, labels, noise)),
                    found.values(5, "where", task, where_part.named(SFT, labels, noise)),
                )
                for labels in where_part.labels(sizes)
            ]
        labels = [f"{count(each)} labels" for each in where_part.labels(sizes)]
        panels.append(Panel(f"{noise:.0%} wrong", labels, series))
    return panels


def methods_panels(found: Found, methods: Sequence[str]) -> list[Panel]:
    """Part 2: a panel for each task, along the methods."""
    panels = []
    for task in found.study.tasks:
        plain = found.values(2, "main", task, SFT)
        seen = [contrast(found.values(2, "main", task, method), plain) for method in methods]
        panels.append(
            Panel(TASKS[task], [each.replace("_from_", "\nfrom ") for each in methods], {f"against {SFT}": seen})
        )
    return panels


def draw(panels: Sequence[Panel], metric: str) -> bytes:
    """Draws panels beside each other on one scale: mean, 95 % interval, and each draw as a dot.

    Args:
        panels: One or more.
        metric: What is on the scale.
    """
    with matplotlib.rc_context(_STYLE):
        width = 1.2 + sum(0.55 * len(each.groups) * max(1, len(each.series) / 1.5) for each in panels)
        figure = Figure(figsize=(max(7.0, width), 3.4), layout="constrained")
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, panel)
        every[0].set_ylabel(metric)
        if len(panels[0].series) > 1:
            every[0].legend(loc="best")
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib leaves blanks at the ends of lines.
    return b"\n".join(line.rstrip() for line in file.getvalue().split(b"\n"))


def _panel(axes: Axes, panel: Panel) -> None:
    axes.axhline(0, color="#333333", linewidth=0.8)
    for index, (name, contrasts) in enumerate(panel.series.items()):
        look: dict[str, Any] = {"color": _COLOURS[index % len(_COLOURS)]}
        label: str | None = name
        for place, seen in enumerate(contrasts):
            if seen is None:
                continue
            x = place + 0.24 * (index - (len(panel.series) - 1) / 2)
            low, high = seen.interval or (seen.mean, seen.mean)
            axes.plot([x, x], [low, high], linewidth=1.6, **look)
            axes.plot([x + 0.09] * len(seen.by_draw), list(seen.by_draw.values()), ".", markersize=5, alpha=0.6, **look)
            axes.plot(x, seen.mean, _MARKERS[index % len(_MARKERS)], markersize=5, label=label, **look)
            label = None
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(panel.groups) > 4 else {}
    axes.set_xticks(range(len(panel.groups)), panel.groups, **turned)
    axes.set_xlim(-0.6, len(panel.groups) - 0.4)
    axes.set_title(panel.title, fontsize=10)
    axes.grid(axis="x", visible=False)


def headline(panels: Sequence[Panel]) -> tuple[int, int, int]:
    """Of the main method's differences: how many are surely above zero, surely below, and how many there are."""
    seen = [each for panel in panels for each in panel.series.get(f"{METHOD} - {SFT}", ()) if each is not None]
    return sum(each.side > 0 for each in seen), sum(each.side < 0 for each in seen), len(seen)
