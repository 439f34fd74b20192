"""Which runs use what: each run says so before it touches the store, and holds a lock for as long as it lives."""

import os
import socket
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from scd_lightning.errors import StoreError
from scd_lightning.store.clock import plausible
from scd_lightning.store.layout import RECORD, RUNS, unwritable
from scd_lightning.store.locks import is_held, store_lock
from scd_lightning.store.making import make_place
from scd_lightning.store.manifest import read_sealed, write_sealed
from scd_lightning.store.ownership import doubt
from scd_lightning.store.removal import delete

TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class RunRecord:
    """A run that used the store, or does.

    Attributes:
        path: Its file.
        run: The run's folder.
        host: Machine it runs or ran on.
        pid: Its process there.
        started: When, in the local time of its machine.
        since: When it last said what it uses, as seconds since 1970.
        command: Command line that starts it again.
        artifacts: Names of the artifacts that it uses.
        live: Whether its process lives.
    """

    path: Path
    run: Path
    host: str
    pid: int
    started: str
    since: float
    command: str
    artifacts: tuple[str, ...]
    live: bool

    @property
    def exists(self) -> bool:
        """Whether anybody can still look at the run: it goes on, or its folder is there."""
        return self.live or self.run.is_dir()

    @property
    def user(self) -> str:
        """The run in words, for those whom it is in the way of."""
        return f"{self.run} (process {self.pid} on {self.host}, since {self.started})"


class Registration:
    """A run's entry in the store, from `with` to its end; the record stays, so that others can tell what it used.

    Args:
        root: The store.
        run: The run's folder.
        command: Command line that starts the run again.
    """

    def __init__(self, root: Path, run: Path, command: str) -> None:
        self.root, self.run, self.command = root, run.absolute(), command
        self.artifacts: set[str] = set()
        # Records are in the order of their names: runs that reuse everything start several in a second; and machines
        # that share a store may have other time zones.
        self._path = root / RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:6]}.json"
        self._lock = FileLock(self._path.with_suffix(".lock"))
        self._started = time.strftime(TIME)

    def __enter__(self) -> "Registration":
        """Registers the run.

        Raises:
            StoreError: The store can't be written.
        """
        with store_lock(self.root):
            try:
                make_place(self._path.parent)
                self._lock.acquire()
            except OSError as error:
                raise unwritable(self.root, error) from error
            self._write()
        return self

    def __exit__(self, *_: object) -> None:
        # What ended the run is not to be hidden by a store that can't be written any more.
        with suppress(StoreError, OSError), store_lock(self.root):
            if not self.artifacts:
                _forget(self._path, self.root)
        self._lock.release()

    def supersede(self) -> None:
        """Forgets the earlier runs in the same folder: what they left there is written over now."""
        with store_lock(self.root):
            for record in read_records(self.root):
                if record.run == self.run and not record.live:
                    forget(record, self.root)

    def add(self, names: Iterable[str]) -> None:
        """Says that the run uses these artifacts from now on, there or not: nobody removes them while it lives."""
        added = set(names) - self.artifacts
        if not added:
            return
        with store_lock(self.root):
            self.artifacts |= added
            self._write()

    def _write(self) -> None:
        content = {"run": str(self.run), "host": socket.gethostname(), "pid": os.getpid(), "started": self._started}
        write_sealed(self._path, content | {"command": self.command, "artifacts": sorted(self.artifacts)})


def read_records(root: Path) -> list[RunRecord]:
    """All runs that are on record, the oldest first; a record that can't be read is no record."""
    records = []
    for path in sorted((root / RUNS).glob("*.json")):
        with suppress(StoreError, KeyError, TypeError, OSError):
            records.append(_record(path, read_sealed(path)))
    return records


def check_records(root: Path, *, live_only: bool = False) -> None:
    """Makes sure that it is known what runs use or have used.

    Args:
        root: The store.
        live_only: Never mind runs that are over.

    Raises:
        StoreError: A run's record is damaged or can't be read, as where it is another user's.
    """
    known = {record.path for record in read_records(root)}
    for path in sorted((root / RUNS).glob("*.json")):
        if path in known:
            continue
        if is_held(path.with_suffix(".lock")):
            raise StoreError(
                "Nothing was removed, because it can't be told what a run is using",
                where=path,
                remedy="wait for the run, or get access to this file",
            )
        if not live_only:
            raise StoreError(
                "Nothing can be given up, because a run's record is damaged: it can't be told what that run used",
                where=path,
                remedy="delete this file if what only that run used may go; the run itself needs it no more",
            )


def _record(path: Path, content: dict[str, Any]) -> RunRecord:
    return RunRecord(
        path=path,
        run=Path(content["run"]),
        host=str(content["host"]),
        pid=int(content["pid"]),
        started=str(content["started"]),
        since=plausible(path.stat().st_mtime, path),
        command=str(content["command"]),
        artifacts=tuple(content["artifacts"]),
        live=is_held(path.with_suffix(".lock")),
    )


def forget(record: RunRecord, root: Path) -> None:
    """Removes the record of a run that is over, where it was made here."""
    _forget(record.path, root)


def _forget(path: Path, root: Path) -> None:
    if doubt(path, RECORD, root) is None:
        delete(path, RECORD, root)
        delete(path.with_suffix(".lock"), RECORD, root)
