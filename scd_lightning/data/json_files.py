"""What rows a JSON file holds: an object a line, an array, or one value around all of them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scd_lightning.data.cells import python_literal
from scd_lightning.data.json_text import read_json_text, separate_values
from scd_lightning.data.json_wholes import as_row, is_pair, lists_within, rows_within, splits_within
from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.text_files import read_text
from scd_lightning.errors import DataError

# Line and record: an object that was read, or the text of one that was not.
Records = list[tuple[int, Any]]
# What stands between records besides line ends: of files that were put one behind another, and of JSON sequences.
_BETWEEN = " \t\r\ufeff\x1e"
_UNREAD = object()


def json_records(file: Path, split: str, notes: list[str]) -> Records:
    """The records of a file.

    Args:
        file: The file.
        split: Whose rows are asked for, where it has those of several.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: It can't be read, or is JSON in a form whose rows can't be told.
    """
    text = read_text(file, notes)
    lines = _lines(text)
    first = _value(lines[0][1]) if lines else _UNREAD
    if isinstance(first, dict) and len(lines) == 1:
        return _of_whole(first, lines, file, split, notes)
    if not lines or isinstance(first, dict):
        return lines
    if isinstance(first, str) or is_pair(first):
        return _said(lines, first, file, "lines", notes)
    if first is _UNREAD and _lines_of_python(lines):
        notes.append(f"{file.name} has objects as Python writes them, and is read so.")
        return [(number, _literal_object(line)) for number, line in lines]
    return _of_values(text, lines, file, split, notes)


def splits_of_file(file: Path) -> list[str]:
    """The splits that one file has rows of, where it is an object that holds them by split; else none."""
    text = read_text(file, [])
    lines = _lines(text)
    first = _value(lines[0][1]) if lines else _UNREAD
    if first is _UNREAD and lines and lines[0][1].startswith("{"):
        values = separate_values(text) or []
        first, lines = (_value(values[0][1]), values) if len(values) == 1 else (first, lines)
    return [*splits_within(first)] if isinstance(first, dict) and len(lines) == 1 else []


def read_record(record: Any, row: Row) -> dict[str, Any]:
    """The columns of a record.

    Args:
        record: As `json_records` has it.
        row: What holds it unread, for messages.

    Raises:
        DataError: It is no JSON, or no row.
    """
    if isinstance(record, dict):
        return record
    try:
        value = read_json_text(record)
    except ValueError as error:
        ends = "Unterminated" in str(error) or getattr(error, "pos", 0) >= len(record.rstrip())
        remedy = "correct or remove the line" + ": it ends too early, as where a file was cut off" * ends
        raise _unreadable(f"The line is not JSON ({error})", row, record, "one JSON object a line", remedy) from error
    columns = as_row(value)
    if columns is None:
        expected = 'an object such as {"text": ...}'
        raise _unreadable("The line is JSON but not an object", row, record, expected, "correct or remove the line")
    return columns


def _unreadable(what: str, row: Row, got: object, expected: str, remedy: str) -> DataError:
    held = replace(row, values={"line": got})
    return DataError(what, where=row.where, got=shorten(got), expected=expected, remedy=remedy, row=held)


def _lines(text: str) -> Records:
    """Lines with something in them, without a comma at their ends where each but the last has one."""
    # Not by str.splitlines, which would also cut at U+2028, which JSON strings may hold.
    end = "\n" if "\n" in text else "\r"
    stripped = ((number, line.strip(_BETWEEN)) for number, line in enumerate(text.split(end), 1))
    lines = [(number, line) for number, line in stripped if line]
    if len(lines) > 1 and all(line.startswith("{") and line.endswith("},") for _, line in lines[:-1]):
        return [(number, line.removesuffix(",")) for number, line in lines]
    return lines


def _value(text: str) -> Any:
    try:
        return read_json_text(text)
    except ValueError:
        return _UNREAD


def _lines_of_python(lines: Records) -> bool:
    return lines[0][1].startswith("{'") and isinstance(_literal_object(lines[0][1]), dict)


def _literal_object(line: str) -> Any:
    """The object that a line of Python is; of another, the line."""
    value = python_literal(line)
    return value if isinstance(value, dict) else line


def _of_values(text: str, lines: Records, file: Path, split: str, notes: list[str]) -> Records:
    """Rows of a file that is no object a line."""
    values = separate_values(text)
    if values is None:
        if any(isinstance(_value(line), dict) for _, line in lines[1:3]):
            return lines  # One that can't be read, of others that can.
        lists = [_value(line) for _, line in lines]
        if not all(isinstance(each, list) for each in lists):
            raise _no_json(text, file)
        if not all(isinstance(value, dict) for each in lists for value in each):
            raise _no_names(file, lists[0])
        notes.append(f"{file.name} has an array on each line, read as one.")
        return _rows([(number, value) for (number, _), each in zip(lines, lists, strict=True) for value in each], file)
    if not values:
        return []
    first = _value(values[0][1])
    if not text.lstrip("\ufeff \t\r\n").startswith("["):
        if len(values) == 1 and isinstance(first, dict):
            return _of_whole(first, values, file, split, notes)
        return _said(values, first, file, "objects over several lines", notes)
    return _said(values, first, file, "an array", notes)


def _of_whole(whole: dict[str, Any], given: Records, file: Path, split: str, notes: list[str]) -> Records:
    try:
        found = rows_within(whole, split)
    except (KeyError, TypeError) as error:
        raise DataError(
            "The file's questions are not in SQuAD's form", where=file, got=f"no {error}", expected="context and qas"
        ) from error
    if found is None:
        several = lists_within(whole)
        if len(several) > 1 and len(given) == 1:
            raise _several_lists(file, several)
        return given
    form, values = found
    notes.append(f"{file.name} is {form}, and read so.")
    return _rows([*enumerate(values, 1)], file)


def _rows(values: Records, file: Path) -> Records:
    rows = [(number, as_row(value)) for number, value in values]
    strange = [value for (_, row), (_, value) in zip(rows, values, strict=True) if row is None]
    if strange:
        raise _no_names(file, strange[0])
    return rows


def _said(records: Records, first: Any, file: Path, form: str, notes: list[str]) -> Records:
    """The records, and what they are in words."""
    if as_row(first) is None and first is not _UNREAD:
        raise _no_names(file, first)
    pairs = " of pairs, a text and its marks, as spaCy has them" if is_pair(first) else ""
    what = " of texts" if isinstance(first, str) else pairs
    notes.append(f"{file.name} is {form}{what}, read so.")
    return records


def _no_names(file: Path, value: object) -> DataError:
    return DataError(
        "The rows of the file are no objects: their columns have no names",
        where=file,
        got=shorten(json.dumps(value, ensure_ascii=False)),
        expected='objects, such as {"text": ..., "label": ...}',
        remedy="write an object for each row, or a CSV file with the names on its first line",
    )


def _several_lists(file: Path, names: Sequence[str]) -> DataError:
    return DataError(
        "The file is an object with several lists: which has the rows is not certain",
        where=file,
        got=", ".join(names),
        expected="one list of rows, or lists that are called as splits are",
        remedy="write the list that has the rows to a file of its own",
    )


def _no_json(text: str, file: Path) -> DataError:
    body = text.strip(_BETWEEN + "\r\n")
    try:
        read_json_text(body)
        what, line = "It is no array of objects and no objects", 1
    except json.JSONDecodeError as error:
        what, line = error.msg, error.lineno
        if error.pos >= len(body) or error.msg.startswith("Unterminated"):
            what = "it ends within a value, as where a file was cut off"
    except ValueError as error:
        what, line = str(error), 1
    return DataError(
        f"The file is not JSON ({what})",
        where=f"{file}:{line}",
        got=shorten(body.splitlines()[line - 1] if body else ""),
        expected="one JSON object a line, or an array of objects",
        remedy="write or download the file again",
    )
