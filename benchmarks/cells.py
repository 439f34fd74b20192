"""What tables in Markdown are made of: rows of cells, and numbers as they are written there."""

from collections.abc import Iterable, Sequence

from benchmarks.rows import Row

Cell = str | float | int | None
MISSING = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; its first column is text, the others are numbers or short words."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(cell: Cell) -> str:
    if cell is None:
        return MISSING
    return cell if isinstance(cell, str) else number(cell)


def number(value: float) -> str:
    """A number with three digits or so that mean something."""
    if isinstance(value, int) or value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def factor(value: float | None) -> str:
    """A ratio."""
    return MISSING if value is None else f"{value:.2f}"


def megabytes(value: float | None) -> str:
    """Bytes as MB."""
    return MISSING if value is None else f"{value / 1e6:,.0f}"


def times(of: Row) -> tuple[float, float, float, float]:
    """Median, least and most seconds, and the median of CPU-seconds."""
    seconds = of["seconds"]
    return seconds["median"], seconds["min"], seconds["max"], of["cpu_seconds"]["median"]
