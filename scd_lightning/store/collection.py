"""What can go, what can't and why; and its removal, which leaves nothing half there and waits for no run."""

import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scd_lightning.errors import StoreError
from scd_lightning.store.inventory import Entry, Inventory, scan
from scd_lightning.store.layout import (
    HEAD,
    LOCK,
    LOCKS,
    RECORD,
    REMOVED,
    RUNS,
    SIGNALS,
    TAKEN_OUT,
    lock_path,
    unwritable,
)
from scd_lightning.store.locks import is_held, store_lock, sweep, try_lock
from scd_lightning.store.ownership import doubt
from scd_lightning.store.registry import RunRecord, check_records, forget
from scd_lightning.store.removal import delete
from scd_lightning.store.saved_state import RESUME

DAY = 86400.0


@dataclass(frozen=True)
class Candidate:
    """Something that can go.

    Attributes:
        entry: What.
        reason: Why nobody misses it.
    """

    entry: Entry
    reason: str


def obstacle(entry: Entry, inventory: Inventory) -> str | None:
    """Why something must stay, in words; None where it may go."""
    if entry.pinned:
        return "it is pinned"
    names = {entry.name, *entry.teachers}
    user = next((record for record in inventory.records if record.live and names & set(record.artifacts)), None)
    if user is not None:
        return f"{user.user} is using it"
    if is_held(lock_path(inventory.root, entry.name)):
        return "a run is making it right now"
    if (reason := doubt(entry.path, entry.belongs, inventory.root)) is not None:
        return reason
    if entry.kind == "head" and any(record.live for record in inventory.records):
        return "a run is using the store, and might use it"
    return None


def with_signals(entries: Iterable[Entry], inventory: Inventory) -> list[Entry]:
    """The entries, and the signals that are of no use without them."""
    chosen = {entry.name: entry for entry in entries}
    for entry in inventory.finished:
        if entry.kind == "signals" and entry.teachers and set(entry.teachers) <= set(chosen):
            chosen[entry.name] = entry
    return list(chosen.values())


def collectable(inventory: Inventory, *, older_than: float = 0.0, keep_last: int = 0) -> list[Candidate]:
    """What can go without a run that exists missing it.

    Args:
        inventory: The store.
        older_than: Leave out what was made or used in the last so many days.
        keep_last: Leave out what the last so many runs used, although their folders are gone.
    """
    _, kept = _split(inventory, keep_last)
    last = {name for record in kept for name in record.artifacts}

    def may_go(entry: Entry) -> bool:
        return time.time() - last_use(entry) >= older_than * DAY and obstacle(entry, inventory) is None

    found = [Candidate(entry, reason) for entry in inventory.entries if (reason := _reason(entry, last))]
    found = [each for each in found if may_go(each.entry)]
    going = {each.entry.name for each in found if each.entry.finished}
    for entry in inventory.finished:
        if entry.kind == "signals" and may_go(entry) and set(entry.teachers) <= going:
            reason = "signals of a teacher that goes too" if entry.teachers else "signals of checkpoints that are gone"
            found.append(Candidate(entry, reason))
    return found + _heads(inventory, {each.entry.name for each in found})


def _split(inventory: Inventory, keep_last: int) -> tuple[Sequence[RunRecord], Sequence[RunRecord]]:
    """The records before the last so many, and those; there may be fewer than are asked for."""
    first = max(0, len(inventory.records) - keep_last)
    return inventory.records[:first], inventory.records[first:]


def _reason(entry: Entry, last: set[str]) -> str | None:
    """Why an entry may go, from what is known of it alone; signals follow their teachers."""
    if entry.kind == "removed":
        return "left over by an interrupted removal"
    if entry.kind == "partial" and not (entry.path / RESUME).is_dir():
        return "left unfinished, and nobody is making it"
    if entry.kind in ("head", "signals") or any(run.exists for run in entry.runs):
        return None
    if entry.name in last:
        return None
    if entry.kind == "partial":
        return "left unfinished, and the runs that would go on with it are gone"
    return "the runs that used it are gone" if entry.runs else "no run on record used it"


def _heads(inventory: Inventory, going: set[str]) -> list[Candidate]:
    """The heads that no signals share once some are gone."""
    staying = {
        str((entry.manifest or {}).get("head"))
        for entry in inventory.finished
        if entry.kind == "signals" and entry.name not in going
    }
    heads = [entry for entry in inventory.entries if entry.kind == "head" and entry.name not in staying]
    return [Candidate(head, "no signals need it") for head in heads if obstacle(head, inventory) is None]


