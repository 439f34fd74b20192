"""Each logger runs a small job and what it wrote is read back; W&B without a key, a network or a question."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scd_lightning.loggers import has_wandb_key, own_run

STAGES = ("teacher_sft", "student_sft", "distill")


@pytest.mark.parametrize(
    ("variable", "netrc", "expected"),
    [
        ("key", None, True),
        (None, None, False),
        (None, "machine api.wandb.ai login user password key", True),
        (None, "machine example.org login user password key", False),
        (None, "machine", False),
    ],
)
def test_a_key_is_found_without_asking(tmp_path, monkeypatch, variable, netrc, expected):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if variable:
        monkeypatch.setenv("WANDB_API_KEY", variable)
    if netrc:
        (tmp_path / ".netrc").write_text(netrc)
    assert has_wandb_key(tmp_path) is expected


def test_csv(run_py, tmp_path):
    code, _, error = run_py("logger=csv", "hydra.run.dir=run")
    assert code == 0, error
    for stage in STAGES:
        (file,) = (tmp_path / "run" / "logs" / stage).rglob("metrics.csv")
        rows = list(csv.DictReader(file.open()))
        losses = [float(row["train_loss"]) for row in rows if row.get("train_loss")]
        assert len(losses) == 2
        assert all(loss > 0 for loss in losses)


def test_tensorboard(run_py, tmp_path):
    code, _, error = run_py("logger=tensorboard", "hydra.run.dir=run")
    assert code == 0, error
    for stage in STAGES:
        events = EventAccumulator(str(tmp_path / "run" / "tensorboard" / stage))
        events.Reload()
        assert len(events.Scalars("train_loss")) == 2


def test_none(run_py, tmp_path):
    code, _, error = run_py("logger=none", "hydra.run.dir=run", "method=sft")
    assert code == 0, error
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"results.json", "report.html"}
    assert not list((tmp_path / "run").rglob("metrics.csv"))


def summary(run):
    """What an offline run says of itself, read by W&B's own reader."""
    reader = Path(sys.executable).with_name("wandb")
    done = subprocess.run(
        [reader, "leet", "inspect", "--summary", "--json", run], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_wandb_offline_has_one_finished_run_for_each_job(command, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    command("logger=wandb", "method=sft,td", "hydra.sweep.dir=sweep", "-m")
    trained = {"0": {"teacher_sft", "student_sft"}, "1": {"distill"}}
    runs = {}
    for job, stages in trained.items():
        (run,) = (tmp_path / "sweep" / job / "wandb").glob("offline-run-*")
        runs[job] = summary(run)
        assert runs[job]["exit_code"] == 0
        logged = {name.split("-")[0] for name in runs[job]["summary"] if name.endswith("train_loss")}
        assert logged == stages
    assert runs["0"]["run_id"] != runs["1"]["run_id"]


def test_a_run_ends_with_the_outcome_of_its_job(monkeypatch):
    ended = []
    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(run="run", finish=lambda exit_code: ended.append(exit_code))
    )
    with own_run():
        pass
    with pytest.raises(KeyError), own_run():
        raise KeyError
    monkeypatch.delitem(sys.modules, "wandb")
    with own_run():
        pass
    assert ended == [0, 1]
