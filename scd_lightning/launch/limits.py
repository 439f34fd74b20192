"""Bounds on what code of others may take in this process: of the processor's time, and of the memory."""

import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn


@contextmanager
def bounded(seconds: float, mebibytes: int) -> Iterator[None]:
    """Ends a block that takes too much. The processor's time is bounded in a process's main thread alone.

    That time, and not the clock's: a machine that is busy, or asleep, makes no block too slow.

    Args:
        seconds: Of the processor's time.
        mebibytes: Memory beyond what the process has; bounded on Linux alone.

    Raises:
        TimeoutError: The block took more time.
        MemoryError: It asked for more memory.
    """
    with bounded_memory(mebibytes), _bounded_time(seconds):
        yield


@contextmanager
def _bounded_time(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Signals reach no other.
        yield
        return

    def late(number: int, frame: FrameType | None) -> NoReturn:
        raise TimeoutError(f"it took more than {seconds:g} seconds of the processor's time")

    previous = signal.signal(signal.SIGVTALRM, late)
    # Again and again: code that is interrupted may swallow an error.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL if previous is None else previous)


@contextmanager
def bounded_memory(mebibytes: int) -> Iterator[None]:
    """Ends a block that asks for too much memory, on Linux alone.

    Args:
        mebibytes: Memory beyond what the process has.

    Raises:
        MemoryError: It asked for more.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
