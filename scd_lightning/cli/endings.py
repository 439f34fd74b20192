"""How a job ends that did not finish: what is told, what is recorded in its folder, and which exit code it gives."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from scd_lightning.cli.session import session
from scd_lightning.errors import Preempted, ScdError, StoreError, exit_code, interrupted
from scd_lightning.launch import preemption, ranks
from scd_lightning.launch.failures import RankFailed, first_to_tell, lost_another, record
from scd_lightning.progress import complain, prefix
from scd_lightning.run_folder.folder import RunFolder


@contextmanager
def ended(folder: RunFolder) -> Iterator[None]:
    """Takes what ends a job: tells and records it, and keeps its exit code; what ends the whole process goes on.

    Args:
        folder: The run's folder.
    """
    try:
        yield
    except BaseException as error:
        if ranks.is_rank():
            _end_as_rank(folder, error)
        _note(folder, error)
        if runs_beside_others() and (isinstance(error, Preempted) or interrupted(error)):
            # Joblib would kill the other jobs, which are saving; the sweep's own process knows of the signal.
            session.stopped = True
            return
        # A defect shows its traceback; a sweep goes on after it, as after any error.
        if not isinstance(error, Exception) or not (in_sweep() or isinstance(error, ScdError | RankFailed)):
            raise
        tell(error)
        session.exit_code = exit_code(error)


@contextmanager
def noted(folder: RunFolder) -> Iterator[None]:
    """Records what ends a job in its folder, and hands it on.

    Args:
        folder: The run's folder.
    """
    try:
        yield
    except BaseException as error:
        _note(folder, error)
        raise


@contextmanager
def before_jobs() -> Iterator[None]:
    """Ends the process at a mistake that is found before any job: of all else Hydra makes a warning."""
    try:
        with suppress(OSError):  # Hydra will meet it too, and ends the process.
            yield
    except ScdError as error:
        if ranks.leads():
            complain(f"\n{type(error).__name__}: {error}")
        raise SystemExit(exit_code(error)) from None


def in_sweep() -> bool:
    """Whether the running job is one of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def runs_beside_others() -> bool:
    """Whether the running job is one of a sweep whose jobs run side by side on this machine."""
    return in_sweep() and "joblib" in HydraConfig.get().launcher._target_


def tell(error: Exception) -> None:
    """Prints an error: a paragraph for what the user can mend, a traceback for a defect."""
    if isinstance(error, ScdError):
        complain(f"\n{prefix()}{type(error).__name__}: {error}")
    elif isinstance(error, RankFailed):
        failure = error.failure
        complain(f"\n{prefix()}a defect, in process {failure.rank}\n{failure.traceback.rstrip()}")
    else:
        complain(f"\n{prefix()}a defect\n{''.join(traceback.format_exception(error)).rstrip()}")


def _note(folder: RunFolder, error: BaseException) -> None:
    """Records what ended a job in its folder."""
    with suppress(StoreError):  # A full disk is what is told already.
        if isinstance(error, Exception) and not folder.refused:
            kind = error.failure.type if isinstance(error, RankFailed) else type(error).__name__
            folder.note_failure(kind, str(error))
        folder.stop(error)


def _end_as_rank(folder: RunFolder, error: BaseException) -> NoReturn:
    """Ends one of several processes. Its parent tells what has ended the job, which may have begun in another."""
    if folder.refused and isinstance(error, ScdError):
        tell(error)
    elif isinstance(error, Exception) and not interrupted(error):
        failure = record(folder.path, int(os.environ["RANK"]), error)
        if not ranks.has_parent() and first_to_tell(folder.path, failure):
            told = ranks.blame(folder.path, error, failure)
            _note(folder, told)
            tell(told)
        with suppress(StoreError):
            folder.stop(error)
    else:
        with suppress(StoreError):
            folder.stop(error)
        if not isinstance(error, Preempted) and not interrupted(error):
            raise error
    ranks.end(exit_code(error))


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
