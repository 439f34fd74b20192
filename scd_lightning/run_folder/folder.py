"""How a folder becomes a run's own, and when what another has left in it goes."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scd_lightning.errors import ConfigError, Preempted, StoreError, interrupted
from scd_lightning.launch import ranks
from scd_lightning.launch.failures import forget
from scd_lightning.progress import say
from scd_lightning.redaction.cleaning import clean_text
from scd_lightning.run_folder.aside import discard, give_back, is_aside, set_aside
from scd_lightning.run_folder.inputs import check_inputs
from scd_lightning.run_folder.lock import Hold, unwritable
from scd_lightning.run_folder.names import (
    ATTEMPT,
    CARD,
    FAILURE,
    PARTIAL_STUDENT,
    RESULTS,
    RUN,
    STUDENT,
    exported,
    failures,
    links,
    logged,
    present,
)
from scd_lightning.run_folder.noted_files import remove
from scd_lightning.run_folder.record import Record, read_record
from scd_lightning.run_folder.removable import RUN_FILE, STUDENT_FOLDER, UNFINISHED_STUDENT, kind_of
from scd_lightning.run_folder.sweep_folder import Sweep
from scd_lightning.store.making import claim, finish_folder, is_claimed, make_folder
from scd_lightning.store.manifest import write_json, write_text
from scd_lightning.store.ownership import doubt
from scd_lightning.store.registry import TIME
from scd_lightning.store.removal import delete

_WHERE = "hydra.run.dir"
_SHOWN = 5


class RunFolder:
    """A run's folder, from `open` to `close`; only the process that speaks for a job opens it.

    A run makes a folder its own at once where no earlier run is in it, and else when its own input is known to be good.
    What the earlier one noted as its own, and nothing else, is set aside then, and goes when this one has trained or is
    through: where it fails before, all is again as the earlier one left it.

    Args:
        path: The folder, which is there.
        command: The run's command line.
        texts: Name -> text of what stands in the folder from when it is the run's own.
        sweep: The sweep that the run is a job of.

    Attributes:
        path: The folder.
        refused: Whether the folder is not for this run: it leaves no word there.
        finished: Whether the run has gone through.
    """

    def __init__(
        self, path: Path, command: str = "", texts: Mapping[str, str] | None = None, sweep: Sweep | None = None
    ) -> None:
        self.path, self.refused, self.finished = path, False, False
        self._texts, self._sweep = texts or {}, sweep
        self._hold: Hold | None = None
        # The run whose folder it still is; None once it is this one's.
        self._earlier: Record | None = None
        self._files: set[str] = set()
        self._content: dict[str, Any] = {"command": command, "started": time.strftime(TIME), "finished": None}
        self._content |= {} if sweep is None else sweep.mark

    def open(self) -> None:
        """Keeps all others out of the folder.

        Raises:
            ConfigError: Another run has it; it holds files of the user's that a run would write over; it can't be
                written.
        """
        self.refused = True
        self._hold = Hold(self.path, _WHERE)
        give_back(self.path)
        earlier = read_record(self.path)
        if self._sweep is not None and earlier is not None:
            self._sweep.check(earlier.content.get("job"), self.path)
        self._refuse_others(earlier)
        self._refuse_replaced(earlier)
        claim(self.path, {}, _WHERE)
        try:
            if earlier is None or earlier.identity is None:
                remove(self.path, () if earlier is None else earlier.files())
                self._begin()
            else:
                self._earlier = earlier
                if ranks.is_rank():
                    forget(self.path)  # Nothing else tells what these processes say from what those have said.
        except StoreError as error:
            raise unwritable(_WHERE, error.got) from error
        self.refused = False

    def close(self) -> None:
        """Lets others have the folder."""
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()

    def take(self, identity: str, settings: Mapping[str, Any]) -> None:
        """Makes the folder this run's own, now that its input is known to be good.

        What is there from a run of the same identity is what this one would write, so it stays.

        Args:
            identity: Digest of all that what the run writes depends on.
            settings: The run's settings.

        Raises:
            ConfigError: The run reads what would go.
            StoreError: The folder can't be written.
        """
        if self._hold is None:
            return
        earlier = self._earlier
        same = earlier is not None and earlier.identity == identity
        if earlier is not None and not same:
            check_inputs(settings, self.path, earlier.files())
        self._content["identity"] = identity
        if earlier is not None and same:
            self._files = earlier.files()
            if earlier.finished:
                return
        elif earlier is not None:
            set_aside(self.path, earlier)
        self._begin()

    @property
    def is_provisional(self) -> bool:
        """Whether an earlier run gets its folder back where this one fails now."""
        return is_aside(self.path)

    def keep(self) -> None:
        """Takes the folder for good: the run has made something of its own. Any of its processes may say so."""
        discard(self.path)
        if self._sweep is not None:
            self._sweep.take()

    def finish(self) -> None:
        """Notes that the run has gone through, and which files are its own."""
        if self._hold is None:
            return
        if self._earlier is not None:
            self._begin()
        self.keep()
        self._end(finished=time.strftime(TIME))
        self.finished = True

    def stop(self, error: BaseException) -> None:
        """Notes what ended the run, where the folder is its own; gives it back where an earlier run's files are aside.

        Args:
            error: What ended it.
        """
        if self._hold is None or self.refused:
            return
        if self.is_provisional:
            self._give_back()
        elif self._is_own():
            signal = error.signal if isinstance(error, Preempted) else "SIGINT" if interrupted(error) else None
            self._end(ended=signal or type(error).__name__)

    def note_failure(self, kind: str, message: str) -> None:
        """Writes down the error that ended the run; beside an earlier run's files, in a file of its own.

        Args:
            kind: The error's class.
            message: What it says.

        Raises:
            StoreError: The folder can't be written.
        """
        failure = {"type": kind, "message": clean_text(message)}
        if self._hold is not None and self.is_provisional:
            self._give_back()
        if self._is_own() if self._hold is not None else self._is_led():
            write_json(self.path / FAILURE, failure)
            return
        about = {name: self._content.get(name) for name in ("command", "started", "sweep")}
        write_json(self.path / ATTEMPT, about | {"ended": time.strftime(TIME)} | failure)
        say(f"What an earlier run left in {self.path} is as it was.")

    @contextmanager
    def exporting(self) -> Iterator[Path]:
        """A new folder for the student, which takes the old one's place when it is whole, and its files are noted."""
        new, old = self.path / PARTIAL_STUDENT, self.path / STUDENT
        delete(new, UNFINISHED_STUDENT, self.path)
        yield make_folder(new, UNFINISHED_STUDENT, self.path)
        finish_folder(new, old)
        files = {f"{STUDENT}/{path.relative_to(new).as_posix()}" for path in new.rglob("*") if path.is_file()} | {CARD}
        before = {name for name in self._files if name.startswith(f"{STUDENT}/")}
        delete(old, STUDENT_FOLDER, self.path)
        self._files = (self._files - before) | files
        if self._is_own():
            self._write(self._files)
        os.replace(new, old)

    def _is_led(self) -> bool:
        """Whether the folder is that of the run of which another process leads, which may have ended by now."""
        record = read_record(self.path)
        command = self._content["command"]
        led = record is not None and not record.finished and record.content["command"] == command
        return led and not self.is_provisional

    def _give_back(self) -> None:
        give_back(self.path)
        self._earlier = read_record(self.path)

    def _is_own(self) -> bool:
        """Whether the folder is this run's: an earlier one of its identity has lost it where its results are gone."""
        earlier = self._earlier
        if earlier is None or self._hold is None:
            return self._hold is not None
        lost = earlier.identity == self._content.get("identity") and RESULTS in earlier.listed
        return lost and not (self.path / RESULTS).exists()

    def _begin(self) -> None:
        """Makes the folder this run's: run.json, and what stands beside it."""
        self._earlier = None
        forget(self.path)
        for name in (FAILURE, ATTEMPT):
            delete(self.path / name, RUN_FILE, self.path)
        self._write(self._files | self._texts.keys())
        for name, text in self._texts.items():
            write_text(self.path / name, text)

    def _end(self, **how: str) -> None:
        """Completes run.json: how the run ended, and which files are its own."""
        files = {name for name in self._files if os.path.lexists(self.path / name)}
        self._content |= how
        self._write(files | present(self.path) | logged(self.path))

    def _write(self, files: Iterable[str]) -> None:
        write_json(self.path / RUN, self._content | {"files": sorted(files)})

    def _refuse_others(self, earlier: Record | None) -> None:
        own = set() if earlier is None else earlier.files() | set(failures(self.path))
        others = (present(self.path) | exported(self.path)) - own | links(self.path)
        if earlier is None and not is_claimed(self.path) and os.path.lexists(self.path / ATTEMPT):
            others.add(ATTEMPT)
        if others:
            raise ConfigError(
                "The folder holds files that a run would write over, and no run in it has noted them as its own",
                where=_WHERE,
                got=f"{_few(others)} in {self.path}",
                remedy=f"choose another folder by {_WHERE}=, or move them away",
            )

    def _refuse_replaced(self, earlier: Record | None) -> None:
        """Of what an earlier run noted, something else may have taken the place."""
        names = set() if earlier is None else {each for each in earlier.files() if not each.startswith(f"{STUDENT}/")}
        replaced = {name for name in names if _is_other(self.path / name, is_folder=kind_of(name).contents is not None)}
        reason = doubt(self.path / STUDENT, STUDENT_FOLDER, self.path)
        if replaced or reason:
            raise ConfigError(
                "The folder holds something else in place of what an earlier run has left",
                where=_WHERE,
                got=f"{_few(replaced)} in {self.path}" if replaced else f"{self.path / STUDENT}: {reason}",
                remedy=f"choose another folder by {_WHERE}=, or move it away",
            )


def _is_other(path: Path, *, is_folder: bool) -> bool:
    return path.is_symlink() or path.exists() and path.is_dir() != is_folder


def settle(folder: Path) -> None:
    """Gives a folder back to an earlier run, where a later one was killed before it had trained."""
    if is_aside(folder):
        with suppress(ConfigError):  # The later one lives.
            hold = Hold(folder, _WHERE)
            give_back(folder)
            hold.release()


def _few(names: Iterable[str]) -> str:
    """Some of the names, for a message."""
    ordered = sorted(names)
    more = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
