"""Processes of a job, here small scripts: what each is told, and that none stays behind."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from scd_lightning.errors import RankDied
from scd_lightning.launch import network, preemption, processes, ranks
from scd_lightning.launch.processes import Processes

# Less than processes that hang sleep for; long, since starting two on a busy machine takes its time.
PATIENCE = 90
# Writes its name when it is ready for signals, and goes on with what the test says.
READY = """
import os, pathlib, signal, sys, time
rank = os.environ["RANK"]
folder = pathlib.Path(sys.argv[1])
def note(number, frame):
    with (folder / f"told-{rank}").open("a") as file:
        file.write(signal.Signals(number).name + "\\n")
def ready():
    (folder / f"ready-{rank}").touch()
"""
HANGS = """
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, note)
ready()
time.sleep({})
time.sleep(100)
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator:
    """Starts two processes of a script, and leaves none."""
    started = []

    def call(script: str, **options: Any) -> Processes:
        line = [sys.executable, "-c", READY + script, os.fspath(tmp_path)]
        started.append(Processes(line, 2, os.environ, **options))
        return started[-1]

    yield call
    for each in started:
        each.kill()


def wait(working: Processes, seconds: float = PATIENCE) -> list[int | None]:
    end = time.monotonic() + seconds
    while working.alive():
        assert time.monotonic() < end
        time.sleep(0.02)
    return working.exit_codes()


def wait_for_ready(working: Processes, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while len(list(folder.glob("ready-*"))) < 2:
        assert working.alive()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_each_knows_its_place_and_finds_the_others(begin, tmp_path):
    script = """
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID")
(folder / rank).write_text(" ".join(os.environ[name] for name in names))
import torch.distributed as dist
dist.init_process_group("gloo")
dist.barrier()
sys.exit(3 + dist.get_rank())
"""
    assert wait(begin(script)) == [3, 4]
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["0 0 2 2 127.0.0.1 scd", "1 1 2 2 127.0.0.1 scd"]


LISTENS = """
from scd_lightning.launch import network
network.choose_interface()
import psutil, torch, torch.distributed as dist
dist.init_process_group("gloo")
group = dist.new_group(backend="gloo")
for each in (None, group):
    dist.all_reduce(torch.ones(3), group=each)
found = [each.laddr.ip for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN]
(folder / rank).write_text(" ".join(found))
dist.barrier()
"""


def test_all_listen_on_loopback_alone(begin, tmp_path, monkeypatch):
    # Else both would take the address of the machine's name, which may be one that others reach.
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    working = begin(LISTENS)
    own = {each.laddr.ip for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    assert own == {network.LOOPBACK}
    assert wait(working) == [0, 0]
    for rank in "01":
        addresses = (tmp_path / rank).read_text().split()
        assert set(addresses) == {network.LOOPBACK}


HANG = """
from scd_lightning import distributed
from scd_lightning.launch.failures import record
distributed.join(on_gpu=False, minutes=0.15)
vote = distributed.Vote()
if rank == "1":
    os.kill(os.getpid(), signal.SIGSTOP)
try:
    {}
except Exception as error:
    record(folder, int(rank), error)
    os._exit(1)
"""


HANDLES_LATE = """
assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL  # Ignored, it would be taken for nohup's.
ready()
time.sleep(1)
signal.signal(signal.SIGHUP, lambda *_: os._exit(7))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
time.sleep(100)
"""


def test_sighup_waits_until_it_is_handled(begin, tmp_path):
    with preemption.watch(["SIGHUP"]):  # Which has forks ignore it.
        working = begin(HANDLES_LATE, signals=[signal.SIGHUP])
    wait_for_ready(working, tmp_path)
    working.tell(signal.SIGHUP)
    assert wait(working) == [7, 7]


@pytest.mark.parametrize(
    "waits", ["distributed.barrier()", pytest.param("vote.ask_and_wait((True,))", marks=pytest.mark.slow)]
)
def test_one_that_hangs_is_noticed_in_the_time_that_was_set_and_named(begin, tmp_path, monkeypatch, waits):
    monkeypatch.setattr(processes, "_GRACE", 0.3)
    monkeypatch.setattr(processes, "_LAST", 0.3)
    working = begin(HANG.format(waits))
    assert wait(working) == [1, -signal.SIGKILL]
    with pytest.raises(RankDied, match="Process 1 of 2 hung"):
        ranks.raise_error(tmp_path, working.exit_codes(), 75, working.left)


def test_the_last_ones_have_a_time_to_end(begin, monkeypatch):
    monkeypatch.setattr(processes, "_LAST", 0.3)
    working = begin("if rank == '1':\n    time.sleep(100)", patience=1.0)
    assert wait(working) == [0, -signal.SIGTERM]
    assert working.left == [1]


@pytest.mark.parametrize("ending", ["sys.exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_one_that_fails_takes_along_one_that_hangs_and_ignores_signals(begin, monkeypatch, ending):
    monkeypatch.setattr(processes, "_GRACE", 0.3)
    monkeypatch.setattr(processes, "_LAST", 0.3)
    working = begin(f"if rank == '1':\n    {ending}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)")
    assert wait(working)[0] in (-signal.SIGKILL, -signal.SIGTERM)


def test_the_wait_for_others_is_well_below_a_minute():
    assert processes._GRACE + processes._LAST <= 20


def test_one_that_a_signal_has_ended_leaves_the_others_time(begin, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE", 0)
    working = begin("if rank == '1':\n    sys.exit(75)\ntime.sleep(1)")
    assert wait(working) == [0, 75]
    monkeypatch.setattr(processes, "_GRACE_OF_SIGNALS", 0)
    assert wait(begin("if rank == '1':\n    sys.exit(75)\ntime.sleep(100)")) == [-signal.SIGTERM, 75]


def test_signals_are_handed_on_and_repeated_but_for_ctrl_c(begin, tmp_path, monkeypatch):
    working = begin(HANGS.format(0))
    wait_for_ready(working, tmp_path)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR1):
        working.tell(number)
        time.sleep(0.1)
    monkeypatch.setattr(processes, "_REPEAT", 0)
    working.tell(signal.SIGUSR1)
    time.sleep(0.2)
    for rank in "01":
        assert (tmp_path / f"told-{rank}").read_text().split() == ["SIGINT", "SIGUSR1", "SIGUSR1"]


def test_a_signal_before_they_are_ready_does_not_end_them(begin, tmp_path):
    working = begin("ready()\ntime.sleep(100)", signals=[signal.SIGUSR1])
    wait_for_ready(working, tmp_path)
    working.tell(signal.SIGUSR1)
    time.sleep(0.2)
    assert working.exit_codes() == [None, None]
    working.tell(signal.SIGTERM)
    assert wait(working) == [-signal.SIGTERM, -signal.SIGTERM]


def test_what_they_have_started_ends_with_them(begin, tmp_path):
    script = "child = os.fork()\n(folder / f'pid-{rank}-{os.getpid()}').touch()\nready()\ntime.sleep(100)"
    working = begin(script)
    wait_for_ready(working, tmp_path)
    while len(pids := [int(path.name.split("-")[2]) for path in tmp_path.glob("pid-*")]) < 4:
        time.sleep(0.02)
    working.kill()
    for pid in pids:
        end = time.monotonic() + PATIENCE
        # The process, or where nobody has collected it yet, what is left of it; a busy machine takes its time to kill.
        with suppress(psutil.NoSuchProcess):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < end
                time.sleep(0.02)
