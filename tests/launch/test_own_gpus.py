"""GPUs of processes that run side by side."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scd_lightning.launch import own_gpus

TAKE = """
import os, sys
from pathlib import Path
from scd_lightning.launch.own_gpus import take_gpus
take_gpus(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
take_gpus(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


class Running:
    """Processes that have taken GPUs, and hold them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, processes: int, wanted: int, there: int, visible: str | None = None) -> list[str]:
        """Starts some, and tells what each of them sees."""
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environment |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
        command = [sys.executable, "-c", TAKE, str(self.folder), str(wanted), str(there)]
        return [self._start(command, environment) for _ in range(processes)]

    def _start(self, command: list[str], environment: dict[str, str]) -> str:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)
        self.processes.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path)
    yield made
    for process in made.processes:
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
def test_each_process_has_its_own(running, processes, wanted, there, visible, seen):
    assert running.start(processes, wanted, there, visible) == seen


def test_what_a_process_had_is_free_when_it_has_ended(running):
    assert running.start(2, 1, 2) == ["0", "1"]
    running.processes[0].communicate()
    assert running.start(1, 1, 2) == ["0"]


def test_jobs_that_want_different_numbers(running):
    """A group is free where none of its GPUs is taken, whatever the size of the groups of others."""
    assert running.start(1, 1, 4) == ["0"]
    assert running.start(1, 2, 4) == ["2,3"]
    assert running.start(1, 1, 4) == ["1"]


@pytest.mark.parametrize("visible", ["4,5,6", None])
def test_a_later_job_that_wants_another_number_sees_all(tmp_path, monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    own_gpus.take_gpus(tmp_path, 1, 3)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ("0" if visible is None else "4")
    own_gpus.take_gpus(tmp_path, 2, 3)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible
