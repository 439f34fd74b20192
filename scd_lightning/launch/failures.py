"""What the processes of a distributed job leave of their errors, and which of them is the cause of the others.

Where one process ends, the others lose their connection to it an instant later: errors of their own, which say
nothing. Each process writes its error to a file, and one tells the earliest that is more than such a loss.
"""

import re
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from scd_lightning.errors import ScdError, StoreError, recorded_as
from scd_lightning.redaction.cleaning import clean_text
from scd_lightning.store.manifest import read_json, write_json
from scd_lightning.store.ownership import EMPTY, Kind
from scd_lightning.store.removal import delete

# The folder of these files in a run's folder, and what a job that failed leaves beside it.
FAILURES, FAILURE = "failures", "failure.json"
_RANK_FAILURE = Kind(r"rank-\d+\.json")
# What torch and the libraries below it say of another process that is gone.
_LOST = re.compile(
    r"\bdist\w+error|connection (was )?(closed|reset|refused)|broken pipe|gloo|nccl|tcpstore|socket|recvvalue failed",
    re.IGNORECASE,
)
_WAITED = re.compile(r"timed out|timeout", re.IGNORECASE)
# How long another process may take to write an error that was there first.
_WAIT = 3.0


@dataclass(frozen=True)
class RankFailure:
    """The error that a process ended with.

    Attributes:
        rank: The process.
        type: The error's class.
        message: What it says.
        traceback: Where it happened.
        at: When, in seconds since 1970.
    """

    rank: int
    type: str
    message: str
    traceback: str
    at: float

    @property
    def lost_another(self) -> bool:
        """Whether it tells of the end of another process only."""
        return _is_loss(self.type, self.message)

    @property
    def timed_out(self) -> bool:
        """Whether it tells of a wait for another process that took too long."""
        return self.lost_another and _WAITED.search(self.message) is not None

    @property
    def error(self) -> "ScdError | RankFailed":
        """The error again, where it is one that the user can mend; else a defect."""
        kind = recorded_as(self.type)
        return RankFailed(self) if kind is None else kind(self.message.rstrip("."))


def lost_another(error: Exception) -> bool:
    """Whether an error tells of the end of another process only."""
    return _is_loss(type(error).__name__, str(error))


def _is_loss(kind: str, message: str) -> bool:
    # What the user can mend may speak of data with such words in them.
    return recorded_as(kind) is None and _LOST.search(f"{kind} {message}") is not None


class RankFailed(RuntimeError):
    """A defect in a process of a distributed job.

    Args:
        failure: What the process has recorded.

    Attributes:
        failure: The same.
    """

    def __init__(self, failure: RankFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def record(run_dir: Path, rank: int, error: BaseException) -> RankFailure:
    """Writes the error of a process to its file.

    Args:
        run_dir: The run's folder.
        rank: The process.
        error: What it ended with.
    """
    text = clean_text("".join(traceback.format_exception(error)))
    failure = RankFailure(rank, type(error).__name__, clean_text(str(error)), text, time.time())
    with suppress(StoreError):  # A full disk, perhaps, which is told in another way then.
        write_json(run_dir / FAILURES / f"rank-{rank}.json", asdict(failure))
    return failure


def forget(run_dir: Path) -> None:
    """Removes what the processes of an earlier run in the same folder have left."""
    folder = run_dir / FAILURES
    if folder.is_symlink() or not folder.is_dir():
        return
    with suppress(OSError, StoreError):
        for path in folder.glob("rank-*.json"):
            delete(path, _RANK_FAILURE, run_dir)
        if not any(folder.iterdir()):
            delete(folder, EMPTY, run_dir)


def find_failures(run_dir: Path) -> list[RankFailure]:
    """The errors of all processes, the earliest first, and those that only tell of another's end behind them."""
    found = []
    for path in (run_dir / FAILURES).glob("rank-*.json"):
        with suppress(StoreError, TypeError):
            found.append(RankFailure(**read_json(path)))
    return sorted(found, key=lambda failure: (failure.lost_another, failure.at))


def first_to_tell(run_dir: Path, own: RankFailure) -> bool:
    """Whether a process has to tell its error itself, where no parent does: the others' may be the cause, or the same.

    Waits a little for the others' files, which all see where the run's folder is on a common file system.
    """
    end = time.monotonic() + (_WAIT if own.lost_another or own.rank else 0)
    while True:
        if any(_goes_before(other, own) for other in find_failures(run_dir)):
            return False
        if time.monotonic() >= end:
            return True
        time.sleep(0.1)


def _goes_before(other: RankFailure, own: RankFailure) -> bool:
    same = (other.type, other.message) == (own.type, own.message)
    if same or (other.lost_another and own.lost_another):
        return other.rank < own.rank
    return own.lost_another
