"""A run goes on where nobody can read any more what it prints."""

import io
import os
import subprocess
import sys

import pytest

from scd_lightning.launch.lost_readers import outlive_readers

OUTLIVES = """
import os, sys, warnings
from scd_lightning.launch.lost_readers import outlive_readers
from scd_lightning.progress import complain, say, show
outlive_readers()
outlive_readers()
say("the first line")
sys.stdin.readline()
for each in range(3):
    say("a line")
    print("x" * 100_000)
    complain("went wrong")
    warnings.warn("doubtful")
os.write(3, b"done")
"""


@pytest.fixture(params=["buffered", "unbuffered"])
def outliving(request, monkeypatch):
    """Starts a process that prints, waits, and prints on; and says through a pipe of its own when it is done."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1" if request.param == "unbuffered" else "")

    def start(out: int) -> tuple[subprocess.Popen[bytes], int]:
        done, writer = os.pipe()
        line = ["bash", "-c", f'exec "$0" -c "$1" 3>&{writer}', sys.executable, OUTLIVES]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=out, stderr=out, pass_fds=[writer])
        os.close(writer)
        os.close(out)
        return process, done

    return start


def ends_well(process: "subprocess.Popen[bytes]", done: int) -> None:
    process.communicate(b"go on\n", timeout=60)
    assert os.read(done, 10) == b"done"
    os.close(done)
    assert process.returncode == 0


def test_a_reader_that_goes_ends_no_run(outliving):
    reader, out = os.pipe()
    process, done = outliving(out)
    assert os.read(reader, 100) == b"the first line\n"
    os.close(reader)
    ends_well(process, done)


def test_a_terminal_that_closes_ends_no_run(outliving):
    terminal, out = os.openpty()
    process, done = outliving(out)
    assert b"the first line" in os.read(terminal, 100)
    os.close(terminal)
    ends_well(process, done)


def test_a_full_disk_ends_no_run(outliving):
    process, done = outliving(os.open("/dev/full", os.O_WRONLY))
    ends_well(process, done)


def test_streams_that_others_have_put_there_stay(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    outlive_readers()
    assert sys.stdout is stream
