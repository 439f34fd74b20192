"""Reading a folder of JSONL, CSV or Parquet files into rows that know their file and line."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.class_names import apply_names, named_columns
from scd_lightning.data.json_text import read_json_text
from scd_lightning.data.rows import Row, is_blank, named_by_id, shorten, whole_number
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import DataError

_JSON_COLUMNS = ("entities", "choices")
# The csv library refuses cells past 128 KiB unless it is told otherwise; this is the most that fits a C long anywhere.
_LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True)
class _Format:
    """How a kind of file is read.

    Attributes:
        records: (file) -> line and record, for each; raises where the file as a whole can't be read.
        values: (record, row that holds it unread) -> column -> value; raises where this record can't be read.
    """

    records: Callable[[Path], Iterator[tuple[int, Any]]]
    values: Callable[[Any, Row], dict[str, Any]]


def read_folder(folder: Path, bad_rows: BadRows = STRICT) -> dict[str, list[Row]]:
    """The rows of a folder's splits.

    Args:
        folder: Holds train, and maybe validation and test, each in one file.
        bad_rows: What becomes of lines that can't be read.

    Raises:
        DataError: The folder, a file or a line can't be read.
    """
    return {split: _read_file(file, split, bad_rows) for split, file in find_files(folder).items()}


def find_files(folder: Path) -> dict[str, Path]:
    """The files of a folder's splits, unread.

    Args:
        folder: As in `read_folder`.

    Raises:
        DataError: There is no such folder, or no file of train, or several of one split.
    """
    if not folder.is_dir():
        raise DataError(
            "The data folder is missing" if not folder.exists() else "The data path is not a folder",
            where="task.data.path",
            got=folder,
            expected="a folder with train.jsonl, .csv or .parquet, and validation and test likewise",
            remedy="correct task.data.path",
        )
    files = {split: _find(folder, split) for split in SPLITS}
    if files["train"] is None:
        raise DataError(
            "The data folder has no training file",
            where=folder,
            got=shorten(sorted(item.name for item in folder.iterdir())),
            expected="train.jsonl, train.csv or train.parquet",
            remedy="rename the file or correct task.data.path",
        )
    return {split: file for split, file in files.items() if file is not None}


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
    return _read_file(find_only_file(path, split, where), split, bad_rows)


def find_only_file(path: Path, split: str, where: str) -> Path:
    """A file, or the one in a folder that is called as the split, as train or by any name, unread.

    Args:
        path: The file or the folder.
        split: What its rows are called.
        where: The argument that named the path, for messages.

    Raises:
        DataError: There is no such file, or not one alone.
    """
    files = [path]
    if path.is_dir():
        every = sorted(each for each in path.iterdir() if each.suffix in _FORMATS)
        called = ([each for each in every if each.stem == name] for name in (split, "train"))
        files = next(filter(None, called), every)
    if len(files) != 1 or not files[0].is_file() or files[0].suffix not in _FORMATS:
        raise DataError(
            "There is no data file at the path" if len(files) < 2 else "There are several data files at the path",
            where=where,
            got=f"{path}: {', '.join(each.name for each in files)}" if len(files) > 1 else path,
            expected=f"a .jsonl, .csv or .parquet file, or a folder with one, or with one called {split}",
        )
    return files[0]


def _find(folder: Path, split: str) -> Path | None:
    names = [f"{name}{suffix}" for name in SPLIT_NAMES[split] for suffix in _FORMATS]
    found = [folder / name for name in names if (folder / name).exists()]
    if len(found) > 1:
        raise DataError(
            f"The data folder has several files for the {split} split",
            where=folder,
            got=", ".join(file.name for file in found),
            expected="one",
            remedy="remove or rename the others",
        )
    return found[0] if found else None


def _read_file(file: Path, split: str, bad_rows: BadRows) -> list[Row]:
    form = _FORMATS[file.suffix]
    rows = bad_rows.keep(split, partial(_row, form, split, str(file)), enumerate(form.records(file), 1))
    if not rows:
        raise DataError(f"The {split} file holds no rows", where=file, expected="at least one row")
    return rows


def _row(form: _Format, split: str, file: str, numbered: tuple[int, tuple[int, Any]]) -> Row:
    number, (line, record) = numbered
    unread = Row(f"{split}-{number}", {"line": record}, file, line)
    return named_by_id(replace(unread, values=form.values(record, unread)))


def _decode(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"The file can't be read ({error.strerror})", where=file, expected="a readable file") from error
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            "The file is not UTF-8",
            where=f"{file}:{line}",
            got=f"byte 0x{raw[error.start]:02x}",
            expected="UTF-8 text",
            remedy="convert the file to UTF-8",
        ) from error


def _jsonl_lines(file: Path) -> Iterator[tuple[int, str]]:
    # Split at line feeds only: str.splitlines would also cut at U+2028, which JSON strings may hold.
    return ((number, line) for number, line in enumerate(_decode(file).split("\n"), 1) if line.strip())


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


def _csv_records(file: Path) -> Iterator[tuple[int, tuple[list[str], list[str]]]]:
    """Line, and header and cells, of each record."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(_decode(file), newline=""), strict=True)
    header: list[str] = []
    line = 0
    try:
        for cells in reader:
            # A quoted cell may span lines: a record starts after the last line of the one before it.
            start, line = line + 1, reader.line_num
            if cells and header:
                yield start, (header, cells)
            elif cells:
                header = _header(cells, f"{file}:{start}")
    except csv.Error as error:
        # Behind a stray quote nobody knows where records begin: the file can't be read any further.
        where, expected = f"{file}:{line + 1}", "comma-separated values"
        raise DataError(f"The line is not CSV ({error})", where=where, expected=expected) from error


def _header(names: list[str], where: object) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("Two columns have one name", where=where, got=shorten(twice), expected="a name for each")
    return names


def _cells(record: tuple[list[str], list[str]], row: Row) -> dict[str, Any]:
    header, cells = record
    if len(cells) != len(header):
        what = "The line has another number of cells than the header"
        raise _unreadable(what, replace(row, values={"line": cells}), cells, f"{len(header)} cells")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}


def _parquet_records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(file)
        records = table.to_pylist()
    # Damaged text shows as a ValueError, and values that Python has no type for as one of the others.
    except (ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError(f"The file is not Parquet ({shorten(error)})", where=file, expected="a Parquet file") from error
    _header(table.column_names, file)
    named = _class_names(table.schema.metadata or {}, file)
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


def parse_cells(row: Row) -> Row:
    """The row with its lists that stand as JSON in one cell, and then its answer's index, as values: CSV has text only.

    Raises:
        DataError: A cell begins like a list and is not JSON.
    """
    texts = {name: row.values[name] for name in _JSON_COLUMNS if isinstance(row.values.get(name), str)}
    lists = {name: _json_cell(text, name, row) for name, text in texts.items() if text.lstrip().startswith("[")}
    values = row.values | lists
    if "choices" in lists and isinstance(index := values.get("answer"), str):
        values["answer"] = whole_number(index)
    return row if values == row.values else replace(row, values=values)


def _json_cell(cell: str, column: str, row: Row) -> object:
    try:
        return read_json_text(cell)
    except ValueError as error:
        raise DataError(
            f"The cell is not JSON ({error})",
            where=f"{row.where}, column {column}",
            got=shorten(cell),
            expected="a list, written as JSON",
            row=row,
        ) from error


_FORMATS = {
    ".jsonl": _Format(_jsonl_lines, _object),
    ".csv": _Format(_csv_records, _cells),
    ".parquet": _Format(_parquet_records, lambda record, _: record),
}
