"""best/ of a sweep: the best student of all of its jobs, whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scd_lightning.run_folder.names import BEST, PARTIAL_BEST
from scd_lightning.run_folder.removable import BEST_FOLDER, UNFINISHED_BEST
from scd_lightning.store.making import finish_folder, make_folder
from scd_lightning.store.ownership import is_mark
from scd_lightning.store.removal import delete, refuse

# The files whose size matters.
_WEIGHTS = ".safetensors"


@contextmanager
def writing_best(sweep: Path) -> Iterator[Path]:
    """A new folder, which takes the place of the sweep's best/ once it is whole.

    Args:
        sweep: The sweep's folder, which is claimed.

    Raises:
        StoreError: Something else stands in its place.
        OSError: It can't be written.
    """
    new, old = sweep / PARTIAL_BEST, sweep / BEST
    refuse(old, BEST_FOLDER, sweep)
    delete(new, UNFINISHED_BEST, sweep)
    yield make_folder(new, UNFINISHED_BEST, sweep)
    finish_folder(new, old)
    delete(old, BEST_FOLDER, sweep)
    os.replace(new, old)


def take_student(source: Path, target: Path) -> None:
    """Has a student's files in a second folder, the weights without room of their own where the file system can do so.

    Args:
        source: The student's folder.
        target: The new one, which is not there.
    """
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir()
        elif not is_mark(path.name):
            _take_file(path, place)


def _take_file(source: Path, target: Path) -> None:
    if source.suffix == _WEIGHTS:
        with suppress(OSError):
            # Nothing writes into such a file: where it is replaced, this stays the old one.
            os.link(source, target)
            return
    shutil.copyfile(source, target)
