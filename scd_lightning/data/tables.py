"""Tables as text: what separates their cells and how quotes are written in them is told by the whole file."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scd_lightning.data.rows import shorten
from scd_lightning.errors import DataError

# The csv library refuses cells past 128 KiB unless it is told otherwise; this is the most that fits a C long anywhere.
_LONGEST_CELL = 2**31 - 1
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "strokes"}
# Excel's own way to say which it is, on a line before the header.
_SAID = re.compile(r"sep=(.)\r?\n")
_ESCAPED = re.compile(r'\\([\\"])')


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
    """The records of a table, without empty columns and without empty records at its end.

    Args:
        text: What the file says.
        file: The file, for messages.
        separator: What separates cells where the file does not show otherwise.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: It is no table, or two of its columns have one name.
    """
    csv.field_size_limit(_LONGEST_CELL)
    found = _said(text) or _separator(text, separator)
    if found != separator:
        notes.append(
            f"{file.name} has cells that are separated by {_SEPARATORS.get(found, repr(found))} and is read so."
        )
    try:
        lines = list(_lines(text, found))
    except _BrokenError as error:
        lines = _with_escaped_quotes(text, found)
        if not lines:
            raise _no_table(file, error) from error
        notes.append(f'{file.name} has quotes written \\" within cells and is read so.')
    return _records(lines, file)


class _BrokenError(Exception):
    """A record that can't be read, and so nothing behind it; with its line."""


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each record, the header among them."""
    head = _SAID.match(text)
    skipped = 1 if head else 0
    reader = csv.reader(io.StringIO(text[head.end() :] if head else text, newline=""), _dialect(separator))
    line = skipped
    try:
        for cells in reader:
            # A quoted cell may span lines: a record starts after the last line of the one before it.
            start, line = line + 1, reader.line_num + skipped
            if cells:
                yield start, cells
    except csv.Error as error:
        raise _BrokenError(str(error), line + 1) from error


def _dialect(separator: str) -> type[csv.Dialect]:
    """CSV as it is read here, with cells that are separated so."""

    class Separated(csv.excel):
        delimiter = separator
        strict = True

    return Separated


def _said(text: str) -> str | None:
    head = _SAID.match(text)
    return head[1] if head else None


def _separator(text: str, default: str) -> str:
    """What separates cells: what makes columns of the header, and where several do, what all records agree with."""
    several = [each for each in dict.fromkeys((default, *_SEPARATORS)) if len(_header_cells(text, each)) > 1]
    if len(several) < 2:
        return several[0] if several else default
    fitting = [each for each in several if _fits(text, each)]
    return (fitting or several)[0]


def _header_cells(text: str, separator: str) -> list[str]:
    try:
        _, cells = next(_lines(text, separator), (0, []))
    except _BrokenError:
        return []
    return [cell for cell in cells if cell.strip()]


def _fits(text: str, separator: str) -> bool:
    try:
        return len({len(cells) for _, cells in _lines(text, separator)}) == 1
    except _BrokenError:
        return False


def _with_escaped_quotes(text: str, separator: str) -> list[tuple[int, list[str]]]:
    r"""The records, with \" and \\ as CSV writes them; none where even so it is no table of equally long ones."""
    if '\\"' not in text:
        return []
    doubled = _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", text)
    return list(_lines(doubled, separator)) if _fits(doubled, separator) else []


def _no_table(file: Path, error: _BrokenError) -> DataError:
    # Behind a stray quote nobody knows where records begin: the file can't be read any further.
    what, line = error.args
    expected = 'cells separated by commas, semicolons or tabs, quotes within quoted cells doubled ("")'
    return DataError(f"The line is not CSV ({what})", where=f"{file}:{line}", expected=expected)


def _records(lines: Sequence[tuple[int, list[str]]], file: Path) -> list[Record]:
    if not lines:
        return []
    (line, names), *rest = lines
    while rest and not any(rest[-1][1]):
        rest.pop()
    empty = {i for i, name in enumerate(names) if not name.strip()}
    for _, cells in rest:
        empty = {i for i in empty if not "".join(cells[i : i + 1])}
    header = unique_names(_without(names, empty), f"{file}:{line}")
    return [Record(header, _without(_cut(cells, len(names)), empty), at) for at, cells in rest]


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
