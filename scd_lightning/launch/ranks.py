"""One of several processes of a job: whether this is one, how it joins the others, and what ended them."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scd_lightning.errors import RankDied
from scd_lightning.launch import preemption
from scd_lightning.launch.failures import RankFailed, find_failures

# Set in the ranks that a parent started: they make what it planned, and report nothing.
WORKER = "SCD_WORKER"
# Tells them which artifacts another job makes meanwhile.
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


def left_out() -> set[str]:
    """The folders of those artifacts that are not for this process to make or to wait for."""
    return set(os.environ.get(LEFT_OUT, "").split(","))


def raise_error(run_dir: Path, exit_codes: Sequence[int | None], preempted: int) -> None:
    """Raises what ended the processes of a job: the cause, where others have followed from it.

    Args:
        run_dir: The run's folder.
        exit_codes: How each process ended.
        preempted: The exit code of one that a signal has ended in good order.

    Raises:
        ScdError: An error that the user can mend, or a process that ended without a word.
        RankFailed: A defect.
        Preempted: A signal to one of them.
    """
    if not any(exit_codes):
        return
    failures = [failure for failure in find_failures(run_dir) if exit_codes[failure.rank]]
    told = {failure.rank for failure in failures}
    causes = [failure for failure in failures if not failure.lost_another]
    silent = [rank for rank, code in enumerate(exit_codes) if code not in (0, preempted) and rank not in told]
    if causes:
        raise causes[0].error
    # Before the code of one that a signal has ended: where another died, that signal was its parent's.
    if silent and preemption.requested() is None:
        raise _died(silent[0], exit_codes)
    if preempted in exit_codes or preemption.requested() is not None:
        preemption.end()
    raise RankFailed(failures[0])


def _died(rank: int, exit_codes: Sequence[int | None]) -> RankDied:
    code = exit_codes[rank]
    assert code is not None
    killed = signal.Signals(-code).name if code < 0 else None
    return RankDied(
        f"Process {rank} of {len(exit_codes)} was ended by {killed}"
        if killed
        else f"Process {rank} of {len(exit_codes)} ended with exit code {code} and left no error",
        remedy="the same command goes on from what was saved"
        + ("; where nobody has killed it, memory was short: `dmesg` tells" if killed == "SIGKILL" else ""),
    )
