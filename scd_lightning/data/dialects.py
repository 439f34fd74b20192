"""How a table's text is cut into cells: what separates them and how quotes are written is told by the whole file."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scd_lightning.errors import DataError

# Line and cells of each record, the header among them.
Lines = list[tuple[int, list[str]]]
# The csv library refuses cells past 128 KiB unless it is told otherwise; this is the most that fits a C long anywhere.
_LONGEST_CELL = 2**31 - 1
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "strokes"}
# Excel's own way to say which it is, on a line before the header.
_SAID = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)
_ESCAPED = re.compile(r'\\([\\"])')
# A column with so many records to a value, or more, has a closed set of them.
_CLOSED = 2


class BrokenError(Exception):
    """A record that can't be read, and so nothing behind it; with its line."""


@dataclass(frozen=True)
class _Way:
    """A way to cut a text.

    Attributes:
        separator: What stands between cells.
        quote: What encloses a cell; None where nothing does.
        escaped: Whether quotes within cells stand behind a backslash; else they are doubled.
        blanks: Whether blanks before a cell are none of it.
    """

    separator: str
    quote: str | None = '"'
    escaped: bool = False
    blanks: bool = False


# What is said of ways that are not the usual one. Where tabs separate, many programs write quotes as they are.
_BEHIND_BACKSLASHES = 'quotes written \\" within cells', {"escaped": True}
_BEHIND_BLANKS = "blanks between separators and quotes", {"blanks": True}
_SINGLE = "single quotes around cells", {"quote": "'"}
_NONE = "quotes that enclose no cell", {"quote": None}
_Other = tuple[str, dict[str, Any]]


def read_lines(text: str, file: Path, separator: str, notes: list[str]) -> Lines:
    """The records of a table in the way that it is written.

    Args:
        text: What the file says.
        file: The file, for messages.
        separator: What separates cells where the file does not show otherwise.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: It is no table, or records vanish between quotes.
    """
    csv.field_size_limit(_LONGEST_CELL)
    found = _said(text) or _separator(text, separator)
    if found != separator:
        notes.append(
            f"{file.name} has cells that are separated by {_SEPARATORS.get(found, repr(found))} and is read so."
        )
    usual = _Way(found)
    unquoted = [_NONE] if found == "\t" else []
    try:
        lines = list(_lines(text, usual))
    except BrokenError as error:
        other = _otherwise(text, usual, [_BEHIND_BACKSLASHES, *unquoted])
        if other is None:
            raise _no_table(file, error) from error
        return _noted(other, file, notes)
    swallowed = _swallowing(text, lines, found)
    if swallowed is not None:
        other = _otherwise(text, usual, unquoted)
        if other is None:
            raise _swallowed(file, swallowed)
        return _noted(other, file, notes)
    others = [_BEHIND_BLANKS] if f'{found} "' in text and _any_enclosed(lines, " ") else []
    other = _otherwise(text, usual, others if _equal(lines) else [*others, *_singly(lines)])
    return lines if other is None else _noted(other, file, notes)


def _singly(lines: Lines) -> list[_Other]:
    """Single quotes, where most records begin with one."""
    return [_SINGLE] if 2 * sum(cells[0].startswith("'") for _, cells in lines) > len(lines) else []


def _noted(other: tuple[str, Lines], file: Path, notes: list[str]) -> Lines:
    how, lines = other
    notes.append(f"{file.name} has {how} and is read so.")
    return lines


def _lines(text: str, way: _Way) -> Iterator[tuple[int, list[str]]]:
    head = _SAID.match(text)
    skipped = 1 if head else 0
    body = text[head.end() :] if head else text
    if way.escaped:
        body = _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", body)
    reader = csv.reader(io.StringIO(body, newline=""), _dialect(way))
    line, width = skipped, 1
    try:
        for cells in reader:
            # A quoted cell may span lines: a record starts after the last line of the one before it.
            start, line = line + 1, reader.line_num + skipped
            # A line of blanks is a cell of blanks only where there is one column; a cell without anything had quotes.
            if cells and (width == 1 or len(cells) > 1 or not cells[0] or cells[0].strip()):
                width = max(width, len(cells))
                yield start, cells
    except csv.Error as error:
        raise BrokenError(str(error), line + 1) from error


