"""GPUs of processes that run side by side."""

import os
import subprocess
import sys

import pytest

TAKE = """
import os, sys
from pathlib import Path
from scd_lightning.launch.own_gpus import take_gpus
take_gpus(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
take_gpus(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def taken(tmp_path):
    """What each of several processes sees that run at the same time."""
    running: list[subprocess.Popen[str]] = []

    def take(processes, wanted, there, visible=None):
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environment |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
        found = []
        for _ in range(processes):
            command = [sys.executable, "-c", TAKE, str(tmp_path), str(wanted), str(there)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            running.append(subprocess.Popen(command, env=environment, text=True, **pipes))
            found.append(running[-1].stdout.readline().strip())
        return found

    def end(which):
        running[which].communicate()

    take.end = end
    yield take
    for process in running:
        if process.poll() is None:
            process.communicate()


@pytest.mark.parametrize(
    ("processes", "wanted", "there", "visible", "seen"),
    [
        (3, 1, 2, None, ["0", "1", "0"]),
        (2, 2, 4, "3,5,6,7", ["3,5", "6,7"]),
        (2, 1, 2, "GPU-ab,GPU-cd", ["GPU-ab", "GPU-cd"]),
        # Nothing to share out: the check of the devices tells of what is missing.
        (2, 2, 3, None, ["None", "None"]),
        (1, 1, 0, None, ["None"]),
    ],
)
def test_each_process_has_its_own(taken, processes, wanted, there, visible, seen):
    assert taken(processes, wanted, there, visible) == seen


def test_what_a_process_had_is_free_when_it_has_ended(taken):
    assert taken(2, 1, 2) == ["0", "1"]
    taken.end(0)
    assert taken(1, 1, 2) == ["0"]
