"""Reading a folder of JSONL, CSV or Parquet files into rows that know their file and line."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scd_lightning.data.class_names import apply_names, named_columns
from scd_lightning.data.rows import Row, make_row, shorten
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import DataError

_JSON_COLUMNS = ("entities", "choices")


def read_folder(folder: Path) -> dict[str, list[Row]]:
    """The rows of a folder's splits.

    Args:
        folder: Holds train, and maybe validation and test, each in one file.

    Raises:
        DataError: The folder, a file or a line can't be read.
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
    return {split: _read_file(file, split) for split, file in files.items() if file is not None}


def _find(folder: Path, split: str) -> Path | None:
    names = [f"{name}{suffix}" for name in SPLIT_NAMES[split] for suffix in _READERS]
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


def _read_file(file: Path, split: str) -> list[Row]:
    records = enumerate(_READERS[file.suffix](file), 1)
    rows = [make_row(values, split, number, str(file), line) for number, (line, values) in records]
    if not rows:
        raise DataError(f"The {split} file holds no rows", where=file, expected="at least one row")
    return rows


def _decode(file: Path) -> str:
    raw = file.read_bytes()
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


def _read_jsonl(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # Split at line feeds only: str.splitlines would also cut at U+2028, which JSON strings may hold.
    for number, line in enumerate(_decode(file).split("\n"), 1):
        if line.strip():
            yield number, _object(line, f"{file}:{number}")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DataError(
            f"The line is not JSON ({error})",
            where=where,
            got=shorten(line),
            expected="one JSON object a line",
            remedy="correct or remove the line",
        ) from error
    if not isinstance(value, dict):
        raise DataError(
            "The line is JSON but not an object",
            where=where,
            got=shorten(line),
            expected='an object such as {"text": ...}',
            remedy="correct or remove the line",
        )
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _read_csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_decode(file), newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            # A quoted cell may span lines: a record starts after the last line of the one before it.
            start, line = line + 1, reader.line_num
            yield start, _cells(record, f"{file}:{start}")
    except csv.Error as error:
        raise DataError(
            f"The line is not CSV ({error})", where=f"{file}:{reader.line_num}", expected="comma-separated values"
        ) from error


def _cells(record: dict[str | Any, str | Any], where: str) -> dict[str, Any]:
    if None in record or None in record.values():
        raise DataError(
            "The line has another number of cells than the header",
            where=where,
            got=shorten(list(record.values())),
            expected=f"{len([name for name in record if name is not None])} cells",
        )
    return {name: cell for name, cell in record.items() if cell != ""}


def _read_parquet(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"The file is not Parquet ({shorten(error)})", where=file, expected="a Parquet file") from error
    # A file of the hub's own making says in its schema what its class numbers stand for.
    described = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    named = named_columns(described.get("info", {}).get("features", {}))
    for number, record in enumerate(table.to_pylist(), 1):
        yield number, apply_names(record, named)


def parse_cells(row: Row) -> Row:
    """The row with its lists that stand as JSON in one cell, and then its answer's index, as values: CSV has text only.

    Raises:
        DataError: A cell begins like a list and is not JSON.
    """
    cells = {name: row.values[name] for name in _JSON_COLUMNS if _is_list_cell(row.values.get(name))}
    values = row.values | {name: _json_cell(cell, f"{row.where}, column {name}") for name, cell in cells.items()}
    if "choices" in cells and str(values.get("answer", "")).strip().isdecimal():
        values["answer"] = int(values["answer"])
    return row if values == row.values else replace(row, values=values)


def _is_list_cell(value: object) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("[")


def _json_cell(cell: str, where: str) -> object:
    try:
        return json.loads(cell, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DataError(
            f"The cell is not JSON ({error})", where=where, got=shorten(cell), expected="a list, written as JSON"
        ) from error


_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
