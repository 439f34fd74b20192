"""How a job ends that did not finish: what is told, what is recorded in its folder, and which exit code it gives."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from scd_lightning import preemption, ranks
from scd_lightning.checkpoints.manifest import write_json
from scd_lightning.errors import ScdError, StoreError, interrupted
from scd_lightning.preemption import Preempted
from scd_lightning.progress import prefix
from scd_lightning.rank_failures import first_to_tell, lost_another, record


def note(run_dir: Path, error: Exception) -> None:
    """Records what ended a job in its folder."""
    about = error.failure if isinstance(error, ranks.RankFailed) else None
    kind, message = (about.type, about.message) if about else (type(error).__name__, str(error))
    with suppress(StoreError):  # A full disk is what is told already.
        write_json(run_dir / ranks.FAILURE, {"type": kind, "message": message})


def is_told(error: Exception) -> bool:
    """Whether an error has its own way of being told; all others are defects of this process, with a traceback."""
    return isinstance(error, ScdError | ranks.RankFailed)


def tell(error: Exception) -> int:
    """Prints an error: a paragraph for what the user can mend, a traceback for a defect.

    Args:
        error: What ended the job.

    Returns:
        The exit code.
    """
    if isinstance(error, ScdError):
        print(f"\n{prefix()}{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, ranks.RankFailed):
        failure = error.failure
        print(f"\n{prefix()}a defect, in process {failure.rank}\n{failure.traceback}", end="", file=sys.stderr)
    else:
        print(f"\n{prefix()}a defect", file=sys.stderr)
        traceback.print_exception(error)
    return 1


def end_as_rank(run_dir: Path, error: BaseException) -> NoReturn:
    """Ends one of several processes. Its parent tells what has ended the job, which may have begun in another.

    Args:
        run_dir: The run's folder.
        error: What ended this process.
    """
    if isinstance(error, Preempted):
        ranks.end(error.exit_code)
    if interrupted(error):
        ranks.end(130)
    if not isinstance(error, Exception):
        raise error
    failure = record(run_dir, int(os.environ["RANK"]), error)
    if not ranks.has_parent() and first_to_tell(run_dir, failure):
        note(run_dir, error)
        tell(error)
    ranks.end(error.exit_code if isinstance(error, ScdError) else 1)


def ended_by(error: BaseException) -> str:
    """What ended a job, in one word: a signal or the name of an error."""
    if isinstance(error, Preempted):
        return error.signal
    return "SIGINT" if interrupted(error) else type(error).__name__


@contextmanager
def signals_first() -> Iterator[None]:
    """Takes an error that a signal has led to, here or in another process, for what it is: the run's end by the signal.

    Raises:
        Preempted: A signal has arrived.
        KeyboardInterrupt: It was Ctrl-C.
    """
    try:
        yield
    except Exception as error:
        if preemption.requested() is not None and (lost_another(error) or _while_ending(error)):
            preemption.end()
        raise


def _while_ending(error: BaseException) -> bool:
    earlier = error.__cause__ or error.__context__
    return earlier is not None and (isinstance(earlier, Preempted | KeyboardInterrupt) or _while_ending(earlier))