def last_use(entry: Entry) -> float:
    """When something was made, or a run last said that it uses it, as seconds since 1970."""
    return max([entry.made, *(run.since for run in entry.runs)])


def left_alone(inventory: Inventory) -> dict[Path, str]:
    """What is named as if it were the store's, and stays, since it can't be told that it is; with the reasons."""
    reasons = {each.path: doubt(each.path, each.belongs, inventory.root) for each in inventory.entries}
    return {path: reason for path, reason in reasons.items() if reason is not None}


def remove(root: Path, names: Iterable[str]) -> None:
    """Removes artifacts and signals, all of them or none, and what is of no use without them.

    Raises:
        StoreError: One of them must stay, or it can't be told; or the store can't be written.
    """
    with store_lock(root):
        check_records(root, live_only=True)
        inventory = scan(root)
        wanted = set(names)
        going = with_signals([entry for entry in inventory.finished if entry.name in wanted], inventory)
        refusals = [f"{entry.name}: {why}" for entry in going if (why := obstacle(entry, inventory))]
        if refusals:
            raise StoreError(
                "Nothing was removed, because something must stay",
                where=root,
                got="; ".join(refusals),
                remedy="wait for the run or end it; `unpin` what is pinned",
            )
        going += [each.entry for each in _heads(inventory, {entry.name for entry in going})]
        moved = _take_out(root, going)
    _delete(moved, root)


def collect(root: Path, *, older_than: float = 0.0, keep_last: int = 0) -> list[Candidate]:
    """Removes what `collectable` finds, and the records of runs that are gone; tells what went.

    Raises:
        StoreError: It can't be told what a run uses or used; or the store can't be written.
    """
    with store_lock(root):
        check_records(root)
        inventory = scan(root)
        candidates = collectable(inventory, older_than=older_than, keep_last=keep_last)
        for candidate in candidates:
            _ = candidate.entry.bytes  # Known before it is gone.
        moved = _take_out(root, [candidate.entry for candidate in candidates])
        for record in _split(inventory, keep_last)[0]:
            if not record.exists:
                forget(record, root)
        _sweep_locks(root)
    _delete(moved, root)
    return candidates


def _take_out(root: Path, entries: Sequence[Entry]) -> list[Path]:
    """Takes entries out of the store by one rename each, their makers' locks held; heads are files, and just go."""
    folder, moved = root / REMOVED, []
    try:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise StoreError(
                "Nothing was removed, since what goes is put there first",
                where=folder,
                got="a link, which may lead out of the store",
                remedy="delete the link; what it leads to stays",
            )
        for entry in entries:
            if entry.kind == "removed":
                moved.append(entry.path)
            elif entry.kind == "head":
                delete(entry.path, HEAD, root)
            elif _renamed(entry, target := folder / f"{entry.name}-{uuid.uuid4().hex[:8]}", root):
                moved.append(target)
    except OSError as error:
        raise unwritable(root, error) from error
    return moved


def _renamed(entry: Entry, target: Path, root: Path) -> bool:
    lock = None
    with suppress(OSError):  # It may be another user's.
        lock = try_lock(lock_path(root, entry.name))
    if lock is None:
        return False  # Somebody began to make it a moment ago.
    try:
        # Looked at again: whoever had the lock may have put something else there.
        own = doubt(entry.path, entry.belongs, root) is None
        if own:
            entry.path.rename(target)
        return own
    finally:
        lock.release()


def _sweep_locks(root: Path) -> None:
    """Has the files of locks go that nobody holds: a killed run leaves its own, and none has a use without a holder."""
    try:
        for folder in (root / LOCKS, root / SIGNALS):
            sweep(sorted(folder.glob("*.lock")), LOCK, root)
        of_runs = sorted((root / RUNS).glob("*.lock"))
        sweep([each for each in of_runs if not each.with_suffix(".json").exists()], RECORD, root)
    except OSError as error:
        raise unwritable(root, error) from error


def _delete(paths: Iterable[Path], root: Path) -> None:
    left = {}
    for path in paths:
        try:
            delete(path, TAKEN_OUT, root)
        except FileNotFoundError:
            continue  # Another process is at it too.
        except OSError as error:
            left[path] = error.strerror
    if left:
        raise StoreError(
            "Something was taken out of the store and can't be deleted",
            where=", ".join(map(str, left)),
            got=", ".join(map(str, dict.fromkeys(left.values()))),
            remedy="delete it yourself; no run uses it any more",
        )
