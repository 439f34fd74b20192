"""Signals to a sweep whose jobs run side by side."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from scd_lightning.errors import Preempted
from scd_lightning.launch.preemption import watch
from scd_lightning.launch.side_by_side import saving, wrap

# A process that a sweep starts: it is slow to handle signals, saves at one, and ends in good order.
_JOB = """
import sys, time
from scd_lightning.launch.preemption import watch
from scd_lightning.errors import Preempted
time.sleep(0.5)
try:
    with watch(["SIGTERM"]):
        print("runs", flush=True)
        time.sleep(20)
except Preempted:
    print("saves", flush=True)
    time.sleep(0.5)
"""


@contextmanager
def ends(kind):
    with pytest.raises(kind) as info, saving(["SIGTERM"], 85):
        yield info


@pytest.fixture(autouse=True)
def _as_before():
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Preempted)])
def test_a_signal_waits_until_the_jobs_are_over(number, kind):
    went_on = False
    with ends(kind):
        os.kill(os.getpid(), number)
        time.sleep(0.3)
        went_on = True
    assert went_on


def test_the_exit_code_is_the_one_that_was_set():
    with ends(Preempted) as ended:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
    assert (ended.value.signal, ended.value.exit_code) == ("SIGTERM", 85)


def test_without_a_signal_errors_pass():
    with pytest.raises(ValueError, match="a defect"), saving(["SIGTERM"], 75):
        raise ValueError("a defect")
    with saving([], 75):
        pass


def test_a_job_that_does_not_handle_signals_yet_gets_them_later():
    with saving(["SIGTERM"], 75):
        job = subprocess.Popen([sys.executable, "-c", _JOB], stdout=subprocess.PIPE, text=True)
        job.send_signal(signal.SIGTERM)
        assert job.communicate(timeout=20)[0] in ("saves\n", "runs\nsaves\n")
        assert job.returncode == 0


# A launcher's way to its first processes; and what a thread of a job's takes once the job is over.
_SWEEP = """
import multiprocessing, os, signal, threading, time
from scd_lightning.launch.preemption import watch
from scd_lightning.launch.side_by_side import saving
with saving(["SIGTERM"], 75):
    multiprocessing.get_context("spawn").Lock()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) >= {signal.SIGTERM, signal.SIGINT}
    if os.fork() == 0:  # A job's process.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        with watch(["SIGTERM"]):
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
"""


def test_neither_python_nor_threads_let_signals_through():
    done = subprocess.run([sys.executable, "-c", _SWEEP], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_signals_are_held_back_again_after_a_job():
    with saving(["SIGTERM"], 75):
        held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        with watch(["SIGTERM"]):
            assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == held >= {signal.SIGTERM, signal.SIGINT}


def _end_at_sigterm():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    time.sleep(20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_sweep_alone_is_handed_on(number):
    with ends((KeyboardInterrupt, Preempted)):
        job = multiprocessing.get_context("fork").Process(target=_end_at_sigterm)
        job.start()
        os.kill(os.getpid(), number)
        # As launchers wait, in short turns: a signal that another thread takes is handled between two of them.
        for _ in range(100):
            job.join(0.1)
    assert job.exitcode == 7


def test_a_launcher_is_wrapped_once():
    class Launcher:
        def launch(self, jobs):
            return [signal.pthread_sigmask(signal.SIG_BLOCK, []) for _ in jobs]

    plain = Launcher.launch
    wrap(Launcher, ["SIGUSR1"], 75)
    wrap(Launcher, ["SIGUSR2"], 75)
    assert Launcher().launch([1]) == [{signal.SIGINT, signal.SIGUSR2}]
    assert vars(Launcher.launch)["__wrapped__"] is plain


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 75)])
def test_jobs_side_by_side_save_before_the_sweep_ends(start, command, tmp_path, name, code):
    jobs = ("-m", "method=sft", "seed=0,1", "budget.stage_epochs=300")
    sweep = (*jobs, "hydra/launcher=side_by_side", "hydra.sweep.dir=sweep")
    process = start(*sweep)
    trained = tmp_path / "sweep"
    until = time.monotonic() + 120
    while len(list((tmp_path / "store").glob("anchor-*.partial"))) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(3)  # Some steps; all would take far longer.
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    for job in "01":
        partial = json.loads((trained / job / "partial.json").read_text())
        (unfinished,) = [each for each in partial["phases"] if each["state"] == "unfinished"]
        assert unfinished["saved"]["step"] > 0
        assert "ended" in json.loads((trained / job / "run.json").read_text())
    done = command(*sweep)
    assert done.stdout.count(" goes on after optimizer step ") == 2
