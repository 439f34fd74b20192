"""An earlier run's files, set aside until the run that follows in its folder has made something of its own.

Whatever ends a process in between, the next one finds which of the two is whole, and goes on from there.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from scd_lightning.run_folder.names import RUN, STUDENT, links, logged, present
from scd_lightning.run_folder.noted_files import is_behind_link, prune, remove
from scd_lightning.run_folder.record import Record, read_record
from scd_lightning.run_folder.removable import PUT_ASIDE, STUDENT_FOLDER
from scd_lightning.store.making import is_marked, make_folder
from scd_lightning.store.manifest import write_text
from scd_lightning.store.removal import delete

# Set aside; on the way back, when nothing of the run that followed is left; and on the way out.
ASIDE, RETURNING, DISCARDED = ".replaced", ".returning", ".discarded"


def is_aside(folder: Path) -> bool:
    """Whether an earlier run's files are set aside in a folder."""
    return _is_ours(folder / ASIDE)


def set_aside(folder: Path, earlier: Record) -> None:
    """Moves a run's files out of the way, run.json last.

    Args:
        folder: The run's folder.
        earlier: Whose it is.

    Raises:
        StoreError: The folder can't be written, or has something of that name that was not made here.
        OSError: The folder can't be written.
    """
    names = earlier.files() - {RUN}
    # All three names begin so.
    make_folder(folder / ASIDE, PUT_ASIDE, folder, ".")
    write_text(folder / ASIDE / RUN, (folder / RUN).read_text(encoding="utf-8"))
    _move(folder, folder / ASIDE, names)


def discard(folder: Path) -> None:
    """Takes away what is set aside."""
    gone = folder / DISCARDED
    if is_aside(folder):
        os.replace(folder / ASIDE, gone)
    if is_marked(gone):
        delete(gone, PUT_ASIDE, folder)
        remove(folder, ())  # Of links to what has gone.


def give_back(folder: Path) -> None:
    """Has a folder be the earlier run's again, where that one's files are aside; a discarding that was cut off goes on.

    Raises:
        StoreError: Something else is in the place of what goes.
        OSError: The folder can't be written.
    """
    aside, returning = folder / ASIDE, folder / RETURNING
    if is_marked(folder / DISCARDED):
        discard(folder)
    if is_marked(returning) and not _is_ours(returning):  # All has returned.
        delete(returning, PUT_ASIDE, folder)
    if _is_ours(aside):
        if not (folder / RUN).exists() or (aside / RUN).read_bytes() != (folder / RUN).read_bytes():
            # The run that followed had begun.
            delete(folder / STUDENT, STUDENT_FOLDER, folder)
            remove(folder, (present(folder) | logged(folder)) - links(folder) - {RUN})
        os.replace(aside, returning)
    if _is_ours(returning):
        record = read_record(returning)
        assert record is not None
        _move(returning, folder, record.files() - {RUN})
        os.replace(returning / RUN, folder / RUN)
        delete(returning, PUT_ASIDE, folder)


def _is_ours(aside: Path) -> bool:
    return is_marked(aside) and read_record(aside) is not None


def _move(start: Path, to: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        if os.path.lexists(start / name) and not is_behind_link(start, name):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(start / name, to / name)
            prune((start / name).parent, start)
