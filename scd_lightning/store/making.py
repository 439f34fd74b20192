"""Folders that are made here, and marked so that they are known to be ours later."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.store.manifest import write_json
from scd_lightning.store.ownership import MADE_BY, MARK, Kind, all_files, doubt, open_folder, place_digest, read_mark
from scd_lightning.store.removal import refuse


def make_folder(path: Path, kind: Kind, root: Path, name: str | None = None) -> Path:
    """Makes a folder, and marks it as ours; one of ours that is there, or an empty one, will do.

    Args:
        path: The folder.
        kind: As in `removal.py:delete`.
        root: Likewise.
        name: What names of it begin with for as long as it is there; its own, if not given.

    Raises:
        OSError: It can't be made.
        StoreError: There is something that was not made here; or its mark can't be written.
    """
    if is_marked(path):
        return path
    try:
        refuse(path, kind, root)
    except StoreError:
        if is_marked(path):  # Another process has made it meanwhile, and put something into it.
            return path
        raise
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir()
    _mark(path, name or path.name, place=path if kind.fixed else None)
    return path


def make_place(path: Path) -> None:
    """Makes a folder for things that prove themselves, and marks it; somebody else's of that name will do.

    Raises:
        OSError: It can't be made.
        StoreError: Its mark can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
        if is_marked(path) or not _is_empty(path):
            return
    _mark(path, path.name)


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """A folder to be filled, which gets its name when the block ends well; after an error nothing is left of it.

    Args:
        folder: The name, which nothing has yet.

    Raises:
        OSError: It can't be made there.
    """
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as place:
        # Within: a temporary folder itself is its owner's alone.
        made = Path(place) / folder.name
        made.mkdir()
        yield made
        os.replace(made, folder)


def is_marked(path: Path) -> bool:
    """Whether a folder, which is no link, bears our mark."""
    try:
        with ExitStack() as opened:
            return read_mark(open_folder(path, None, opened)) is not None
    except OSError:
        return False


def finish_folder(path: Path, becomes: Path) -> None:
    """Notes in a folder's mark what it holds: files that are added from now on are not ours.

    Args:
        path: The folder.
        becomes: Where it will be.

    Raises:
        StoreError: The mark can't be written.
    """
    with ExitStack() as opened:
        files = list(all_files(open_folder(path, None, opened)))
    _mark(path, becomes.name, place=becomes, files=files)


def claim(folder: Path, written: Mapping[str, Kind], where: str) -> None:
    """Makes sure that a folder, which may be the user's own, has nothing else where we write; marks it.

    From then on what has these names there is ours.

    Args:
        folder: The folder.
        written: The names of what is written there, with their kinds.
        where: The setting that names the folder.

    Raises:
        ConfigError: There is something else, or the folder can't be written.
    """
    reasons = {name: reason for name, kind in written.items() if (reason := doubt(folder / name, kind, folder))}
    if reasons:
        raise ConfigError(
            "The folder holds something that was not made here, under names that are written there",
            where=f"{where}: {folder}",
            got="; ".join(f"{name} ({reason})" for name, reason in reasons.items()),
            expected="a folder without them, or that of an earlier run",
            remedy=f"choose another folder with {where}=, or move these elsewhere",
        )
    if not is_claimed(folder):
        try:
            _mark(folder, folder.name)
        except (OSError, StoreError) as error:
            raise ConfigError("The folder can't be written", where=f"{where}: {folder}", got=error) from error


def is_claimed(folder: Path) -> bool:
    """Whether a folder, or what a link leads to, bears our mark."""
    return is_marked(Path(os.path.realpath(folder)))


def _is_empty(path: Path) -> bool:
    try:
        with ExitStack() as opened:
            return not any(all_files(open_folder(path, None, opened)))
    except OSError:  # A file, or a link.
        return False


def _mark(path: Path, name: str, place: Path | None = None, files: Collection[str] | None = None) -> None:
    mark: dict[str, Any] = {"made_by": MADE_BY, "name": name}
    if place is not None:
        inodes = {"inode": path.stat().st_ino, "parent": path.parent.stat().st_ino}
        mark |= {"place": place_digest(place), **inodes}
    write_json(path / MARK, mark if files is None else mark | {"files": list(files)})
