"""Plots of a run as inline SVG that takes its colours from the page, and is readable without them.

matplotlib knows no CSS: everything is drawn in stand-in colours, which then become CSS variables, so that one picture
serves a light and a dark page. Series differ by marker and line style too.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from scd_lightning.analysis.confidence.calibration import Bin
from scd_lightning.analysis.formatting import number, share
from scd_lightning.analysis.subdomains import decompose

INK, GRID, TEACHER, ANCHOR, STUDENT = "#010101", "#020202", "#030303", "#040404", "#050505"
CSS_NAMES = {INK: "ink", GRID: "grid", TEACHER: "teacher", ANCHOR: "anchor", STUDENT: "student"}
LOOKS: dict[str, dict[str, Any]] = {
    "teacher": {"color": TEACHER, "marker": "s"},
    "anchor": {"color": ANCHOR, "marker": "^"},
    "student": {"color": STUDENT, "marker": "o"},
}
STAGE_MARKERS, STAGE_STYLES = "osD^vP*X", ("-", "--", "-.", ":")
# A point takes about 100 bytes of the page; more than these hide each other anyway.
MAX_POINTS = 3000
LOWEST_LOSS = 1e-6

STYLE: Any = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.markersize": 5,
    "svg.fonttype": "none",
}


def plot(draw: Callable[..., None], size: tuple[float, float] = (4.6, 3.4)) -> Callable[..., str]:
    """Turns a function that draws on axes into one that returns an SVG element, of a size in inches."""

    @wraps(draw)
    def draw_svg(*args: Any, **kwargs: Any) -> str:
        """Draws on axes of its own; the SVG depends on the arguments alone."""
        # The salt names the ids inside the SVG: equal input gives an equal file, and plots of one page don't clash.
        with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"{draw.__name__} {args} {kwargs}"}):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure.subplots(), *args, **kwargs)
            return _svg(figure)

    return draw_svg


@plot
def trajectory_plot(axes: Axes, trajectory: Sequence[dict[str, Any]], metric: str, best: int | None) -> None:
    """Draws a validation metric of the teacher's checkpoints over their steps; a ring marks the best one."""
    steps = [entry["step"] for entry in trajectory]
    values = [entry["metrics"][metric] for entry in trajectory]
    axes.plot(steps, values, **LOOKS["teacher"])
    for entry, value in zip(trajectory, values, strict=True):
        _note_above(axes, str(entry["index"]), (entry["step"], value), points=9)
        if entry["index"] == best:
            axes.plot(entry["step"], value, "o", markersize=13, fillstyle="none", color=INK, label="best")
            axes.legend()
    axes.margins(y=0.2)
    axes.set(xlabel="optimizer step (numbers: checkpoint)", ylabel=f"validation {metric}", title="Teacher trajectory")


@plot
def schedule_plot(axes: Axes, stages: Sequence[dict[str, Any]], best: int | None) -> None:
    """Draws the checkpoint that each stage of the student learned from, over its epochs."""
    chosen = [stage["checkpoint"] for stage in stages]
    if best is not None:
        axes.axhline(best, color=TEACHER, linestyle="--", linewidth=1, label="best checkpoint")
    for stage in stages:
        first, last = stage["epochs"]
        axes.plot([first, last + 1], [stage["checkpoint"]] * 2, color=STUDENT, linewidth=4, solid_capstyle="butt")
        _note_above(axes, f"stage {stage['stage']}", ((first + last + 1) / 2, stage["checkpoint"]), points=6)
    highest = max([*chosen, *(len(stage["score"] or ()) - 1 for stage in stages), best or 0])
    axes.set_ylim(-0.5, highest + 0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="student epoch", ylabel="teacher checkpoint", title="Schedule")
    if best is not None:
        axes.legend(loc="lower right")


@plot
def scores_plot(axes: Axes, stages: Sequence[dict[str, Any]]) -> None:
    """Draws, for each stage, the score of each checkpoint; a ring marks the one chosen, the lowest."""
    for stage in stages:
        score, look = stage["score"], stage["stage"]
        style = STAGE_MARKERS[look % len(STAGE_MARKERS)] + STAGE_STYLES[look % len(STAGE_STYLES)]
        axes.plot(range(len(score)), score, style, color=STUDENT, linewidth=1.2, label=f"stage {look}")
        chosen = stage["checkpoint"]
        axes.plot(chosen, score[chosen], "o", markersize=13, fillstyle="none", color=INK)
    values = [value for stage in stages for value in stage["score"]]
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="teacher checkpoint", ylabel="score in nats", title="Scores (ring: chosen)")
    axes.legend()


