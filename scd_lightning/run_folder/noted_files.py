"""What a run has noted as its own is taken away, and nothing else."""

from collections.abc import Iterable
from pathlib import Path

from scd_lightning.run_folder.names import RESULTS, STUDENT, wandb_links
from scd_lightning.run_folder.removable import LOGGED_LINK, STUDENT_FILE, kind_of
from scd_lightning.store.ownership import EMPTY, MARK
from scd_lightning.store.removal import delete


def remove(folder: Path, names: Iterable[str]) -> None:
    """Takes files of a run away, the results first: what is left without them is no finished run.

    Args:
        folder: The run's folder.
        names: The files, by their names in it.

    Raises:
        StoreError: One was not made here.
        OSError: One can't be deleted.
    """
    for name in sorted(names, key=_turn):
        if not is_behind_link(folder, name):
            kind = kind_of(name)
            # The student's own mark is to prove it: another folder may have its name by now.
            delete(folder / name, kind, folder / STUDENT if kind is STUDENT_FILE else folder)
            prune((folder / name).parent, folder)
    for link in wandb_links(folder):
        delete(link, LOGGED_LINK, folder)


def _turn(name: str) -> tuple[bool, bool, str]:
    """Marks go last: they prove the rest to be ours."""
    return name not in (RESULTS, "report.html"), name.endswith(MARK), name


def is_behind_link(folder: Path, name: str) -> bool:
    """Whether a file of a run's is elsewhere, since a folder on the way to it is a link now."""
    parents = (folder / name).relative_to(folder).parents
    return any((folder / parent).is_symlink() for parent in list(parents)[:-1])


def prune(path: Path, root: Path) -> None:
    """Takes empty folders away, up to a run's folder."""
    while path != root and path.is_dir() and not any(path.iterdir()):
        delete(path, EMPTY, root)
        path = path.parent
