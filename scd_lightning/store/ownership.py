"""What proves that something on the disk is of our making: its name, its contents, and a mark in a folder made for it.

Only what is proven so is ever deleted: a store, and a run's folder, may be any folder that the user names.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from errno import ELOOP, ENOTDIR
from pathlib import Path
from typing import Any

# In each folder that `making.py` makes. It goes last, so that what an interrupted removal leaves is still known.
MARK = ".scd_lightning"
MADE_BY = "scd_lightning"
# The name of a file that was being written, in any folder of ours; and what file managers and network disks leave.
SCRATCH = r"\.[^/]+\.\d+-[0-9a-f]{8}\.tmp"
_ANYWHERE = rf"(.*/)?({SCRATCH}|\.DS_Store|\.nfs[0-9a-f]+)"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LINK = "it is a link, or lies behind one"


@dataclass(frozen=True)
class Kind:
    """Something that we make, and so may delete.

    Attributes:
        name: Pattern of its name, whole.
        contents: Of a folder, a pattern of the paths, from there, of all files in it, and of folders that have none
            yet, with a stroke at their end; None for a file.
        marked: Whether it is a folder with a mark of its own; else one around it bears one.
        fixed: Whether its mark counts where it was put alone: a copy elsewhere is somebody's own.
        link: Whether it is a link, and what it leads to stays.
        held: Whether it is the file of a lock that the caller holds, or lies beside it: that is proof enough.
    """

    name: str
    contents: str | None = None
    marked: bool = False
    fixed: bool = False
    link: bool = False
    held: bool = False


# A folder without anything, of whatever name.
EMPTY = Kind(r".+", r"(?!)")


def doubt(path: Path, kind: Kind, root: Path) -> str | None:
    """Why it can't be told that something was made here, in words; None where it can, or nothing is there.

    Args:
        path: What.
        kind: What it should be.
        root: The folder within which it must lie, with no link on the way; this one may be a link.

    Raises:
        OSError: It can't be looked at.
    """
    try:
        with way_to(path, root) as folders:
            return _doubt(path, kind, folders)
    except FileNotFoundError:
        return None
    except ValueError:
        return f"it lies outside of {root}"
    except OSError as error:
        if error.errno in (ENOTDIR, ELOOP):  # How systems say that a link is no folder.
            return _LINK
        raise


@contextmanager
def way_to(path: Path, root: Path) -> Iterator[list[int]]:
    """Opens a folder and all those below it that lead to a path, no link among them; gives their descriptors.

    Raises:
        OSError: One is not there, or is a link.
        ValueError: The path is not within the folder.
    """
    parts = path.absolute().relative_to(root.absolute()).parts
    if not parts or ".." in parts:
        raise ValueError(path)
    with ExitStack() as opened:
        folders = [open_folder(root, None, opened, os.O_RDONLY | os.O_DIRECTORY)]
        for part in parts[:-1]:
            folders.append(open_folder(part, folders[-1], opened))
        yield folders


def open_folder(name: str | Path, within: int | None, opened: ExitStack, flags: int = _FOLDER) -> int:
    """Opens a folder that is no link, until the stack is closed."""
    descriptor = os.open(name, flags, dir_fd=within)
    opened.callback(os.close, descriptor)
    return descriptor


def _doubt(path: Path, kind: Kind, folders: list[int]) -> str | None:
    mode = os.stat(path.name, dir_fd=folders[-1], follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode) and not kind.link:
        return _LINK
    if re.fullmatch(kind.name, path.name) is None or stat.S_ISDIR(mode) == (kind.contents is None):
        return "nothing that is made here has this name"
    if kind.contents is None:
        known = kind.held or any(map(read_mark, folders))
        right = stat.S_ISLNK(mode) if kind.link else stat.S_ISREG(mode)
        return None if known and right else "no mark says that it was made here"
    with ExitStack() as opened:
        folder = open_folder(path.name, folders[-1], opened)
        return _doubt_of_folder(path, kind, folder, folders)


def _doubt_of_folder(path: Path, kind: Kind, folder: int, folders: list[int]) -> str | None:
    mark = read_mark(folder)
    known = _known(mark, kind, path, folder, folders[-1]) if kind.marked else any(map(read_mark, folders))
    strange = next(strangers(folder, kind, mark or {}), None)
    # A kill between the making of a folder and its marking leaves one without files, and an interrupted removal too.
    if not known and (strange is not None or any(not each.endswith("/") for each in all_files(folder))):
        return "no mark says that it was made here"
    return None if strange is None else f"it holds {strange}, which was not made here"


def _known(mark: Mapping[str, Any] | None, kind: Kind, path: Path, folder: int, parent: int) -> bool:
    if mark is None:
        return False
    if not kind.fixed:
        return path.name.startswith(str(mark.get("name")))
    moved_along = (mark.get("inode"), mark.get("parent")) == (os.fstat(folder).st_ino, os.fstat(parent).st_ino)
    return mark.get("place") == place_digest(path) or moved_along


def place_digest(path: Path) -> str:
    """What tells a place from others and does not name it: exported folders go where no path of a machine belongs."""
    return hashlib.sha256(os.path.realpath(path).encode(errors="surrogateescape")).hexdigest()


def read_mark(folder: int) -> dict[str, Any] | None:
    """The mark of an open folder; None where there is none, or none of ours."""
    with suppress(OSError, ValueError):
        descriptor = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
        with open(descriptor, encoding="utf-8") as stream:
            mark = json.load(stream)
        if isinstance(mark, dict) and mark.get("made_by") == MADE_BY:
            return mark
    return None


def strangers(folder: int, kind: Kind, mark: Mapping[str, Any]) -> Iterator[str]:
    """Paths, from an open folder, of what in it was not made here."""
    return (path for path in all_files(folder) if not is_ours(path, kind, mark))


def is_ours(path: str, kind: Kind, mark: Mapping[str, Any]) -> bool:
    """Whether a file, or a folder without files, in a folder of a kind is of our making, by its path from there."""
    assert kind.contents is not None
    listed = any(each == path or path.endswith("/") and each.startswith(path) for each in mark.get("files", ()))
    return listed or any(re.fullmatch(each, path) for each in (kind.contents, _ANYWHERE))


def is_mark(name: str) -> bool:
    """Whether a file is a mark, or one that was being written."""
    return name == MARK or name.startswith(f".{MARK}.") and re.fullmatch(SCRATCH, name) is not None


def all_files(folder: int, prefix: str = "") -> Iterator[str]:
    """Paths of all files below an open folder but its mark, and of folders without any; no link is followed."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            with ExitStack() as opened:
                inside = list(all_files(open_folder(entry.name, folder, opened), f"{path}/"))
            yield from inside or [f"{path}/"]
        elif prefix or not is_mark(entry.name):
            yield path
