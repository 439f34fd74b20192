"""What a search tells: a table, and in its folder search.json, a picture, and the best override alone."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scd_lightning.analysis.comparison.comparison_table import failure_lines
from scd_lightning.analysis.formatting import number
from scd_lightning.analysis.search.trials import Search, as_number
from scd_lightning.run_folder.removable import SWEEP_FILE
from scd_lightning.store.making import claim
from scd_lightning.store.removal import delete

SEARCH, OVERRIDE, PLOT = "search.json", "override.txt", "search.png"


def show_search(search: Search) -> RenderableType:
    """Gives the table of what was tried, the jobs that failed, and the override to use."""
    names = _names(search)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("job", *names, f"validation {search.metric_name}", "loss", ""):
        table.add_column(name, justify="left" if name == "" else "right", overflow="fold")
    for each in search.candidates:
        note = "chosen" if each is search.chosen else "failed" if each.metric is None else ""
        values = [_short(each.values.get(name, "")) for name in names]
        table.add_row(",".join(each.jobs), *values, number(each.metric), number(each.loss), note)
    return Group(table, *failure_lines(search.failures), Text(_verdict(search), style="bold"))


def _verdict(search: Search) -> str:
    if search.chosen is None:
        return "No job finished: nothing is chosen."
    edges = [f" It is the {end} {name} tried: a better one may lie beyond." for name, end in search.edges().items()]
    return f"Best on the validation split: {search.chosen.override}{'.' if edges else ''}{''.join(edges)}"


def _short(value: str) -> str:
    found = as_number(value)
    return value if found is None or len(value) <= 8 else f"{found:.3g}"


def search_text(search: Search) -> str:
    """The content of search.json."""
    return json.dumps(search.to_dict(), indent=2, ensure_ascii=False) + "\n"


def write_search(search: Search, folder: Path) -> None:
    """Writes search.json, a picture, and the best override alone, for a shell, into a search's folder.

    Raises:
        ConfigError: It holds other things under these names.
        OSError: It can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claim(folder, dict.fromkeys((SEARCH, OVERRIDE, PLOT), SWEEP_FILE), "hydra.sweep.dir")
    (folder / SEARCH).write_text(search_text(search), encoding="utf-8")
    delete(folder / OVERRIDE, SWEEP_FILE, folder)
    if search.chosen is not None:
        (folder / OVERRIDE).write_text(search.chosen.words + "\n", encoding="utf-8")
    _draw(search, folder / PLOT)


def _draw(search: Search, path: Path) -> None:
    """One picture for each setting that is a number: what validation made of its values."""
    tried = {name: [as_number(each.values.get(name, "")) for each in search.candidates] for name in _names(search)}
    numbers = {name: [x for x in values if x is not None] for name, values in tried.items() if None not in values}
    delete(path, SWEEP_FILE, path.parent)
    if not numbers or search.chosen is None:
        return
    assert search.chosen.metric is not None
    metrics = [each.metric for each in search.candidates]
    figure = Figure(figsize=(4.6 * len(numbers), 3.4), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(numbers), squeeze=False)[0], numbers.items(), strict=True):
        _draw_values(axes, values, metrics, (float(search.chosen.values[name]), search.chosen.metric))
        axes.set(xscale="log" if min(values) > 0 else "linear", xlabel=name, ylabel=f"validation {search.metric_name}")
    figure.savefig(path, dpi=120)


def _draw_values(
    axes: Axes, values: Sequence[float], metrics: Sequence[float | None], best: tuple[float, float]
) -> None:
    points = sorted((x, y) for x, y in zip(values, metrics, strict=True) if y is not None)
    axes.plot(*zip(*points, strict=True), "o-", label="tried")
    for x, y in zip(values, metrics, strict=True):
        if y is None:
            axes.axvline(x, linestyle=":", color="gray", label="failed")
    axes.plot(*best, "D", color="black", label="chosen")
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    axes.legend(handles.values(), handles.keys())


def _names(search: Search) -> list[str]:
    return list(dict.fromkeys(name for each in search.candidates for name in each.values))
