"""Which files of a folder are whose rows: a split is one file or its shards, under any case of its name."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scd_lightning.config.pasting import override_of
from scd_lightning.data.raw_bytes import PACKED
from scd_lightning.data.rows import shorten
from scd_lightning.data.splits import SPLIT_NAMES, SPLITS
from scd_lightning.errors import DataError

_TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
# Of lines without names of columns; also notes lie beside data under such names.
_LINES = (".conll", ".bio", ".iob", ".iob2", ".txt")
# What lies in folders of others -> the way to rows.
_WAYS = {
    ".arrow": "a folder of save_to_disk: load_from_disk(FOLDER).to_parquet('train.parquet')",
    ".ann": "brat's .ann files beside texts are not read: convert them to JSON, or to a .conll file",
    ".xlsx": "save the spreadsheet as CSV",
    ".zip": "unpack the archive",
    ".zst": "unpack the file: unzstd FILE",
}
SUFFIXES = (*_TABLES, *_LINES)
_KINDS = ".jsonl, .json, .csv, .tsv, .parquet, .conll or .txt"
# As `datasets` writes them: train-00000-of-00002, sometimes with a hash behind it.
_SHARD = re.compile(r"(?P<name>.+?)-(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]{16})?", re.ASCII)
_LIKE_SPLITS = re.compile("|".join(name for names in SPLIT_NAMES.values() for name in names), re.IGNORECASE)


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
    if suffix_of(files["train"][0]) in _TABLES:
        files = {split: [each for each in found if suffix_of(each) in _TABLES] for split, found in files.items()}
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
        every = _of_kinds(path.iterdir())
        files = next(filter(None, (_called(every, (name,)) for name in (split, "train"))), every)
    one = len(files) == 1 or _are_shards(files)
    if not one or not files[0].is_file() or suffix_of(files[0]) not in SUFFIXES:
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


def not_read(folder: Path, found: Iterable[Path]) -> list[str]:
    """The names of files in a folder that begin as a split's does, and are none of those found."""
    read = {*found}
    others = [each for each in folder.iterdir() if each not in read and each.is_file()]
    return sorted(each.name for each in others if _LIKE_SPLITS.match(each.name) and each.suffix)


def part_of(file: Path) -> str | None:
    """Which part of several a file is by its name, in words; None of a whole one."""
    shard = _SHARD.fullmatch(_stem(file))
    return f"part {int(shard['number']) + 1} of {int(shard['count'])}" if shard and int(shard["count"]) > 1 else None


def suffix_of(file: Path) -> str:
    """What the name of a file ends with that says its kind, in lower case."""
    return Path(_unpacked_name(file)).suffix


def _unpacked_name(file: Path) -> str:
    name = file.name.lower()
    return name.rpartition(".")[0] if name.endswith(PACKED) else name


def _name(file: Path) -> str:
    """What a file is called without case, suffix and the number of a shard."""
    stem = _stem(file)
    shard = _SHARD.fullmatch(stem)
    return shard["name"] if shard else stem


def _stem(file: Path) -> str:
    return Path(_unpacked_name(file)).stem


def _called(files: Iterable[Path], names: Sequence[str]) -> list[Path]:
    """Data files of these names, in their order."""
    found = _of_kinds(each for each in files if _name(each) in names)
    return sorted(found, key=lambda each: (names.index(_name(each)), SUFFIXES.index(suffix_of(each)), each.name))


def _of_kinds(files: Iterable[Path]) -> list[Path]:
    """Those that are tables, or else those that are lines, by name."""
    every = sorted(files)
    kinds = ([each for each in every if suffix_of(each) in kind] for kind in (_TABLES, _LINES))
    return next(filter(None, kinds), [])


def _are_shards(files: Sequence[Path]) -> bool:
    """Whether files are parts of one, each of them once."""
    parts = [_SHARD.fullmatch(_stem(each)) for each in files]
    numbers = [int(part["number"]) for part in parts if part]
    same = {(part["name"], int(part["count"])) for part in parts if part}
    kinds = {suffix_of(each) for each in files}
    return len(same) == len(kinds) == 1 and numbers == [*range(len(parts))] and same.pop()[1] == len(parts)


def _of_one_kind(folder: Path, split: str, found: list[Path]) -> list[Path]:
    if _are_shards(found) or (len(found) == 1 and not _SHARD.fullmatch(_stem(found[0]))):
        return found
    what, expected, remedy = "several files for", "one, or all shards of one", "remove or rename the others"
    if all(_SHARD.fullmatch(_stem(each)) for each in found):
        what, expected, remedy = "not all shards of", "each shard from 0 on, once", "add the missing ones"
    raise DataError(
        f"The data folder has {what} the {split} split",
        where=folder,
        got=", ".join(file.name for file in found),
        expected=expected,
        remedy=remedy,
    )


def _readable(file: Path) -> Path:
    if suffix_of(file) not in SUFFIXES:
        raise DataError(
            "The data file is of a kind that is not read",
            where="task.data.path",
            got=file,
            expected=_KINDS,
            remedy="save or export it as one of these (a spreadsheet as CSV), unpacked",
        )
    return file


def _without_train(folder: Path) -> DataError:
    others = [each.name for each in _of_kinds(folder.iterdir())]
    given = override_of("task.data.path", str(folder / others[0])) if len(others) == 1 else None
    one = "" if given is None else f"; {given} takes that file as train"
    strange = sorted({each.suffix.lower() for each in folder.iterdir()} & _WAYS.keys())
    one += "".join(f"; {_WAYS[suffix]}" for suffix in strange)
    parts = [name for name in others if name.lower().startswith("train")]
    if len(parts) > 1:
        one += f"; parts of one file are called train-00000-of-{len(parts):05} and so on, or train in one file"
    return DataError(
        "The data folder has no training file",
        where=folder,
        got=shorten(sorted(item.name for item in folder.iterdir())),
        expected=f"train as {_KINDS}",
        remedy=f"rename the file or correct task.data.path{one}",
    )
