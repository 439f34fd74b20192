"""Which files of a folder are whose rows: a split is one file or its shards, under any case of its name."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scd_lightning.config.pasting import override_of
from scd_lightning.data.rows import shorten
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import DataError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_KINDS = ".jsonl, .json, .csv, .tsv or .parquet"
# As `datasets` writes them: train-00000-of-00002, sometimes with a hash behind it.
_SHARD = re.compile(r"(?P<name>.+?)-(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]{16})?", re.ASCII)


def find_files(path: Path) -> dict[str, list[Path]]:
    """The files of each split, unread.

    Args:
        path: A folder that holds train, and maybe validation and test, each as one file or as shards; or a file, which
            is train.

    Raises:
        DataError: There is nothing at the path, no file of train, or several of one split that are no shards.
    """
    if path.is_file():
        return {"train": [_readable(path)]}
    if not path.is_dir():
        raise DataError(
            "The data folder is missing",
            where="task.data.path",
            got=path,
            expected=f"a folder with train as {_KINDS}, and validation and test likewise; or one such file",
            remedy="correct task.data.path",
        )
    files = {split: _called(path.iterdir(), SPLIT_NAMES[split]) for split in SPLITS}
    if not files["train"]:
        raise _without_train(path)
    return {split: _of_one_kind(path, split, found) for split, found in files.items() if found}


def find_only_file(path: Path, split: str, where: str) -> list[Path]:
    """A file, or the one in a folder (or its shards) that is called as the split, as train or by any name, unread.

    Args:
        path: The file or the folder.
        split: What its rows are called.
        where: The argument that named the path, for messages.

    Raises:
        DataError: There is no such file, or not one alone.
    """
    files = [path]
    if path.is_dir():
        every = sorted(each for each in path.iterdir() if _suffix(each) in SUFFIXES)
        files = next(filter(None, (_called(every, (name,)) for name in (split, "train"))), every)
    one = len(files) == 1 or _are_shards(files)
    if not one or not files[0].is_file() or _suffix(files[0]) not in SUFFIXES:
        raise DataError(
            "There is no data file at the path" if len(files) < 2 else "There are several data files at the path",
            where=where,
            got=f"{path}: {', '.join(each.name for each in files)}" if len(files) > 1 else path,
            expected=f"a file ({_KINDS}), or a folder with one, or with one called {split}",
        )
    return files


def beside(file: Path) -> list[str]:
    """The names of other files in a file's folder that are called as splits are, or are shards of the same."""
    names = [name for each in SPLIT_NAMES.values() for name in each]
    names.append(_name(file))
    return [each.name for each in _called(file.parent.iterdir(), list(dict.fromkeys(names))) if each != file]


def _suffix(file: Path) -> str:
    return file.suffix.lower()


def _name(file: Path) -> str:
    """What a file is called without case, suffix and the number of a shard."""
    shard = _SHARD.fullmatch(file.stem)
    return (shard["name"] if shard else file.stem).lower()


def _called(files: Iterable[Path], names: Sequence[str]) -> list[Path]:
    """Data files of these names, in their order."""
    found = [each for each in files if _suffix(each) in SUFFIXES and _name(each) in names]
    return sorted(found, key=lambda each: (names.index(_name(each)), SUFFIXES.index(_suffix(each)), each.name))


def _are_shards(files: Sequence[Path]) -> bool:
    """Whether files are parts of one, each of them once."""
    parts = [_SHARD.fullmatch(each.stem) for each in files]
    numbers = [int(part["number"]) for part in parts if part]
    same = {(part["name"].lower(), int(part["count"])) for part in parts if part}
    kinds = {_suffix(each) for each in files}
    return len(same) == len(kinds) == 1 and numbers == [*range(len(parts))] and same.pop()[1] == len(parts)


def _of_one_kind(folder: Path, split: str, found: list[Path]) -> list[Path]:
    if _are_shards(found) or (len(found) == 1 and not _SHARD.fullmatch(found[0].stem)):
        return found
    what, expected, remedy = "several files for", "one, or all shards of one", "remove or rename the others"
    if all(_SHARD.fullmatch(each.stem) for each in found):
        what, expected, remedy = "not all shards of", "each shard from 0 on, once", "add the missing ones"
    raise DataError(
        f"The data folder has {what} the {split} split",
        where=folder,
        got=", ".join(file.name for file in found),
        expected=expected,
        remedy=remedy,
    )


def _readable(file: Path) -> Path:
    if _suffix(file) not in SUFFIXES:
        raise DataError(
            "The data file is of a kind that is not read",
            where="task.data.path",
            got=file,
            expected=_KINDS,
            remedy="save or export it as one of these (a spreadsheet as CSV), unpacked",
        )
    return file


def _without_train(folder: Path) -> DataError:
    others = sorted(each.name for each in folder.iterdir() if _suffix(each) in SUFFIXES)
    given = override_of("task.data.path", str(folder / others[0])) if len(others) == 1 else None
    one = "" if given is None else f"; {given} takes that file as train"
    return DataError(
        "The data folder has no training file",
        where=folder,
        got=shorten(sorted(item.name for item in folder.iterdir())),
        expected=f"train as {_KINDS}",
        remedy=f"rename the file or correct task.data.path{one}",
    )