@plot
def loss_curves_plot(axes: Axes, curves: dict[str, list[dict[str, Any]]]) -> None:
    """Draws training and validation losses of teacher, anchor and student over their epochs."""
    for name, look in LOOKS.items():
        points = curves.get(name, [])
        _line(axes, points, "train_loss", label=f"{name}, training", linestyle=":", **look)
        _line(axes, points, "validation_loss", label=f"{name}, validation", linestyle="-", **look)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss in nats per token", title="Losses")
    _legend_below(axes, columns=3)


@plot
def metric_curves_plot(axes: Axes, curves: dict[str, list[dict[str, Any]]]) -> None:
    """Draws the validation metric of teacher, anchor and student over their epochs."""
    for name, look in LOOKS.items():
        _line(axes, curves.get(name, []), "validation_metric", label=name, **look)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="validation metric", title="Validation metric")
    axes.legend()


@plot
def reliability_plot(axes: Axes, found: Mapping[str, Sequence[Bin]]) -> None:
    """Draws the share of right answers over how sure the student was, before and after calibration."""
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="as right as sure")
    looks: tuple[dict[str, Any], ...] = ({"color": INK, "linestyle": "--", "marker": "x"}, LOOKS["student"])
    for (name, bins), look in zip(found.items(), looks, strict=True):
        axes.plot([each.confidence for each in bins], [each.right for each in bins], label=name, **look)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="how sure", ylabel="share that is right", title="Reliability")
    axes.legend(loc="upper left")


@plot
def taken_plot(
    axes: Axes, taken: Sequence[float], right: Sequence[float], points: Sequence[tuple[float, float]]
) -> None:
    """Draws the share that is right of what is taken over the share that is taken; rings are proven thresholds."""
    axes.plot(taken, right, color=STUDENT, linewidth=1.2)
    for x, y in points:
        axes.plot(x, y, "o", markersize=10, fillstyle="none", color=INK)
    axes.set(xlim=(0, 1.02), xlabel="share taken, the surest first", ylabel="share of it that is right")
    axes.set_title("What a threshold takes")


@plot
def cascade_plot(axes: Axes, asked: Sequence[float], values: Sequence[float], metric: str, teacher: float) -> None:
    """Draws a metric of student and teacher together over the share of texts that go to the teacher."""
    axes.plot(asked, values, color=STUDENT, linewidth=1.6, label="student, then teacher")
    axes.axhline(teacher, color=TEACHER, linestyle="--", linewidth=1, label="teacher alone")
    axes.plot([0, 1], [values[0], values[-1]], color=INK, linestyle=":", linewidth=1, label="texts at random")
    axes.set(xlabel="share of texts that the teacher is asked", ylabel=metric, title="Asking the teacher where unsure")
    axes.legend(loc="lower right")


@plot
def loss_scatter_plot(axes: Axes, student: Sequence[float], teacher: Sequence[float]) -> None:
    """Draws each sample's loss under teacher and student, on either side of the diagonal that parts SFS and TFS.

    Logarithmic axes have no zero: losses below the smallest positive one, or LOWEST_LOSS, stand on the edge.
    """
    positive = [loss for loss in (*student, *teacher) if loss > 0]
    floor = max(LOWEST_LOSS, min(positive, default=1.0))
    pairs = list(zip(student, teacher, strict=True))[:: 1 + (len(student) - 1) // MAX_POINTS]
    split = decompose(student, teacher)
    tfs_share = 1 - split.sfs_share - split.tie_share
    parts = (
        ("SFS, student better", split.sfs_share, "o", STUDENT, [pair for pair in pairs if pair[0] < pair[1]]),
        ("TFS, teacher better", tfs_share, "s", TEACHER, [pair for pair in pairs if pair[0] > pair[1]]),
        ("equal", split.tie_share, "x", INK, [pair for pair in pairs if pair[0] == pair[1]]),
    )
    for name, of_all, marker, color, drawn in parts:
        points = [(max(theirs, floor), max(ours, floor)) for ours, theirs in drawn]
        if points:
            look: Any = {"color": color, "fillstyle": "none", "markersize": 3.5}
            axes.plot(*zip(*points, strict=True), marker, label=f"{name}: {share(of_all)}", **look)
    top = max([*positive, 10 * floor])
    axes.plot([floor, top], [floor, top], color=INK, linestyle="--", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="teacher loss in nats", ylabel="student loss in nats")
    axes.set_title("Samples and the SFS/TFS diagonal")
    _plain_numbers(axes.xaxis)
    _plain_numbers(axes.yaxis)
    _legend_below(axes, columns=2)


@plot
def advantage_plot(axes: Axes, points: Sequence[dict[str, Any]]) -> None:
    """Draws the student's advantage and deficit against the teacher's best checkpoint over its epochs."""
    _line(axes, points, "advantage", label="advantage (SFS)", **LOOKS["student"])
    _line(axes, points, "deficit", label="deficit (TFS)", linestyle="--", **LOOKS["teacher"])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="student epoch", ylabel="nats per token", title="Advantage and deficit, validation")
    axes.legend()