def _dialect(way: _Way) -> type[csv.Dialect]:
    """CSV as it is read in a way."""

    class Separated(csv.excel):
        delimiter = way.separator
        quotechar = way.quote or '"'
        quoting = csv.QUOTE_MINIMAL if way.quote else csv.QUOTE_NONE
        skipinitialspace = way.blanks
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
    fitting = [each for each in several if _fitting(text, _Way(each))]
    return (fitting or several)[0]


def _header_cells(text: str, separator: str) -> list[str]:
    try:
        _, cells = next(_lines(text, _Way(separator)), (0, []))
    except BrokenError:
        return []
    return [cell for cell in cells if cell.strip()]


def _fitting(text: str, way: _Way) -> Lines | None:
    """The records that a way makes, where all of them are equally long."""
    try:
        lines = list(_lines(text, way))
    except BrokenError:
        return None
    return lines if _equal(lines) else None


def _equal(lines: Lines) -> bool:
    return len({len(cells) for _, cells in lines}) == 1


def _otherwise(text: str, usual: _Way, others: Sequence[_Other]) -> tuple[str, Lines] | None:
    """Another way by which records are equally long, of two cells or more; one that leaves quotes must split none."""
    for name, settings in others:
        way = replace(usual, **settings)
        if way.escaped and '\\"' not in text:
            continue
        lines = _fitting(text, way)
        if lines and len(lines[0][1]) > 1 and not (way.quote is None and _any_enclosed(lines)):
            return name, lines
    return None


def _any_enclosed(lines: Lines, behind: str = "") -> bool:
    """Whether a cell has quotes around it, or the first of them, behind something."""
    return any(cell.startswith(f'{behind}"') and (behind or cell[1:].endswith('"')) for _, row in lines for cell in row)


def _swallowing(text: str, lines: Lines, separator: str) -> tuple[int, int] | None:
    """The first record that spans lines each of which looks like one: line and number of lines.

    They do where each has the header's number of cells, and in one column with a closed set of values, such as labels,
    one of those; a tab alone says as much.
    """
    width = len(lines[0][1]) if lines else 0
    breaking = [(at, cells) for at, cells in lines if len(cells) == width and any("\n" in cell for cell in cells)]
    if width < 2 or not breaking:
        return None
    physical = list(io.StringIO(text, newline=""))
    starts = [at for at, _ in lines]
    ends = dict(zip(starts, [*(at - 1 for at in starts[1:]), len(physical)], strict=True))
    closed = [] if separator == "\t" else _closed_columns(lines, width)
    for at, _ in breaking:
        parts = [line.rstrip("\r\n").split(separator) for line in physical[at - 1 : ends[at]] if line.strip()]
        if len(parts) > 1 and all(len(part) == width for part in parts):
            known = any(all(part[i].strip('"') in values for part in parts) for i, values in closed)
            if known or separator == "\t":
                return at, len(parts)
    return None


def _closed_columns(lines: Lines, width: int) -> list[tuple[int, set[str]]]:
    columns: list[list[str]] = [
        [cells[i] for _, cells in lines[1:] if len(cells) == width and "\n" not in cells[i]] for i in range(width)
    ]
    found = [(i, column, set(column) - {""}) for i, column in enumerate(columns)]
    return [(i, values) for i, column, values in found if values and _CLOSED * len(values) <= len(column)]


def _no_table(file: Path, error: BrokenError) -> DataError:
    # Behind a stray quote nobody knows where records begin: the file can't be read any further.
    what, line = error.args
    expected = 'cells separated by commas, semicolons or tabs, quotes within quoted cells doubled ("")'
    return DataError(f"The line is not CSV ({what})", where=f"{file}:{line}", expected=expected)


def _swallowed(file: Path, found: tuple[int, int]) -> DataError:
    line, count = found
    return DataError(
        "A quote encloses several records, which would be one cell",
        where=f"{file}:{line}",
        got=f"a cell that goes on over {count} lines, each of which looks like a record",
        expected='quotes that end in their record, doubled within cells ("")',
        remedy="remove or double the stray quote on that line, or where it ends",
    )
