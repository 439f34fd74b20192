"""The lock that a run, or a sweep, holds on its folder for as long as it lives."""

from contextlib import suppress
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from filelock import FileLock, Timeout

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.progress import say
from scd_lightning.run_folder.removable import LOCK_FILE
from scd_lightning.store.locks import holder, note_holder
from scd_lightning.store.removal import delete

_LOCK = Path(".running.lock")
_UNLOCKED = (
    "The file system of {} has no locks: nothing keeps another run out of this folder. Start none in it meanwhile."
)
_UNWRITABLE = (EACCES, EPERM, EROFS)


class Hold:
    """One process's hold on a folder, from its making to `release`; the system ends it with the process.

    Args:
        folder: The folder, which is there.
        where: The setting that names it.

    Raises:
        ConfigError: A living process holds it, or it can't be written.
    """

    def __init__(self, folder: Path, where: str) -> None:
        self._note = (folder / _LOCK).with_suffix(".json")
        # A lock by a file's being there would outlive a process that is killed.
        self._lock = FileLock(folder / _LOCK, timeout=0, fallback_to_soft=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise _held(folder, where) from None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno in _UNWRITABLE:
                raise unwritable(where, error) from error
            say(_UNLOCKED.format(folder))
        try:
            note_holder(folder / _LOCK, str(folder))
        except StoreError as error:
            self._lock.release()
            raise unwritable(where, error.got) from error

    def release(self) -> None:
        """Lets others have the folder."""
        if self._lock.is_locked:
            # While it is held: whoever waits for this file finds that it is no more the path's.
            for path in (self._note, Path(self._lock.lock_file)):
                with suppress(OSError, StoreError):
                    delete(path, LOCK_FILE, path.parent)
            self._lock.release()


def is_live(folder: Path) -> bool:
    """Whether a living process holds a folder, or might."""
    if not (folder / _LOCK).exists():
        return False
    lock = FileLock(folder / _LOCK, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # A time-out is an OSError too.
        return True
    lock.release()
    return False


def unwritable(where: str, got: object) -> ConfigError:
    """The message for a folder without write access or room."""
    kind = {"hydra.run.dir": "run", "hydra.sweep.dir": "sweep"}[where]
    return ConfigError(f"The {kind}'s folder can't be written", where=where, got=got)


def _held(folder: Path, where: str) -> ConfigError:
    return ConfigError(
        "Another command is running in this folder",
        where=where,
        got=holder(folder / _LOCK),
        remedy=f"wait for its end, or choose another folder by {where}=",
    )
