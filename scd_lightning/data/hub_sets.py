"""Data sets of the hub, or files at an address, through the `datasets` library; never a set's own code."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scd_lightning.config.pasting import override_of
from scd_lightning.config.size_limits import DATA
from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.class_names import apply_names, named_columns
from scd_lightning.data.rows import Row, is_blank, make_row
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.redaction.cleaning import clean_text

# Names that `datasets` takes in place of a hub id where `data_files` says what to read.
FILE_FORMATS = ("csv", "json", "parquet")


@dataclass(frozen=True)
class HubSet:
    """A data set of the hub, or files of one format at any address.

    Attributes:
        path: Hub id, or csv, json or parquet together with `data_files`.
        name: The set's configuration, where it has several.
        revision: Branch, tag or commit. A set that is a script can't be loaded, but most have Parquet copies at
            refs/convert/parquet.
        data_files: Files to read: an address or path, a list of them (all train), or split -> address.
        splits: Our split -> the set's name of it; None for the usual names.
    """

    path: str
    name: str | None = None
    revision: str | None = None
    data_files: str | Sequence[str] | Mapping[str, str] | None = None
    splits: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.splits or {}) - set(SPLITS))
        if unknown:
            where, expected = "task.data.hub.splits", ", ".join(SPLITS)
            raise ConfigError("There is no such split", where=where, got=", ".join(unknown), expected=expected)
        if self.path in FILE_FORMATS and not self.data_files:
            where, expected = "task.data.hub.data_files", "addresses of files"
            raise ConfigError("A file format needs files", where=where, got=self.data_files, expected=expected)

    @property
    def origin(self) -> str:
        """Where the set comes from; local paths, logins and keys are left out."""
        if self.path in FILE_FORMATS:
            addresses = [address for address in self.addresses if "://" in address.removeprefix("file://")]
            return clean_text(", ".join(addresses)) or "local files"
        if os.path.isdir(self.path):
            return "local folder"
        name = f"{self.path} ({self.name})" if self.name else self.path
        return f"hub set {name}" + (f" at {self.revision}" if self.revision else "")

    @property
    def addresses(self) -> list[str]:
        """Where the files are, if they are named."""
        if self.data_files is None or isinstance(self.data_files, str):
            return [self.data_files] if self.data_files else []
        return list(self.data_files.values() if isinstance(self.data_files, Mapping) else self.data_files)

    def error(self, what: str, remedy: str, expected: str | None = None) -> DataError:
        """A DataError that names this set."""
        return DataError(what, where=f"task.data.hub={self.path}", got=self.origin, expected=expected, remedy=remedy)

    def call(self, **more: Any) -> str:
        """How the set is asked for on the command line with one more argument, for messages."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        call = {"_target_": "scd_lightning.data.hub_sets.HubSet", **given, **more}
        return clean_text(override_of("task.data.hub", call))

    def read(self, bad_rows: BadRows = STRICT) -> dict[str, list[Row]]:
        """The rows of the splits that the set has, with names in place of class numbers.

        Args:
            bad_rows: What becomes of rows that can't be used.

        Raises:
            DataError: The set is unknown, gated, broken or out of reach, or has no train split; each says so.
        """
        loaded = self._load()
        chosen = self._choose(list(loaded))
        return {split: self._rows(loaded[theirs], split, bad_rows) for split, theirs in chosen.items()}

    def read_one(self, name: str, bad_rows: BadRows = STRICT) -> list[Row]:
        """The rows of one split: of the one that `splits` calls train, else of that name, else of train.

        Args:
            name: What the rows are called.
            bad_rows: What becomes of rows that can't be used.

        Raises:
            DataError: As `read`.
        """
        loaded = self._load()
        chosen = name if name in loaded and not self.splits else self._choose(list(loaded))["train"]
        return self._rows(loaded[chosen], name, bad_rows)

    def _load(self) -> Any:
        from scd_lightning.data.hub_loading import load_splits

        return load_splits(self)

    def _choose(self, found: Sequence[str]) -> dict[str, str]:
        names = {split: (self.splits[split],) for split in self.splits} if self.splits else SPLIT_NAMES
        chosen = {split: [each for each in names[split] if each in found] for split in names}
        if not chosen.get("train") or (self.splits and not all(chosen.values())):
            raise DataError(
                "The data set lacks a split",
                where=f"task.data.hub={self.path}",
                got=", ".join(found),
                expected=", ".join(" or ".join(each) for each in names.values()) if self.splits else "train",
                remedy=f"name its splits, such as {self.call(splits={'train': 'everything'})}",
            )
        return {split: each[0] for split, each in chosen.items() if each}

    def _rows(self, split_rows: Any, split: str, bad_rows: BadRows) -> list[Row]:
        named = named_columns(split_rows.features.to_dict())
        file = f"{self.origin}, {split}"
        # CSV has no other way to leave a cell out; elsewhere, "" is what someone wrote.
        empty = ("",) if self.path == "csv" else ()

        def row(numbered: tuple[int, dict[str, Any]]) -> Row:
            number, record = numbered
            blank = {name for name, value in record.items() if is_blank(value) or value in empty}
            values = {name: None if name in blank else value for name, value in record.items()}
            return make_row(apply_names(values, named), split, number, file)

        DATA.check(split_rows.data.nbytes, "The data set's split is larger than is read", file, DataError)
        rows = bad_rows.keep(split, row, enumerate(split_rows.to_list(), 1))
        if not rows:
            raise DataError(f"The {split} split holds no rows", where=file, expected="at least one row")
        return rows
