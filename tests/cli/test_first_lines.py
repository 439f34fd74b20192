"""What becomes of a command in its first seconds: Ctrl-C while it loads, and a reader that has seen enough."""

import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT

import pytest

ROOT = Path(__file__).parent.parent.parent
# Sends this process a Ctrl-C as soon as it is to import a module, and then runs the command.
PRESSES = """
import os, runpy, signal, sys
_, awaited, command, *_ = sys.argv
class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Presses())
sys.argv = sys.argv[2:]
run = runpy.run_path if command.endswith(".py") else runpy.run_module
run(command, run_name="__main__")
"""
JOB = ("method=sft", "logger=none", "trainer=cpu")


@pytest.mark.parametrize("loading", ["scd_lightning", "hydra", "scd_lightning.cli.job", "torch", "lightning"])
def test_ctrl_c_while_a_job_loads_is_quiet(tmp_path, loading):
    line = [sys.executable, "-c", PRESSES, loading, str(ROOT / "run.py"), *JOB, f"hydra.run.dir={tmp_path}/run"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("command", ["scd_lightning.report", "scd_lightning.store"])
def test_ctrl_c_while_another_command_loads_is_quiet(tmp_path, command):
    line = [sys.executable, "-c", PRESSES, "argparse", command, "--help"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_from_outside(tmp_path):
    line = [sys.executable, str(ROOT / "run.py"), *JOB, f"hydra.run.dir={tmp_path}/run"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)  # Python's own start is over.
    process.send_signal(SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "")


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_no_training(start, tmp_path):
    process = start("method=sft", "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=200) == 0
    assert (tmp_path / "run" / "results.json").is_file()
