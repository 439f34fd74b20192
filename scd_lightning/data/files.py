"""Reading JSON, CSV and Parquet files into rows that know their file and line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.class_names import apply_names, named_columns
from scd_lightning.data.finding import beside, find_files, find_only_file
from scd_lightning.data.json_text import read_json_text, separate_values
from scd_lightning.data.rows import Row, is_blank, named_by_id, shorten
from scd_lightning.data.tables import Record, read_table, unique_names
from scd_lightning.data.text_files import read_text
from scd_lightning.errors import DataError


@dataclass(frozen=True)
class _Format:
    """How a kind of file is read.

    Attributes:
        records: (file, notes) -> line and record, for each; raises where the file as a whole can't be read.
        values: (record, row that holds it unread) -> column -> value; raises where this record can't be read.
    """

    records: Callable[[Path, list[str]], Iterable[tuple[int, Any]]]
    values: Callable[[Any, Row], dict[str, Any]]


def read_folder(path: Path, bad_rows: BadRows = STRICT, notes: list[str] | None = None) -> dict[str, list[Row]]:
    """The rows of a folder's splits.

    Args:
        path: The folder or the file that `find_files` looks at.
        bad_rows: What becomes of lines that can't be read.
        notes: Takes a sentence for what was recognised of files that are not as our own are; None to leave it unsaid.

    Raises:
        DataError: The folder, a file or a line can't be read.
    """
    said: list[str] = [] if notes is None else notes
    if path.is_file():
        others = f" Not read: {', '.join(beside(path))}." if beside(path) else ""
        said.append(f"task.data.path is one file, which is train; validation and test are cut from it.{others}")
    return {split: _read_files(files, split, bad_rows, said) for split, files in find_files(path).items()}


def read_only_file(path: Path, split: str, where: str, bad_rows: BadRows = STRICT) -> list[Row]:
    """The rows of the file that `find_only_file` finds.

    Args:
        path: The file or the folder.
        split: What the rows are called.
        where: The argument that named the path, for messages.
        bad_rows: What becomes of lines that can't be read.

    Raises:
        DataError: There is no such file, or not one alone, or it or a line can't be read.
    """
    return _read_files(find_only_file(path, split, where), split, bad_rows, [])


def _read_files(files: Sequence[Path], split: str, bad_rows: BadRows, notes: list[str]) -> list[Row]:
    # Numbered over all shards, so that rows have the ids that they would have in one file.
    records = ((file, *each) for file in files for each in _format(file).records(file, notes))
    rows = bad_rows.keep(split, partial(_row, split), enumerate(records, 1))
    if not rows:
        raise DataError(f"The {split} file holds no rows", where=files[0], expected="at least one row")
    return rows


def _row(split: str, numbered: tuple[int, tuple[Path, int, Any]]) -> Row:
    number, (file, line, record) = numbered
    unread = Row(f"{split}-{number}", {"line": record}, str(file), line)
    return named_by_id(replace(unread, values=_format(file).values(record, unread)))


def _format(file: Path) -> _Format:
    return _FORMATS[file.suffix.lower()]


def _json_records(file: Path, notes: list[str]) -> Iterable[tuple[int, str]]:
    text = read_text(file, notes)
    # Split at line feeds only: str.splitlines would also cut at U+2028, which JSON strings may hold.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines or _is_object(lines[0][1]):
        return lines
    values = separate_values(text)
    if values is None:
        return lines
    notes.append(
        f"{file.name} is {'an array' if text.lstrip().startswith('[') else 'objects over several lines'}, read so."
    )
    return values


def _is_object(line: str) -> bool:
    try:
        return isinstance(read_json_text(line), dict)
    except ValueError:
        return False


def _object(line: str, row: Row) -> dict[str, Any]:
    try:
        value = read_json_text(line)
    except ValueError as error:
        raise _unreadable(f"The line is not JSON ({error})", row, line, "one JSON object a line") from error
    if not isinstance(value, dict):
        raise _unreadable("The line is JSON but not an object", row, line, 'an object such as {"text": ...}')
    return value


def _unreadable(what: str, row: Row, got: object, expected: str) -> DataError:
    remedy = "correct or remove the line"
    return DataError(what, where=row.where, got=shorten(got), expected=expected, remedy=remedy, row=row)


def _csv_records(separator: str, file: Path, notes: list[str]) -> Iterable[tuple[int, Record]]:
    return [(record.line, record) for record in read_table(read_text(file, notes), file, separator, notes)]


def _cells(record: Record, row: Row) -> dict[str, Any]:
    header, cells = record.header, record.cells
    if len(cells) != len(header):
        what = "The line has another number of cells than the header"
        raise _unreadable(what, replace(row, values={"line": cells}), cells, f"{len(header)} cells")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}


def _parquet_records(file: Path, notes: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    from pyarrow import ArrowException

    from scd_lightning.data.parquet import read_records

    try:
        records, names, metadata = read_records(file, file)
    # Damaged text shows as a ValueError, and values that Python has no type for as one of the others.
    except (ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(f"The file is not Parquet ({shorten(error)})", where=file, expected="a Parquet file") from error
    unique_names(names, file)
    named = _class_names(metadata, file)
    filled = ({name: None if is_blank(value) else value for name, value in record.items()} for record in records)
    return ((number, apply_names(record, named)) for number, record in enumerate(filled, 1))


def _class_names(metadata: Mapping[bytes, bytes], file: Path) -> dict[str, list[str]]:
    """A file of the hub's own making says in its schema what its class numbers stand for."""
    try:
        described: Any = read_json_text(metadata.get(b"huggingface", b"{}").decode("utf-8"))
        return named_columns(described.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        expected = "what the datasets library writes there"
        raise DataError("The file's description of its columns can't be read", where=file, expected=expected) from error


_JSON = _Format(_json_records, _object)
_FORMATS = {
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
    ".csv": _Format(partial(_csv_records, ","), _cells),
    ".tsv": _Format(partial(_csv_records, "\t"), _cells),
    ".parquet": _Format(_parquet_records, lambda record, _: record),
}
