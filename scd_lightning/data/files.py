"""Reading JSON, CSV and Parquet files into rows that know their file and line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.class_names import Names, apply_names, named_columns
from scd_lightning.data.finding import beside, find_files, find_only_file, not_read, part_of, suffix_of
from scd_lightning.data.json_files import json_records, read_record, splits_of_file
from scd_lightning.data.json_text import read_json_text
from scd_lightning.data.raw_bytes import check_bytes, read_bytes
from scd_lightning.data.rows import Row, is_blank, named_by_id, shorten
from scd_lightning.data.tables import Record, read_table, unique_names
from scd_lightning.data.text_files import read_text
from scd_lightning.data.text_lines import line_records, tagged_records
from scd_lightning.errors import DataError

_PARQUET = b"PAR1"
_CORRECT = "correct or remove the line"


@dataclass(frozen=True)
class _Format:
    """How a kind of file is read.

    Attributes:
        records: (file, split, notes) -> line and record, for each; raises where the file as a whole can't be read.
        values: (record, row that holds it unread) -> column -> value; raises where this record can't be read.
    """

    records: Callable[[Path, str, list[str]], Iterable[tuple[int, Any]]]
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
    found = _within_one(find_files(path))
    if path.is_file():
        cut = "" if len(found) > 1 else ", which is train; validation and test are cut from it"
        part = f" and by its name {part_of(path)}" if part_of(path) else ""
        said.append(f"task.data.path is one file{part}{cut}.{_left(beside(path))}")
    elif left := not_read(path, (file for files in found.values() for file in files)):
        said.append(f"The folder has files that are called like splits and are none.{_left(left)}")
    return {split: _read_files(files, split, bad_rows, said) for split, files in found.items()}


def _left(names: Sequence[str]) -> str:
    return f" Not read: {', '.join(names)}." if names else ""


def _within_one(found: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The files of each split; where the only file holds all of them, it is the file of each."""
    (file, *more), *others = found.values()
    if more or others or _format(file) is not _JSON:
        return found
    return dict.fromkeys(splits_of_file(file) or found, [file])


def read_only_file(path: Path, split: str, where: str, bad_rows: BadRows, notes: list[str]) -> list[Row]:
    """The rows of the file that `find_only_file` finds.

    Args:
        path: The file or the folder.
        split: What the rows are called.
        where: The argument that named the path, for messages.
        bad_rows: What becomes of lines that can't be read.
        notes: As in `read_folder`.

    Raises:
        DataError: There is no such file, or not one alone, or it or a line can't be read.
    """
    return _read_files(find_only_file(path, split, where), split, bad_rows, notes)


def _read_files(files: Sequence[Path], split: str, bad_rows: BadRows, notes: list[str]) -> list[Row]:
    # Numbered over all shards, so that rows have the ids that they would have in one file.
    records = ((file, *each) for file in files for each in _records(file, files[0], split, notes))
    rows = bad_rows.keep(split, partial(_row, split), enumerate(records, 1))
    if not rows:
        raise DataError(f"The {split} file holds no rows", where=files[0], expected="at least one row")
    return rows


def _records(file: Path, first: Path, split: str, notes: list[str]) -> Iterable[tuple[int, Any]]:
    """The records of a file; what is said of it under the name of the first shard, so that all say it once."""
    said: list[str] = []
    records = _format(file).records(file, split, said)
    renamed = [note.replace(file.name, first.name) for note in said]
    notes.extend(note for note in renamed if note not in notes)
    return records


def _row(split: str, numbered: tuple[int, tuple[Path, int, Any]]) -> Row:
    number, (file, line, record) = numbered
    unread = Row(f"{split}-{number}", {"line": record}, str(file), line)
    return named_by_id(replace(unread, values=_format(file).values(record, unread)))


def _format(file: Path) -> _Format:
    return _FORMATS[suffix_of(file)]


def _unreadable(what: str, row: Row, got: object, expected: str, remedy: str = _CORRECT) -> DataError:
    return DataError(what, where=row.where, got=shorten(got), expected=expected, remedy=remedy, row=row)


def _csv_records(separator: str, file: Path, split: str, notes: list[str]) -> Iterable[tuple[int, Any]]:
    text = read_text(file, notes)
    # A token a line, without a header.
    tagged = tagged_records(text, file, notes)
    if tagged is not None:
        return tagged
    return [(record.line, record) for record in read_table(text, file, separator, notes)]


def _cells(record: Record | dict[str, Any], row: Row) -> dict[str, Any]:
    if isinstance(record, dict):
        return record
    header, cells = record.header, record.cells
    if len(cells) != len(header):
        what = "The line has another number of cells than the header"
        quotes = "put texts that hold separators in double quotes, or " if len(cells) > len(header) else ""
        row = replace(row, values={"line": cells})
        raise _unreadable(what, row, cells, f"{len(header)} cells", f"{quotes}{_CORRECT}")
    return {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _parquet_records(file: Path, split: str, notes: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    from pyarrow import ArrowException

    from scd_lightning.data.parquet import read_records

    raw = read_bytes(file)
    check_bytes(raw, file, known=_PARQUET.lower())
    if raw.startswith(_PARQUET) and not raw.endswith(_PARQUET):
        what, remedy = "The Parquet file is cut off", "download or write it again"
        raise DataError(what, where=file, got=f"{len(raw)} bytes", expected="a whole file", remedy=remedy)
    try:
        records, names, metadata = read_records(BytesIO(raw), file)
    # Damaged text shows as a ValueError, and values that Python has no type for as one of the others.
    except (ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(f"The file is not Parquet ({shorten(error)})", where=file, expected="a Parquet file") from error
    unique_names(names, file)
    named = _class_names(metadata, file)
    filled = ({name: None if is_blank(value) else value for name, value in record.items()} for record in records)
    return ((number, apply_names(record, named)) for number, record in enumerate(filled, 1))


def _class_names(metadata: Mapping[bytes, bytes], file: Path) -> dict[str, Names]:
    """A file of the hub's own making says in its schema what its class numbers stand for."""
    try:
        described: Any = read_json_text(metadata.get(b"huggingface", b"{}").decode("utf-8"))
        return named_columns(described.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        expected = "what the datasets library writes there"
        raise DataError("The file's description of its columns can't be read", where=file, expected=expected) from error


_JSON = _Format(json_records, read_record)
_LINES = _Format(line_records, _cells)
_FORMATS = {
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
    ".csv": _Format(partial(_csv_records, ","), _cells),
    ".tsv": _Format(partial(_csv_records, "\t"), _cells),
    ".parquet": _Format(_parquet_records, _cells),
    ".conll": _LINES,
    ".bio": _LINES,
    ".iob": _LINES,
    ".iob2": _LINES,
    ".txt": _LINES,
}
