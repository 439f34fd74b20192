"""Where rows come from: a local folder of JSONL, CSV or Parquet files, or the embedded data set."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_lightning.data.rows import Row, check_unique_ids, shorten
from scd_lightning.data.splits import SPLITS, check_overlap, cut_missing, subsample
from scd_lightning.errors import ConfigError, DataError

_FILE_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_JSON_COLUMNS = ("entities", "choices")
_GENERATOR_ARGUMENTS = (*SPLITS, "seed", "label_noise")


@dataclass(frozen=True)
class SourceData:
    """What a source holds.

    Attributes:
        rows: Split -> its rows, for train, validation and test.
        split: How the splits came about, in words.
        overlap: Pair of splits -> samples of the later one that stand in the earlier one too.
    """

    rows: dict[str, list[Row]]
    split: str
    overlap: dict[str, int]


class DataSource:
    """Reads the three splits of a data set.

    Args:
        path: Folder with train (and validation, test) as .jsonl, .csv or .parquet; None for the embedded data set.
        allow_overlap: Let the same sample stand in two splits, and count it, instead of refusing.
        validation_ratio: Share of train that becomes validation, where the folder has none.
        test_ratio: Share of train that becomes test, where the folder has none.
        split_seed: Seed of those cuts and of `max_samples`.
        group_column: Rows with the same value there stay in one split when splits are cut.
        max_samples: At most so many rows of each split, or of the splits it names; drawn by the seed.
        synthetic: train, validation, test (numbers of rows), seed and label_noise of the embedded data set; what is
            left out or None is the generator's default.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        allow_overlap: bool = False,
        validation_ratio: float = 0.1,
        test_ratio: float = 0.1,
        split_seed: int = 0,
        group_column: str | None = None,
        max_samples: int | Mapping[str, int] | None = None,
        synthetic: Mapping[str, Any] | None = None,
    ) -> None:
        for name, ratio in (("validation_ratio", validation_ratio), ("test_ratio", test_ratio)):
            if not isinstance(ratio, int | float) or not 0 < ratio < 0.5:
                raise ConfigError(f"{name} is out of range", where=f"task.data.{name}", got=ratio, expected="0 to 0.5")
        self.path = path
        self.allow_overlap = allow_overlap
        self.ratios = {"validation": validation_ratio, "test": test_ratio}
        self.split_seed = split_seed
        self.group_column = group_column
        self.max_samples = _limits(max_samples)
        self.synthetic = _generator_arguments(synthetic or {})

    def read(self, task: str) -> SourceData:
        """Reads all rows and cuts the splits that are missing.

        Args:
            task: "ner", "qa" or "classification": which embedded data set, where there is no path.

        Raises:
            DataError: A file can't be read, or a sample stands in two splits.
        """
        given = self._embedded(task) if self.path is None else _read_folder(Path(self.path))
        for rows in given.values():
            check_unique_ids(rows)
        whole, rule = cut_missing(given, self.ratios, self.split_seed, self.group_column)
        splits = {split: subsample(whole[split], self.max_samples.get(split), self.split_seed) for split in SPLITS}
        return SourceData(splits, rule, check_overlap(splits, allowed=self.allow_overlap))

    def _embedded(self, task: str) -> dict[str, list[Row]]:
        from scd_lightning.data.synthetic import generate

        try:
            splits = generate(task, **self.synthetic)
        except ValueError as error:
            raise ConfigError(f"The embedded data set can't be made ({error})", where="task.data.synthetic") from error
        return {
            split: [_row(f"embedded {task} {split}", number, split, values) for number, values in enumerate(rows, 1)]
            for split, rows in splits.items()
        }


def _generator_arguments(synthetic: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(synthetic) - set(_GENERATOR_ARGUMENTS))
    sizes = {name: synthetic.get(name) for name in SPLITS}
    bad = {name: n for name, n in sizes.items() if n is not None and (not isinstance(n, int) or n < 1)}
    if unknown or bad:
        raise ConfigError(
            "The embedded data set can't be made",
            where="task.data.synthetic",
            got=", ".join([*unknown, *(f"{name}={value}" for name, value in bad.items())]),
            expected=f"{', '.join(_GENERATOR_ARGUMENTS)}; sizes from 1",
        )
    return {name: value for name, value in synthetic.items() if value is not None}


def _limits(max_samples: int | Mapping[str, int] | None) -> dict[str, int]:
    if max_samples is None:
        return {}
    limits = dict(max_samples) if isinstance(max_samples, Mapping) else dict.fromkeys(SPLITS, max_samples)
    for split, limit in limits.items():
        if split not in SPLITS or not isinstance(limit, int) or limit < 1:
            raise ConfigError(
                "max_samples can't be used",
                where="task.data.max_samples",
                got=f"{split}: {limit}",
                expected=f"a number from 1, or one for each of {', '.join(SPLITS)}",
            )
    return limits


def _row(file: str, line: int, split: str, values: dict[str, Any]) -> Row:
    given = values.get("id")
    name = f"{split}-{line}" if given is None else given
    row = Row(str(name), values, file, line)
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name).strip():
        raise row.error("id", "has the wrong type", repr(given), "a non-empty string or an integer")
    return row


def _read_folder(folder: Path) -> dict[str, list[Row]]:
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
    names = [f"{name}{suffix}" for name in _FILE_NAMES[split] for suffix in _READERS]
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
    rows = [_row(str(file), line, split, values) for line, values in _READERS[file.suffix](file)]
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
    values: dict[str, Any] = {name: cell for name, cell in record.items() if cell != ""}
    for name in _JSON_COLUMNS:
        if name in values:
            values[name] = _json_cell(values[name], f"{where}, column {name}")
    if "choices" in values and str(values.get("answer", "")).strip().isdecimal():
        values["answer"] = int(values["answer"])
    return values


def _json_cell(cell: str, where: str) -> object:
    try:
        return json.loads(cell, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DataError(
            f"The cell is not JSON ({error})", where=where, got=shorten(cell), expected="a list, written as JSON"
        ) from error


def _read_parquet(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        records = pq.read_table(file).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"The file is not Parquet ({shorten(error)})", where=file, expected="a Parquet file") from error
    yield from enumerate(records, 1)


_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
