"""Data sets of the hub, or files at an address, through the `datasets` library; never a set's own code."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from scd_lightning.config.redaction import hide_in_addresses
from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.class_names import apply_names, named_columns
from scd_lightning.data.rows import Row, make_row, shorten
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import ConfigError, DataError

# Names that `datasets` takes in place of a hub id where `data_files` says what to read.
FILE_FORMATS = ("csv", "json", "parquet")
_SECONDS = 10
_MISSING = (404, 410)
# pandas would take words such as "None" for gaps, and guess a column's type anew for each part of a file.
_CSV_AS_IT_STANDS = {"keep_default_na": False, "engine": "python", "chunksize": 10_000_000}


class HubSet:
    """A data set of the hub, or files of one format at any address.

    Args:
        path: Hub id, or csv, json or parquet together with `data_files`.
        name: The set's configuration, where it has several.
        revision: Branch, tag or commit. A set that is a script can't be loaded, but most have Parquet copies at
            refs/convert/parquet.
        data_files: Files to read: an address or path, a list of them (all train), or split -> address.
        splits: Our split -> the set's name of it; None for the usual names.
    """

    def __init__(
        self,
        path: str,
        name: str | None = None,
        revision: str | None = None,
        data_files: str | Sequence[str] | Mapping[str, str] | None = None,
        splits: Mapping[str, str] | None = None,
    ) -> None:
        unknown = sorted(set(splits or {}) - set(SPLITS))
        if unknown:
            where, expected = "task.data.hub.splits", ", ".join(SPLITS)
            raise ConfigError("There is no such split", where=where, got=", ".join(unknown), expected=expected)
        if path in FILE_FORMATS and not data_files:
            where, expected = "task.data.hub.data_files", "addresses of files"
            raise ConfigError("A file format needs files", where=where, got=data_files, expected=expected)
        self.path, self.name, self.revision = path, name, revision
        self.data_files = data_files
        self.splits = splits

    @property
    def origin(self) -> str:
        """Where the set comes from; local paths, logins and keys are left out."""
        if self.path in FILE_FORMATS:
            addresses = [address for address in self._addresses() if "://" in address.removeprefix("file://")]
            return hide_in_addresses(", ".join(addresses)) or "local files"
        if os.path.isdir(self.path):
            return "local folder"
        name = f"{self.path} ({self.name})" if self.name else self.path
        return f"hub set {name}" + (f" at {self.revision}" if self.revision else "")

    def read(self, bad_rows: BadRows = STRICT) -> dict[str, list[Row]]:
        """The rows of the splits that the set has, with names in place of class numbers.

        Args:
            bad_rows: What becomes of rows that can't be used.

        Raises:
            DataError: The set is unknown, gated, broken or out of reach, or has no train split; each says so.
        """
        with self._explained():
            self._check_reachable()
            loaded = self._load()
        chosen = self._choose(list(loaded))
        return {split: self._rows(loaded[theirs], split, bad_rows) for split, theirs in chosen.items()}

    def _load(self) -> Any:
        import datasets

        files = dict(self.data_files) if isinstance(self.data_files, Mapping) else self.data_files
        load = partial(datasets.load_dataset, self.path, self.name, data_files=files, revision=self.revision)
        return _load_csv(load) if self.path == "csv" else load()

    def _choose(self, found: Sequence[str]) -> dict[str, str]:
        names = {split: (self.splits[split],) for split in self.splits} if self.splits else SPLIT_NAMES
        chosen = {split: [each for each in names[split] if each in found] for split in names}
        if not chosen.get("train") or (self.splits and not all(chosen.values())):
            raise DataError(
                "The data set lacks a split",
                where=f"task.data.hub={self.path}",
                got=", ".join(found),
                expected=", ".join(" or ".join(each) for each in names.values()) if self.splits else "train",
                remedy=f"name its splits, such as {self._call('splits: {train: everything}')}",
            )
        return {split: each[0] for split, each in chosen.items() if each}

    def _rows(self, split_rows: Any, split: str, bad_rows: BadRows) -> list[Row]:
        named = named_columns(split_rows.features.to_dict())
        file = f"{self.origin}, {split}"
        empty = (None, "") if self.path == "csv" else (None,)

        def row(numbered: tuple[int, dict[str, Any]]) -> Row:
            number, record = numbered
            values = {name: value for name, value in record.items() if value not in empty}
            return make_row(apply_names(values, named), split, number, file)

        rows = bad_rows.keep(split, row, enumerate(split_rows.to_list(), 1))
        if not rows:
            raise DataError(f"The {split} split holds no rows", where=file, expected="at least one row")
        return rows

    def _addresses(self) -> list[str]:
        if self.data_files is None or isinstance(self.data_files, str):
            return [self.data_files] if self.data_files else []
        return list(self.data_files.values() if isinstance(self.data_files, Mapping) else self.data_files)

    def _check_reachable(self) -> None:
        """One short try: the library itself retries an unreachable hub for half a minute."""
        from huggingface_hub import HfApi
        from huggingface_hub.utils import get_session

        if self.path in FILE_FORMATS:
            for address in self._addresses():
                if address.startswith(("http://", "https://")):
                    answer = get_session().head(address, timeout=_SECONDS, follow_redirects=True)
                    if answer.status_code in _MISSING:
                        raise self._unknown()
        elif not os.path.isdir(self.path) and not self._is_cached():
            HfApi().dataset_info(self.path, revision=self.revision, timeout=_SECONDS)

    def _is_cached(self) -> bool:
        from datasets.load import CachedDatasetModuleFactory

        try:
            CachedDatasetModuleFactory(self.path).get_module()
        except (FileNotFoundError, AssertionError):
            return False
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what the libraries raise into an error that says what to do."""
        from datasets.exceptions import DatasetNotFoundError, DatasetsError
        from huggingface_hub.errors import (
            GatedRepoError,
            HFValidationError,
            HTTPError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            yield
        except GatedRepoError as error:
            raise self._gated() from error
        except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
            raise self._unknown() from error
        except DatasetNotFoundError as error:
            # The library has one error for both and tells them apart in words only.
            raise (self._gated() if "gated" in str(error) else self._unknown()) from error
        except (HTTPError, ConnectionError, TimeoutError) as error:
            # HTTPError is the base of the hub's own errors and of the HTTP library's, whichever that is.
            raise self._unreachable(error) from error
        except (DatasetsError, OSError, ValueError, RuntimeError, TypeError) as error:
            raise DataError(
                f"The data set can't be loaded ({shorten(' '.join(str(error).split()))})",
                where=f"task.data.hub={self.path}",
                got=self.origin,
                expected="plain JSONL, CSV or Parquet files, and a configuration's name where there are several",
                remedy=f"say more with name, revision or data_files: {self._call('revision: refs/convert/parquet')}",
            ) from error

    def _call(self, more: str) -> str:
        return f"task.data.hub={{_target_: scd_lightning.data.hub_sets.HubSet, path: {self.path}, {more}}}"

    def _gated(self) -> DataError:
        return DataError(
            "The data set is gated and this account may not read it",
            where=f"task.data.hub={self.path}",
            got=self.origin,
            remedy=f"accept its terms at huggingface.co/datasets/{self.path} and set HF_TOKEN to a token of that "
            "account, or download it and pass task.data.path=",
        )

    def _unknown(self) -> DataError:
        return DataError(
            "There is no such data set",
            where=f"task.data.hub={self.path}",
            got=self.origin,
            expected="a hub id such as PolyAI/banking77 and a revision that it has, or an address that answers",
            remedy="check the spelling, set HF_TOKEN if the set is private, or pass a local folder as task.data.path=",
        )

    def _unreachable(self, error: Exception) -> DataError:
        return DataError(
            f"The data set can't be reached ({shorten(' '.join(str(error).split()))})",
            where=f"task.data.hub={self.path}",
            got=self.origin,
            remedy="connect and unset HF_HUB_OFFLINE, or download its files elsewhere, name them train, validation and "
            "test, and pass their folder as task.data.path=",
        )


def _load_csv(load: Callable[..., Any]) -> Any:
    """Every cell as the text that it is: 007 and 1.50 would be taken for numbers, in one split and not in another."""
    heads = load(streaming=True, nrows=1, **_CSV_AS_IT_STANDS)
    columns = {column: None for rows in heads.values() for row in rows for column in row}
    return load(converters=dict.fromkeys(columns, str), **_CSV_AS_IT_STANDS)
