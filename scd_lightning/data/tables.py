"""Tables as text: their records, without what is none of them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scd_lightning.data.dialects import Lines, read_lines
from scd_lightning.data.rows import shorten
from scd_lightning.errors import DataError

# So many of all records say what a record is.
_MOST = 0.9


@dataclass(frozen=True)
class Record:
    """The cells of a record, and the header's names of them.

    Attributes:
        header: The columns' names.
        cells: Maybe more or fewer of them.
        line: Where it starts.
    """

    header: list[str]
    cells: list[str]
    line: int


def read_table(text: str, file: Path, separator: str, notes: list[str]) -> list[Record]:
    """The records of a table, without empty columns, empty records at its end and headers in its middle.

    Args:
        text: What the file says.
        file: The file, for messages.
        separator: What separates cells where the file does not show otherwise.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: It is no table, its first line no header, or two of its columns have one name.
    """
    lines = read_lines(text, file, separator, notes)
    return _records(_without_headers(lines, file, notes), file) if lines else []


def _without_headers(lines: Lines, file: Path, notes: list[str]) -> Lines:
    """The records without those that repeat the header, as where files were put one behind another."""
    (_, header), *rest = lines
    kept = [each for each in rest if len(header) < 2 or each[1] != header]
    if len(kept) < len(rest):
        repeated = len(rest) - len(kept)
        notes.append(f"{file.name} repeats its header {repeated} times: these lines are no rows.")
    return [lines[0], *kept]


def _records(lines: Lines, file: Path) -> list[Record]:
    (line, names), *rest = lines
    while rest and not any(rest[-1][1]):
        rest.pop()
    empty = {i for i, name in enumerate(names) if not name.strip()}
    for _, cells in rest:
        empty = {i for i in empty if not "".join(cells[i : i + 1])}
    _check_header(names, rest, f"{file}:{line}")
    header = unique_names([name.strip() for name in _without(names, empty)], f"{file}:{line}")
    return [Record(header, _without(_cut(cells, len(names)), empty), at) for at, cells in rest]


def _check_header(names: list[str], rest: Lines, where: str) -> None:
    """Looks whether the first line may be the header of those below it."""
    counts = Counter(len(_cut(cells, len(names))) for _, cells in rest)
    [(width, found)] = counts.most_common(1) or [(len(names), 0)]
    if width != len(names) and len(rest) > 1 and found >= _MOST * len(rest):
        raise DataError(
            "The first line is no header of the lines below it",
            where=where,
            got=f"{len(names)} cells, {shorten(names)}; {found} of {len(rest)} lines below have {width}",
            expected="the names of all columns on the first line",
            remedy="remove lines above the header, name the missing columns in it, or put texts that hold separators "
            "in double quotes",
        )


def _cut(cells: list[str], count: int) -> list[str]:
    """Cells without empty ones behind the last column."""
    return cells[:count] if not any(cells[count:]) else cells


def _without(cells: list[str], empty: set[int]) -> list[str]:
    return [cell for i, cell in enumerate(cells) if i not in empty] if empty else cells


def unique_names(names: list[str], where: object) -> list[str]:
    """The names of columns.

    Raises:
        DataError: One is there twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        remedy = "give the columns names of their own, or remove those that are not used"
        got = shorten(twice)
        raise DataError("Two columns have one name", where=where, got=got, expected="a name for each", remedy=remedy)
    return names
