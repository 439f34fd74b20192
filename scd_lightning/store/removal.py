"""The one function that deletes, and it deletes what is proven to be of our making."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from scd_lightning.errors import StoreError
from scd_lightning.store.ownership import Kind, doubt, is_mark, is_ours, open_folder, read_mark, way_to


def delete(path: Path, kind: Kind, root: Path) -> None:
    """Deletes a file, or a folder with all that is in it.

    Args:
        path: What is to go; it need not be there.
        kind: What it is.
        root: The folder within which it lies.

    Raises:
        StoreError: It can't be proven that it was made here, see `ownership.py:doubt`. Nothing of it is deleted then.
        OSError: It can't be deleted. What could be has gone.
    """
    refuse(path, kind, root)
    with suppress(FileNotFoundError), way_to(path, root) as folders:
        if kind.contents is None:
            os.unlink(path.name, dir_fd=folders[-1])
        else:
            _delete_folder(path.name, kind, folders[-1])


def refuse(path: Path, kind: Kind, root: Path) -> None:
    """Makes sure that something was made here, or is not there.

    Args:
        path: What.
        kind: As in `delete`.
        root: Likewise.

    Raises:
        StoreError: It can't be proven.
        OSError: It can't be looked at.
    """
    if (reason := doubt(path, kind, root)) is not None:
        raise StoreError(
            "Something is in the way that is left alone, since it can't be told that it was made here",
            where=path,
            got=reason,
            remedy="move it elsewhere, or delete it yourself if nobody needs it; or choose another folder, with "
            "hydra.run.dir for the run and paths.store for the store",
        )


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """A new file beside a path for what is to take its place; it is deleted unless it was renamed."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    # Of a name that nobody can foresee and that is not there yet: a link in its place would lead elsewhere.
    os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield scratch
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def _delete_folder(name: str, kind: Kind, parent: int) -> None:
    errors: list[OSError] = []
    with ExitStack() as opened:
        folder = open_folder(name, parent, opened)
        _empty(folder, kind, read_mark(folder) or {}, "", errors)
        if errors:
            raise errors[0]
        # Last, so that a removal that is cut off leaves what is known to be ours.
        for mark in filter(is_mark, os.listdir(folder)):
            os.unlink(mark, dir_fd=folder)
    os.rmdir(name, dir_fd=parent)


def _empty(folder: int, kind: Kind, mark: Mapping[str, Any], prefix: str, errors: list[OSError]) -> None:
    """Deletes what is ours in an open folder, as far as that can be."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        try:
            if is_folder:
                with ExitStack() as opened:
                    _empty(open_folder(name, folder, opened), kind, mark, f"{prefix}{name}/", errors)
                os.rmdir(name, dir_fd=folder)
            elif is_ours(f"{prefix}{name}", kind, mark):
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue  # Another process is at it too.
        except OSError as error:
            error.filename = f"{prefix}{name}"
            errors.append(error)
