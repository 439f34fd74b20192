"""Exit codes, sweeps with failing jobs, and a command line that answers at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scd_lightning.cli.main import INTERRUPTED, PREEMPTED
from scd_lightning.launch import preemption
from scd_lightning.launch.failures import FAILURE
from scd_lightning.pipeline import run

ROOT = Path(__file__).parents[2]


def test_help_imports_no_torch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "run.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "hydra" in imported
    assert not imported & {"torch", "lightning", "transformers", "wandb", "numpy"}


def test_a_failing_job_does_not_stop_a_sweep(run_py, tmp_path, monkeypatch):
    code, out, error = run_py("method=sft", "teacher.checkpoints=2,1000,3", "hydra.sweep.dir=sweep", "-m")
    assert code == 2
    assert "Traceback" not in error
    assert error.count("fewer optimizer steps than checkpoints") == 1
    for number in ("0", "2"):
        assert (tmp_path / "sweep" / number / "results.json").is_file()
        assert not (tmp_path / "sweep" / number / FAILURE).exists()
    failure = json.loads((tmp_path / "sweep" / "1" / FAILURE).read_text())
    assert failure["type"] == "ConfigError"
    assert (tmp_path / "sweep" / "comparison.html").is_file()
    last = out.splitlines()[-12:]
    assert any("failed" in line.lower() for line in last), out
    assert any("1000" in line for line in last), out


def test_a_defect_in_a_sweep_shows_its_traceback_and_the_sweep_goes_on(run_py, tmp_path, monkeypatch):
    run_once = run.run

    def fail(job):
        if job.run_dir.name == "0":
            raise RuntimeError("a defect")
        return run_once(job)

    monkeypatch.setattr(run, "run", fail)
    code, _, error = run_py("method=sft", "seed=0,1", "hydra.sweep.dir=sweep", "-m")
    assert code == 1
    assert "Traceback" in error
    assert "a defect" in error
    assert (tmp_path / "sweep" / "1" / "results.json").is_file()


def test_a_defect_in_a_single_run_is_raised(run_py, monkeypatch):
    def fail(job):
        raise RuntimeError("a defect")

    monkeypatch.setattr(run, "run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        run_py("hydra.run.dir=run")


def test_a_good_run_exits_with_0_and_forgets_an_earlier_failure(run_py, tmp_path):
    code, _, _ = run_py("seed=-1", "hydra.run.dir=run")
    assert code == 2
    assert (tmp_path / "run" / FAILURE).is_file()
    code, out, _ = run_py("method=sft", "hydra.run.dir=run")
    assert code == 0
    assert not (tmp_path / "run" / FAILURE).exists()
    assert "report: run/report.html" in out.replace(os.fspath(tmp_path) + "/", "")


@pytest.mark.parametrize("sweep", [(), ("-m", "hydra.sweep.dir=sweep")])
def test_a_signal_ends_a_run_or_a_whole_sweep_with_a_code_of_its_own(run_py, tmp_path, monkeypatch, sweep):
    begun = []

    def end(job, steps, leads):
        begun.append(job.seed)
        signal.raise_signal(signal.SIGUSR2)

    monkeypatch.setattr("scd_lightning.pipeline.run.partial_report", end)
    code, _, error = run_py("seed=0,1" if sweep else "seed=0", "resume.exit_code=99", "hydra.run.dir=run", *sweep)
    assert code == 99
    assert error.strip() == PREEMPTED.format("SIGUSR2")
    assert begun == [0]
    record = json.loads((tmp_path / ("sweep/0" if sweep else "run") / "run.json").read_text())
    assert (record["finished"], record["ended"]) == (None, "SIGUSR2")
    assert not list(tmp_path.rglob(FAILURE))


def test_ctrl_c_ends_a_run_with_its_own_code(run_py, tmp_path, monkeypatch):
    def end(job, steps, leads):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("scd_lightning.pipeline.run.partial_report", end)
    code, _, error = run_py("hydra.run.dir=run")
    assert code == 130
    assert error.strip() == INTERRUPTED
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ended"] == "SIGINT"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("resume.signals=[SIGKILL]", ["resume.signals", "SIGTERM"]),
        ("resume.signals=null", ["resume.signals", "Expected: a list of str."]),
        ("resume.every_minutes=-1", ["resume.every_minutes", "Expected: minutes from 0"]),
        ("resume.exit_code=0", ["resume.exit_code", "Expected: 1 to 255"]),
        ("resume=null", ["Where: resume. Got: null. Expected: settings of it, as resume.<setting>=<value>."]),
    ],
)
def test_settings_of_resuming_that_can_not_be_used(run_py, override, parts):
    code, _, error = run_py(override, "hydra.run.dir=run")
    assert code == 2
    assert "Traceback" not in error
    for part in parts:
        assert part in error


def test_what_a_signal_has_led_to_is_not_told_as_an_error(run_py, monkeypatch):
    """As where the connection to another process, which the signal has ended already, is lost."""

    def end(job, steps, leads):
        with preemption.deferred():
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError("[gloo/transport/tcp/pair.cc:550] Connection closed by peer [127.0.0.1]:3821")

    monkeypatch.setattr("scd_lightning.pipeline.run.partial_report", end)
    code, _, error = run_py("hydra.run.dir=run")
    assert code == 75
    assert error.strip() == PREEMPTED.format("SIGTERM")