@plot
def precision_plot(
    axes: Axes,
    curve: Sequence[tuple[float, float, float]],
    kept: tuple[float, float, float, float] | None,
    threshold: float | None,
) -> None:
    """Draws which share of a teacher's most probable answers is right, over how many of them are kept.

    Args:
        axes: Where to.
        curve: (share kept, share of it that is right, least probability in it).
        kept: What a rule keeps: its share, the share of it that is right, and the ends of that one's interval.
        threshold: The probability from which on the rule keeps answers; None where it goes by something else.
    """
    shares, right = [100 * point[0] for point in curve], [100 * point[1] for point in curve]
    axes.plot(shares, right, label="most probable answers", **LOOKS["teacher"])
    if kept:
        place, value, low, high = (100 * each for each in kept)
        if threshold is not None:
            label = f"kept from probability {number(threshold)} on"
            axes.axvline(place, color=INK, linestyle="--", linewidth=1, label=label)
        axes.plot([place, place], [low, high], color=INK, linewidth=2, solid_capstyle="butt")
        ring: Any = {"markersize": 13, "fillstyle": "none", "linestyle": "none", "clip_on": False}
        axes.plot(place, value, marker="o", color=INK, label="what is kept, 95 % interval", **ring)
    axes.set(xlim=(0, 103), ylim=(0, 108), xlabel="% of the validation answers kept", ylabel="% of them right")
    axes.set_title("Precision against share kept")
    _legend_below(axes, columns=2)


def _weights_plot(axes: Axes, counts: Sequence[int], stage: int, top: float) -> None:
    total = max(sum(counts), 1)
    edges = [index / len(counts) for index in range(len(counts) + 1)]
    heights = [100 * each / total for each in counts]
    axes.stairs(heights, edges, fill=True, facecolor="none", edgecolor=STUDENT, hatch="////", linewidth=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 100 * top), xticks=[0, 0.5, 1], xlabel="weight", title=f"stage {stage}")
    axes.set_ylabel("% of samples")


# The samples' weights in one stage; `top` is the highest share of all stages, so that panels can be compared.
weights_plot = plot(_weights_plot, size=(2.3, 1.9))


def _note_above(axes: Axes, text: str, place: tuple[float, float], points: float) -> None:
    axes.annotate(text, place, xytext=(0, points), textcoords="offset points", ha="center")


def _line(axes: Axes, points: Sequence[dict[str, Any]], field: str, **look: Any) -> None:
    recorded = [(point["epoch"], point[field]) for point in points if point.get(field) is not None]
    if recorded:
        axes.plot(*zip(*recorded, strict=True), **look)


def _plain_numbers(axis: Axis) -> None:
    """Writes powers of ten without matplotlib's mathematics, which labels from data could set off too."""
    low, high = sorted(axis.get_view_interval())
    if high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _legend_below(axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    assert isinstance(axes.figure, Figure)
    place: Any = {"loc": "outside lower center", "ncols": columns}
    axes.figure.legend(handles, labels, fontsize=8, handlelength=2.2, columnspacing=0.9, handletextpad=0.5, **place)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # Text stays text in the SVG: the browser's fonts draw it, whatever matplotlib's lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Not `savefig`, which draws all of it once more before, for a canvas that fits tightly.
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Ids such as axes_1 name nothing that is referred to, and would be the same in every plot of the page.
    text = re.sub(r' id="[a-zA-Z0-9]+(\.[a-z]+)*_\d+"', "", text)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    for stand_in, name in CSS_NAMES.items():
        text = text.replace(stand_in, f"var(--{name})")
    return text
