"""Room on a disk, and what its errors mean for a run, in words: once they are mended, the same command goes on."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOENT, ENOSPC, EPERM, EROFS, ESTALE
from pathlib import Path

from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ScdError, StoreError

_AGAIN = "then run the same command again: what is finished is kept"
_FULL = (
    "The disk is full",
    f"{{space}}, or choose another disk with paths.store or hydra.run.dir; {_AGAIN}",
)
_READ_ONLY = ("A file can't be written here", f"make the folder writable, or choose another with paths.store; {_AGAIN}")
_BROKEN = ("The disk can't be read or written", f"look after the disk; {_AGAIN}")
_GONE = ("A file that was in use is gone", "run the same command again: what is missing is made anew")
# Said in words alone: by torch, of memory that processes share, and by Python.
_IN_WORDS = {
    re.compile(r"shared memory|/torch_\d+_|\bshm\b"): (
        "There is no memory that processes can share, or too little",
        "give /dev/shm more room, such as by `docker run --shm-size=2g`, or mount -o remount,size=2g /dev/shm; or take "
        f"trainer.devices=1; {_AGAIN}",
    ),
    re.compile("No usable temporary director"): (
        "There is no folder for temporary files that can be written",
        f"free some space in /tmp, or set TMPDIR to a folder with room; {_AGAIN}",
    ),
}
# Whatever was going on.
_ANYWHERE = {
    ENOSPC: _FULL,
    EDQUOT: _FULL,
    EFBIG: ("A file may not become so large", f"raise the limit (ulimit -f), or choose another disk; {_AGAIN}"),
    EROFS: _READ_ONLY,
    EIO: _BROKEN,
    ESTALE: _BROKEN,
}
# Only of the run's own files: elsewhere they may be a defect of this package.
_OF_OURS = {EACCES: _READ_ONLY, EPERM: _READ_ONLY, ENOENT: _GONE}


@contextmanager
def explained(folders: Mapping[str, Path]) -> Iterator[None]:
    """Turns an error of the disk, whoever met it, into one that a user can mend.

    Args:
        folders: The run's folder and the store, by the words for them.

    Raises:
        StoreError: In place of an error that one of the disk is behind.
    """
    try:
        yield
    except ScdError:
        raise
    except Exception as error:
        if (told := _explain(error, folders)) is not None:
            raise told from error
        raise


def check_free_space(
    root: str | Path,
    needed: int,
    content: str = "the checkpoints",
    remedy: str = "keep fewer with teacher.checkpoints, or choose another folder with paths.store",
) -> None:
    """Makes sure that a folder, which need not exist yet, has room.

    Args:
        root: The folder.
        needed: Bytes.
        content: What for, as the message says it.
        remedy: What else could be done than to free some space.

    Raises:
        StoreError: Its disk has less free.
    """
    folder = Path(root).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"The disk has no room for {content}",
            where=root,
            got=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB",
            remedy=f"{_freeing(root)}, {remedy}",
        )


def bytes_on_disk(path: Path) -> int:
    """Size of a file, or of all files in a folder; what vanishes meanwhile counts nothing."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        return sum(bytes_on_disk(each) for each in path.iterdir())
    return 0


def _freeing(store: str | Path) -> str:
    """What to do for room in a store's folder: the command lists what can go, with its last word it removes it."""
    command = command_of([*program("store"), "gc", f"--store={store}", "--yes"])
    return f"free some space, as `{command}` does (without --yes it lists what can go)"


def _explain(error: BaseException, folders: Mapping[str, Path]) -> StoreError | None:
    for each in _chain(error):
        number = _errno(each)
        path = getattr(each, "filename", None)
        ours = path is not None and any(Path(str(path)).absolute().is_relative_to(f) for f in folders.values())
        told = _in_words(each) or _ANYWHERE.get(number) or (_OF_OURS.get(number) if ours else None)
        if told is not None:
            where = path or ", ".join(f"{name} {folder}" for name, folder in folders.items())
            return StoreError(
                told[0], where=where, got=each, remedy=told[1].format(space=_freeing(folders["the store"]))
            )
    return None


def _in_words(error: BaseException) -> tuple[str, str] | None:
    """What an error of the system's says that has its number in words, or none."""
    if not isinstance(error, OSError | RuntimeError):
        return None
    return next((told for words, told in _IN_WORDS.items() if words.search(str(error))), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _errno(error: BaseException) -> int:
    """The system's number of an error, 0 where it has none; libraries of other languages tell it in their texts."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = re.search(r"\((?:os error |errno: )?(\d+)( - [^)]*)?\)", str(error))
    number = int(found[1]) if found else 0
    # Torch writes numbers of all sorts so; the system's words stand beside its own.
    return number if number and (os.strerror(number) in str(error)) else 0
