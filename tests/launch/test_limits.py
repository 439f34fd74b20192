"""Bounds on a block's time and memory, and that all is as before behind it."""

import resource
import signal
import threading
import time
from contextlib import suppress

import pytest

from scd_lightning.launch.limits import bounded

MEMORY = 256


def state():
    return (
        signal.getsignal(signal.SIGVTALRM),
        signal.getitimer(signal.ITIMER_VIRTUAL),
        resource.getrlimit(resource.RLIMIT_AS),
    )


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_time_is_the_processor_s():
    before = state()
    with pytest.raises(TimeoutError, match=r"more than 0\.05 seconds of the processor"), bounded(0.05, MEMORY):
        spin(2)
    assert state() == before
    with bounded(0.05, MEMORY):
        time.sleep(0.2)
    assert state() == before


def test_an_error_that_is_swallowed_comes_again():
    def swallow():
        for _ in range(1):
            with suppress(TimeoutError):
                spin(1)
        spin(1)

    with pytest.raises(TimeoutError), bounded(0.02, MEMORY):
        swallow()


def test_memory():
    before = state()
    with pytest.raises(MemoryError), bounded(1, MEMORY):
        b"x" * (2 * MEMORY << 20)
    assert state() == before
    with bounded(1, MEMORY):
        b"x" * (MEMORY << 18)


def test_a_limit_that_is_there_already_stays():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low = 1 << 44
    resource.setrlimit(resource.RLIMIT_AS, (low, hard))
    try:
        with bounded(1, 1 << 30):
            assert resource.getrlimit(resource.RLIMIT_AS)[0] == low
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == low
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_in_another_thread_the_block_runs_all_the_same():
    done = []

    def work():
        with bounded(0.01, MEMORY):
            spin(0.05)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
