"""Cells of a table that hold a list or an object as text, as JSON or Python write it."""

import ast
import io
import re
import tokenize
from dataclasses import replace
from typing import Any

from scd_lightning.data.json_text import read_json_text
from scd_lightning.data.rows import Row, shorten, whole_number
from scd_lightning.errors import DataError

_OBJECTS_SIDE_BY_SIDE = re.compile(r"\}\s+\{")
_COLUMNS = ("entities", "choices")


def parse_cells(row: Row) -> Row:
    """The row with its lists that stand as text in one cell, and then its answer's index, as values: CSV has text only.

    Raises:
        DataError: A cell begins like a list and is none.
    """
    lists = {name: cell for name in _COLUMNS if (cell := list_cell(row, name)) is not row.values.get(name)}
    values = row.values | lists
    if "choices" in lists and isinstance(index := values.get("answer"), str):
        values["answer"] = whole_number(index)
    return row if values == row.values else replace(row, values=values)


def list_cell(row: Row, column: str) -> Any:
    """The value of a column; the list or the object that a text there begins like.

    Raises:
        DataError: It begins like one and is none.
    """
    cell = row.values.get(column)
    if not isinstance(cell, str) or not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return read_json_text(cell)
    except ValueError as error:
        value = python_literal(cell)
        if value is None:
            raise _unreadable(row, column, cell, error) from error
        return value


def python_literal(cell: str) -> Any:
    """What Python would read, None where it is nothing of the kind, or numpy's print, which Python reads wrongly."""
    try:
        return None if _has_strings_side_by_side(cell) else ast.literal_eval(cell.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _has_strings_side_by_side(cell: str) -> bool:
    """Whether strings stand without a comma between them, as numpy prints an array: Python would join them."""
    try:
        tokens = [each.type for each in tokenize.generate_tokens(io.StringIO(cell.strip()).readline)]
    except (tokenize.TokenError, SyntaxError):
        return False
    kinds = [each for each in tokens if each not in (tokenize.NL, tokenize.NEWLINE)]
    return any(a == b == tokenize.STRING for a, b in zip(kinds, kinds[1:], strict=False))


def check_numpy(row: Row, column: str) -> None:
    """Raises a DataError where a cell has a list as numpy prints it."""
    cell = row.values.get(column)
    if isinstance(cell, str) and cell.startswith("[") and _is_of_numpy(cell):
        raise _unreadable(row, column, cell, None)


def _is_of_numpy(cell: str) -> bool:
    return _has_strings_side_by_side(cell) or "array(" in cell or bool(_OBJECTS_SIDE_BY_SIDE.search(cell))


def _unreadable(row: Row, column: str, cell: str, error: ValueError | None) -> DataError:
    written = "lambda cell: json.dumps(list(cell), default=lambda each: each.tolist())"
    way = f"frame[{column!r}] = frame[{column!r}].map({written})"
    return DataError(
        "The cell is a list as numpy prints it" if _is_of_numpy(cell) else f"The cell is not JSON ({error})",
        where=f"{row.where}, column {column}",
        got=shorten(cell),
        expected="a list, written as JSON",
        remedy=f"save the table as Parquet, or before it becomes CSV: {way}",
        row=row,
    )
