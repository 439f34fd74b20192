"""One of several processes of a job: whether this is one, how it joins the others, and what ended them."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scd_lightning.errors import RankDied
from scd_lightning.launch import preemption
from scd_lightning.launch.failures import RankFailed, RankFailure, find_failures

# Set in the ranks that a parent started: they make what it planned, and report nothing.
WORKER = "SCD_WORKER"
# Tells them which artifacts they are to make, and which ones another job makes meanwhile.
TO_MAKE = "SCD_TO_MAKE"
LEFT_OUT = "SCD_LEFT_OUT"


def leads() -> bool:
    """Whether this process speaks for the job: one of several that Ctrl-C ends alike."""
    return not has_parent() and os.environ.get("RANK", "0") == "0"


def is_rank() -> bool:
    """Whether this is one of several processes, started by a parent of ours or by the user's torchrun."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def has_parent() -> bool:
    """Whether a process of ours has started this one, to work for it in silence."""
    return WORKER in os.environ


def end(exit_code: int) -> NoReturn:
    """Ends one of several processes without waiting for what its libraries would still do.

    They would take leave of the other processes, which may be gone; and a thread of theirs that still runs, as where
    models are cut over processes, may abort a process at its end that has done all it should.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def to_make() -> set[str] | None:
    """The folders of those artifacts that a parent has locked for this process to make; None without a parent."""
    return set(os.environ.get(TO_MAKE, "").split(",")) if has_parent() else None


def left_out() -> set[str]:
    """The folders of those artifacts that are not for this process to make or to wait for."""
    return set(os.environ.get(LEFT_OUT, "").split(","))


def raise_error(run_dir: Path, exit_codes: Sequence[int | None], preempted: int, left: Sequence[int] = ()) -> None:
    """Raises what ended the processes of a job: the cause, where others have followed from it.

    Args:
        run_dir: The run's folder.
        exit_codes: How each process ended.
        preempted: The exit code of one that a signal has ended in good order.
        left: Those that went on when the others had ended, and were ended by their parent.

    Raises:
        ScdError: An error that the user can mend, a process that ended without a word, or one that hung.
        RankFailed: A defect.
        Preempted: A signal to one of them.
    """
    if not any(exit_codes):
        return
    failed = {rank for rank, code in enumerate(exit_codes) if code}
    failures = [failure for failure in find_failures(run_dir) if failure.rank in failed]
    causes = [failure for failure in failures if not failure.lost_another]
    told = {failure.rank for failure in failures}
    by_itself = sorted(failed - {*left})
    silent = [rank for rank in by_itself if rank not in told and exit_codes[rank] != preempted]
    if causes:
        raise causes[0].error
    # Before the code of one that a signal has ended: where another died, that signal was its parent's.
    if silent and preemption.requested() is None:
        raise _died(silent[0], exit_codes, left)
    if preempted in [exit_codes[rank] for rank in by_itself] or preemption.requested() is not None:
        preemption.end()
    if left and (0 in exit_codes or any(failure.timed_out for failure in failures)):
        raise _hung([rank for rank in left if rank not in told] or left, len(exit_codes))
    raise RankFailed(failures[0])


def blame(run_dir: Path, error: Exception, own: RankFailure) -> Exception:
    """What to tell of an error where no parent looks on: of a wait in vain, the processes that have left no word.

    Args:
        run_dir: The run's folder.
        error: The error.
        own: The same, as recorded.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    silent = sorted({*range(count)} - {failure.rank for failure in find_failures(run_dir)})
    return _hung(silent, count) if own.timed_out and silent else error


def _hung(which: Sequence[int], count: int) -> RankDied:
    numbers = ", ".join(map(str, which))
    return RankDied(
        f"Process {numbers} of {count} hung: the others waited for it in vain",
        where="trainer.wait_minutes",
        remedy="the same command goes on from what was saved; where such a wait was meant, as for a large download, "
        "raise trainer.wait_minutes",
    )


def _died(rank: int, exit_codes: Sequence[int | None], left: Sequence[int]) -> RankDied:
    code = exit_codes[rank]
    assert code is not None
    killed = signal.Signals(-code).name if code < 0 else None
    hints = {"SIGKILL": "; where nobody has killed it, memory was short: `dmesg` tells"}
    if left:  # How NCCL ends a process whose wait for another took too long.
        hints["SIGABRT"] = f"; process {left[0]} was still running, and may have hung (trainer.wait_minutes)"
    return RankDied(
        f"Process {rank} of {len(exit_codes)} was ended by {killed}"
        if killed
        else f"Process {rank} of {len(exit_codes)} ended with exit code {code} and left no error",
        remedy="the same command goes on from what was saved" + hints.get(killed or "", ""),
    )
