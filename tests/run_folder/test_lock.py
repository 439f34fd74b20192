"""One process has a folder at a time, and no longer than it lives."""

import errno
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from scd_lightning.errors import ConfigError
from scd_lightning.run_folder.lock import Hold, is_live

RUN, SWEEP = "hydra.run.dir", "hydra.sweep.dir"
HOLD = """
import sys, time
from pathlib import Path
from scd_lightning.run_folder.lock import Hold
hold = Hold(Path(sys.argv[1]), "hydra.run.dir")
print("held", flush=True)
time.sleep(60)
"""


def test_a_folder_is_free_again_without_a_trace(tmp_path):
    hold = Hold(tmp_path, RUN)
    assert is_live(tmp_path)
    with pytest.raises(ConfigError, match="Another command is running in this folder"):
        Hold(tmp_path, SWEEP)
    hold.release()
    assert not is_live(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"process {process.pid} on"):
            Hold(tmp_path, RUN)
        process.kill()
    until = time.monotonic() + 10
    while is_live(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    Hold(tmp_path, RUN).release()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOLCK, "No locks"), OSError(errno.EOPNOTSUPP, "No"), NotImplementedError()]
)
def test_a_file_system_without_locks_is_said_and_used(tmp_path, monkeypatch, capsys, error):
    def none(*_):
        raise error

    monkeypatch.setattr(FileLock, "acquire", none)
    Hold(tmp_path, RUN).release()
    assert "has no locks" in capsys.readouterr().out


@pytest.mark.parametrize(("where", "what"), [(RUN, "The run's folder"), (SWEEP, "The sweep's folder")])
def test_a_folder_that_can_not_be_written(tmp_path, monkeypatch, where, what):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(ConfigError, match=f"{what} can't be written. Where: {where}. Got: .*Read-only"):
        Hold(tmp_path, where)
