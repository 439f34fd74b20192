"""Signals to a sweep whose jobs run side by side: all of them save, and then the sweep ends.

Joblib itself ends its processes at once where a signal ends the sweep's own, or one of the jobs.
"""

import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

from typing_extensions import override

from scd_lightning.errors import Preempted, exit_code
from scd_lightning.launch import preemption, ranks

# Seconds between two signals to the jobs: one of them may be just starting.
_REPEAT = 1.0
# Seconds between two looks at the signals that wait; a second Ctrl-C takes as long at most.
_POLL = 0.1


class _Signals(threading.Thread):
    """Takes the signals that arrive while a sweep is running, and hands the first on to the processes of its jobs.

    Args:
        others: The signals besides Ctrl-C.

    Attributes:
        first: The one that arrived first.
    """

    def __init__(self, others: Sequence[signal.Signals]) -> None:
        super().__init__(daemon=True)
        self._others = others
        self.first: signal.Signals | None = None
        self._over = threading.Event()

    def stop(self) -> None:
        """Ends the thread: the jobs are over."""
        self._over.set()
        self.join()

    def take(self, number: int, frame: FrameType | None = None) -> None:
        """Notes a signal; a second Ctrl-C ends everything at once."""
        if number == signal.SIGINT and self.first is signal.SIGINT:
            for process in multiprocessing.active_children():
                process.kill()
            ranks.end(exit_code(KeyboardInterrupt()))
        self.first = self.first or signal.Signals(number)

    @override
    def run(self) -> None:
        told: float | None = None
        while not self._over.wait(_POLL):
            for number in signal.sigpending() & {signal.SIGINT, *self._others}:
                self.take(signal.sigwait([number]))
            now = time.monotonic()
            if self.first is not None and (told is None or now - told > _REPEAT):
                # Not at once: a terminal's Ctrl-C, or a cluster's signal, has reached the jobs by itself.
                if told is not None:
                    self._hand_on(self.first)
                told = now

    def _hand_on(self, first: signal.Signals) -> None:
        # Not Ctrl-C, the second of which has a job end without saving.
        numbers = self._others[:1] if first is signal.SIGINT else [first]
        for process in multiprocessing.active_children():
            for number in numbers:
                if process.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, number)


@contextmanager
def saving(names: Sequence[str], exit_code: int) -> Iterator[None]:
    """Holds signals back from the sweep's own process until its jobs are over; main thread only.

    Processes that are started within begin with the signals blocked, so that none ends one before its job handles it.

    Args:
        names: The signals, besides Ctrl-C.
        exit_code: What the process is to end with at one of them.

    Raises:
        KeyboardInterrupt: Ctrl-C arrived.
        Preempted: Another signal arrived.
    """
    # Python starts it with the first lock that processes share, and then lets Ctrl-C and SIGTERM through.
    resource_tracker.ensure_running()
    others = [number for number in preemption.handled(names) if number is not signal.SIGINT]
    numbers = [signal.SIGINT, *others]
    signals = _Signals(others)
    # A thread that was there before takes signals too, and has them handled here.
    before = {number: signal.signal(number, signals.take) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    signals.start()
    try:
        yield
    except Exception:
        if signals.first is None:
            raise
    finally:
        signals.stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if signals.first is signal.SIGINT:
        raise KeyboardInterrupt
    if signals.first is not None:
        raise Preempted(signals.first.name, exit_code)


def wrap(launcher: type[Any], names: Sequence[str], exit_code: int) -> None:
    """Has a launcher of Hydra's start its jobs within `saving`.

    Args:
        launcher: Its class.
        names: The signals, besides Ctrl-C.
        exit_code: What the process is to end with at one of them.
    """
    plain: Callable[..., Any] = getattr(launcher.launch, "__wrapped__", launcher.launch)

    @functools.wraps(plain)
    def launch(*arguments: Any, **more: Any) -> Any:
        with saving(names, exit_code):
            return plain(*arguments, **more)

    launcher.launch = launch
