"""Signals end a run at once, or after what must not be interrupted."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from scd_lightning.errors import ConfigError, Preempted
from scd_lightning.launch import preemption


@contextmanager
def ends(kind: type[BaseException], match: str | None = None) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """A block that goes on until an exception of this kind arrives."""
    with pytest.raises(kind, match=match) as info:
        yield info


def went_on() -> None:
    pytest.fail("the block went on")


def send(name: str) -> None:
    signal.raise_signal(signal.Signals[name])


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Every test leaves the handlers as they were."""
    names = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(each) for each in names]
    yield
    assert [signal.getsignal(each) for each in names] == before
    assert preemption.requested() is None


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_ends_a_watched_run_at_once(name):
    with ends(Preempted) as ended, preemption.watch(["SIGTERM", "SIGUSR1"]):
        send(name)
        went_on()
    assert isinstance(ended.value, Preempted)
    assert ended.value.signal == name
    assert not isinstance(ended.value, Exception)


def test_ctrl_c_is_watched_always():
    with ends(KeyboardInterrupt), preemption.watch([]):
        send("SIGINT")


def test_a_signal_waits_until_the_training_ends_itself():
    with ends(Preempted, match="SIGUSR1"), preemption.watch(["SIGTERM", "SIGUSR1"]), preemption.deferred():
        assert preemption.requested() is None
        send("SIGUSR1")
        send("SIGTERM")
        assert preemption.requested() == "SIGUSR1"
        preemption.end()


def test_what_nobody_has_ended_ends_with_the_outermost_deferral():
    steps = []
    with ends(Preempted), preemption.watch(["SIGTERM"]), preemption.deferred():
        with preemption.deferred():
            send("SIGTERM")
        steps.append("outer")
    assert steps == ["outer"]


def test_an_error_in_a_deferral_is_not_replaced():
    with ends(ValueError, match="mine"), preemption.watch(["SIGTERM"]), preemption.deferred():
        send("SIGTERM")
        raise ValueError("mine")


def test_a_second_ctrl_c_does_not_wait():
    with ends(KeyboardInterrupt), preemption.watch([]), preemption.deferred():
        send("SIGINT")
        assert preemption.requested() == "SIGINT"
        send("SIGINT")
        went_on()


def test_a_repeated_signal_does_not_interrupt_what_is_tidied_up(monkeypatch):
    tidied = []

    def run() -> None:
        with preemption.watch(["SIGTERM"]):
            try:
                send("SIGTERM")
            finally:
                send("SIGTERM")
                tidied.append(True)
                monkeypatch.setattr(preemption, "_LOST", -1)
                send("SIGTERM")
                pytest.fail("an end that got lost is not repeated")

    with ends(Preempted):
        run()
    assert tidied


def test_another_process_got_the_signal():
    with ends(Preempted, match="another process"), preemption.watch(["SIGTERM"]):
        preemption.end()


def test_an_earlier_handler_has_the_last_word():
    def requeue(number: int, frame: FrameType | None) -> None:
        said.append(signal.Signals(number).name)
        if number == signal.SIGUSR2:
            sys.exit(3)

    said: list[str] = []
    names = ("SIGUSR2", "SIGTERM")
    before = {name: signal.signal(signal.Signals[name], requeue) for name in names}
    try:
        with ends(SystemExit), preemption.watch(names), preemption.deferred():
            send("SIGUSR2")
            assert not said
        # One that only looks on, as submitit's for SIGTERM.
        with ends(Preempted), preemption.watch(names):
            send("SIGTERM")
    finally:
        for name, handler in before.items():
            signal.signal(signal.Signals[name], handler)
    assert said == ["SIGUSR2", "SIGTERM"]


@pytest.mark.parametrize("name", ["TERM", "SIGKILL", "SIGSTOP", "15"])
def test_a_signal_that_can_not_be_handled_is_named(name):
    with ends(ConfigError, match=rf"resume\.signals.*{name}"), preemption.watch(["SIGTERM", name]):
        went_on()


def test_other_threads_handle_no_signals():
    def run() -> None:
        with preemption.watch(["SIGTERM"]), preemption.deferred():
            seen.append(preemption.requested())

    seen: list[str | None] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_watch_within_a_watch_changes_nothing():
    with ends(Preempted), preemption.watch(["SIGTERM"]):
        with preemption.watch(["SIGUSR1"]):
            pass
        send("SIGTERM")


@pytest.fixture
def _nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_sighup_ends_a_run_like_others():
    with ends(Preempted, match="SIGHUP"), preemption.watch(["SIGTERM", "SIGHUP"]):
        send("SIGHUP")


@pytest.mark.usefixtures("_nohup")
def test_sighup_that_is_ignored_stays_so():
    with preemption.watch(["SIGTERM", "SIGHUP"]):
        send("SIGHUP")
        assert preemption.requested() is None
        assert signal.SIGHUP not in preemption.handled(["SIGHUP"])
    with ends(Preempted, match="SIGTERM"), preemption.watch(["SIGTERM", "SIGHUP"]):
        send("SIGTERM")


def test_a_safe_point_asks_whoever_would_end_the_run():
    asked: list[str] = []
    preemption.safe_point()
    with preemption.ending_by(lambda: asked.append("outer")):
        with preemption.ending_by(lambda: asked.append("inner")):
            preemption.safe_point()
        preemption.safe_point()
    preemption.safe_point()
    assert asked == ["inner", "outer"]


def test_ctrl_c_asks_no_earlier_handler():
    """That of run.py's first lines ends the process at once."""
    before = signal.signal(signal.SIGINT, lambda *_: pytest.fail("ended at once"))
    try:
        with ends(KeyboardInterrupt), preemption.watch([]):
            send("SIGINT")
    finally:
        signal.signal(signal.SIGINT, before)


FORKED = """
import os, signal, time
from scd_lightning.launch import preemption
with preemption.watch(["SIGTERM", "SIGUSR1"]), preemption.deferred():
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGUSR1)
        print("ignores", preemption.requested(), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), preemption.requested())
"""


def test_a_forked_process_ends_as_any_other():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, env=os.environ)
    assert done.stdout.splitlines() == ["ignores None", "-15 None"], done.stderr
