"""Signals that end a run in good order: a cluster takes the machine away, time is nearly up, Ctrl-C.

What they do waits while a training is going on, which first saves what it has; anywhere else a run ends at once.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from scd_lightning.config.checks import signal_number
from scd_lightning.errors import PREEMPTED, Preempted

_Handler = Callable[[int, FrameType | None], object] | int | None
# An exception that a handler raises inside a destructor or a library's callback gets lost: after these seconds, the
# next signal raises another one. Until then signals that are repeated must not interrupt what is being tidied up.
_LOST = 15
# In place of a signal's name, where another process of the job got it.
ANOTHER = "a signal to another process"


class _Watch:
    """The handlers of a job, and what has arrived.

    Attributes:
        previous: The handlers that were there before; what is watched.
        blocked: Those of them that were held back before: see `side_by_side.saving`.
        requested: The first signal that arrived.
        depth: How many `deferred` blocks are open.
        ended: When `end` was last called.
    """

    def __init__(self, numbers: Sequence[int], exit_code: int) -> None:
        self.exit_code = exit_code
        self.previous: dict[int, _Handler] = {number: signal.getsignal(number) for number in numbers}
        self.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(numbers)
        self.requested: signal.Signals | None = None
        self.depth = 0
        self.ended: float | None = None

    def install(self) -> None:
        """Makes `take` the handler of each signal, and lets through those that were held back."""
        for number in self.previous:
            signal.signal(number, self.take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.blocked)

    def put_back(self) -> None:
        """Makes the previous handlers those of the signals again, but for those that would end a job of a sweep."""
        for number, handler in self.previous.items():
            # None: a handler from outside Python, which can't be put back.
            before = signal.SIG_DFL if handler is None else handler
            # Threads that the job has left don't hold a signal back, and the sweep repeats it while the job tidies up.
            ends = number in self.blocked and before in (signal.SIG_DFL, signal.default_int_handler)
            signal.signal(number, _let_pass if ends else before)

    def take(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal, and ends the run where nothing defers that; a second Ctrl-C ends it at once."""
        again = number == signal.SIGINT and self.requested is signal.SIGINT
        self.requested = self.requested or signal.Signals(number)
        if again:
            raise KeyboardInterrupt
        if self.depth == 0 and (self.ended is None or time.monotonic() - self.ended > _LOST):
            self.end()

    def end(self) -> NoReturn:
        """Ends the run by the signal that was noted first, see `end` below."""
        assert self.requested is not None
        self.ended = time.monotonic()
        if self.requested is signal.SIGINT:
            raise KeyboardInterrupt
        previous = self.previous[self.requested]
        if callable(previous):
            previous(self.requested, None)
        raise Preempted(self.requested.name, self.exit_code)


def _let_pass(number: int, frame: FrameType | None) -> None:
    """Handles a signal by nothing; ignored, it would stay so in what a later job starts."""


_watch: _Watch | None = None
_ends: list[Callable[[], object]] = []


def handled(names: Iterable[str]) -> list[signal.Signals]:
    """The signals of some names, but for SIGHUP where it is ignored: so `nohup` has it.

    Args:
        names: Their names.

    Raises:
        ConfigError: A name is not that of a signal that can be handled.
    """
    numbers = map(signal_number, names)
    return [each for each in numbers if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]


@contextmanager
def watch(signals: Sequence[str], exit_code: int = PREEMPTED) -> Iterator[None]:
    """Handles these signals and Ctrl-C for as long as the block runs. Python allows that in the main thread only.

    Args:
        signals: Their names.
        exit_code: What the process is to end with at one of them.

    Raises:
        ConfigError: A name is not that of a signal that can be handled.
        Preempted: One of them arrived.
    """
    global _watch
    numbers = dict.fromkeys([*handled(signals), signal.SIGINT])
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch = _Watch(list(numbers), exit_code)
    try:
        _watch.install()
        yield
    finally:
        # First: a signal that was held back before must not reach the previous handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _watch.blocked)
        _watch.put_back()
        _watch = None


def reinstall() -> None:
    """Takes the signals back from Lightning, which has Ctrl-C ignored once it has caught one."""
    if _watch is not None and threading.current_thread() is threading.main_thread():
        _watch.install()


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block a signal is only recorded; it ends the run where the outermost block ends, if none did before.

    A second Ctrl-C ends it at once.
    """
    watching = _watch
    if watching is None:
        yield
        return
    watching.depth += 1
    try:
        yield
    finally:
        watching.depth -= 1
    if watching.depth == 0 and watching.requested is not None and watching.ended is None:
        watching.end()


@contextmanager
def ending_by(end: Callable[[], object]) -> Iterator[None]:
    """Has a signal that is deferred looked for at each `safe_point` within the block.

    Args:
        end: Looks whether the run is to end, and ends it; all processes of a job come to it together.
    """
    _ends.append(end)
    try:
        yield
    finally:
        _ends.remove(end)


def safe_point() -> None:
    """A place in long work where a run may end; all processes of a job pass it equally often. Elsewhere it is free."""
    if _ends:
        _ends[-1]()


def requested() -> str | None:
    """The signal that has arrived, if any."""
    return None if _watch is None or _watch.requested is None else _watch.requested.name


def end() -> NoReturn:
    """Ends the run as the signal that has arrived would: where it had a handler before, that one ends the process.

    Raises:
        KeyboardInterrupt: It was Ctrl-C.
        Preempted: It was another, or it was another process of the job that got one.
    """
    if _watch is None:
        raise Preempted(ANOTHER)
    if _watch.requested is None:
        raise Preempted(ANOTHER, _watch.exit_code)
    _watch.end()


def _forget_in_fork() -> None:
    """In a forked process, such as a data loader's: what a signal means is its parent's matter."""
    global _watch
    if _watch is not None:
        _watch.put_back()
        # Unlike these two, the others end a process by default, and a cluster may send them to all of a job.
        for number in set(_watch.previous) - {signal.SIGINT, signal.SIGTERM}:
            signal.signal(number, signal.SIG_IGN)
        _watch = None


os.register_at_fork(after_in_child=_forget_in_fork)
