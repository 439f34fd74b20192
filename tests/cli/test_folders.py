"""No two commands share a folder: names, refusals, and what a second command in one folder leaves."""

import json
from contextlib import nullcontext

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from scd_lightning.cli.folders import name_run, name_sweep
from scd_lightning.cli.report import main as report
from scd_lightning.errors import ConfigError
from scd_lightning.run_folder.lock import Hold
from tests.conftest import ROOT


@pytest.fixture
def composed(tmp_path, monkeypatch):
    """A configuration with Hydra's own part, as Hydra hands it to a callback."""
    monkeypatch.chdir(tmp_path)

    def call(*overrides):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("config", ["paths.run=here", *overrides], return_hydra_config=True)
        OmegaConf.set_readonly(config.hydra, True)
        return config

    return call


def test_runs_of_one_second_have_folders_of_their_own(composed, tmp_path):
    names = []
    for _ in range(3):
        config = composed("hydra.run.dir=out/${now:%Y}")
        name_run(config)
        names.append(config.hydra.run.dir)
    assert len(set(names)) == 3
    assert names[1:] == [f"{names[0]}-2", f"{names[0]}-3"]
    assert all((tmp_path / name).is_dir() for name in names)


def test_sweeps_of_one_second_too_and_their_jobs_know(composed, tmp_path):
    names = []
    for _ in range(2):
        config = composed("hydra.sweep.dir='all sweeps/${now:%Y}'")
        names.append(str(name_sweep(config)))
        assert config.hydra.sweep.dir == names[-1]
        assert list(config.hydra.overrides.hydra) == [f"hydra.sweep.dir='{names[-1]}'"]
    assert names[1] == f"{names[0]}-2"


def test_a_name_that_was_asked_for_is_kept(composed, tmp_path):
    for _ in range(2):
        config = composed("hydra.run.dir=out", "hydra.sweep.dir=sweep")
        name_run(config)
        name_sweep(config)
        assert (config.hydra.run.dir, config.hydra.sweep.dir) == ("out", "sweep")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("ranks", "named"), [("2", False), ("2", True), ("1", False)])
def test_the_processes_of_torchrun_need_one_name(composed, monkeypatch, ranks, named):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", ranks)
    config = composed(*["hydra.run.dir=out"] * named)
    refused = pytest.raises(ConfigError, match="hydra.run.dir=outputs/first")
    with nullcontext() if ranks == "1" or named else refused:
        name_run(config)


def test_under_torchrun_a_sweep_is_refused(run_py, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, told in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        code, _, error = run_py("-m", "seed=0,1", "hydra.sweep.dir=sweep")
        assert code == 2
        assert error.count("A sweep is one process") == told
    assert not list(tmp_path.iterdir())


def test_under_torchrun_a_run_without_a_name_is_refused_before_anything_is_made(run_py, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, said in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        code, _, error = run_py("trainer=ddp_cpu")
        assert code == 2
        assert error.count("ConfigError") == said
    assert not list(tmp_path.iterdir())


def read(path):
    return json.loads(path.read_text())


def test_a_second_command_in_a_folder_has_all_of_it_or_nothing(run_py, tmp_path, capsys):
    run = tmp_path / "run"
    code, _, error = run_py("method=td", "logger=csv", "hydra.run.dir=run")
    assert code == 0, error
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for wrong in (["task.data.path=none"], ["teacher.checkpoints=1000"], ["phases=[evaluate]", "seed=7"], ["seed=-1"]):
        code, out, _ = run_py("method=sft", "hydra.run.dir=run", *wrong)
        assert code == 2
        assert f"What an earlier run left in {run} is as it was." in out
        assert read(run / "attempt.json")["command"].endswith(wrong[-1])
        (run / "attempt.json").unlink()
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    run_py("seed=-1", "hydra.run.dir=run")
    assert report([str(run)]) == 0
    told = capsys.readouterr().out
    assert "method=td logger=csv hydra.run.dir=run" in told
    assert "A later command left all of this as it was. ConfigError: The seed" in told
    code, _, error = run_py("method=sft", "hydra.run.dir=run")
    assert code == 0, error
    assert read(run / "results.json")["method"] == "sft"
    assert not {"schedule.json", "logs", "attempt.json"} & {path.name for path in run.iterdir()}
    assert "method=sft" in (run / ".hydra" / "overrides.yaml").read_text()


def test_one_that_fails_once_it_has_trained_has_the_folder(run_py, tmp_path):
    run = tmp_path / "run"
    for arguments, expected in ((["method=sft"], 0), (["method=td", "student.optimizer.lr=1e30"], 2)):
        code, _, error = run_py(*arguments, "hydra.run.dir=run")
        assert code == expected, error
    assert read(run / "failure.json")["type"] == "NotFinite"
    assert "method=td" in read(run / "run.json")["command"]
    assert not {"results.json", "student", "attempt.json"} & {path.name for path in run.iterdir()}
    assert (run / "partial.json").exists()


def test_a_folder_that_a_live_run_has_is_refused(run_py, tmp_path):
    (tmp_path / "run").mkdir()
    hold = Hold(tmp_path / "run", "hydra.run.dir")
    before = set((tmp_path / "run").iterdir())
    code, _, error = run_py("hydra.run.dir=run")
    assert code == 2
    assert "Another command is running in this folder" in error
    assert set((tmp_path / "run").iterdir()) == before
    hold.release()


def test_a_folder_that_a_live_sweep_has_is_refused(run_py, tmp_path):
    (tmp_path / "sweep").mkdir()
    hold = Hold(tmp_path / "sweep", "hydra.sweep.dir")
    before = set((tmp_path / "sweep").iterdir())
    code, _, error = run_py("-m", "seed=-1,-2", "hydra.sweep.dir=sweep")
    assert code == 2
    assert "choose another folder by hydra.sweep.dir=" in error
    assert set((tmp_path / "sweep").iterdir()) == before
    hold.release()


@pytest.mark.slow
def test_a_sweep_whose_jobs_fail_at_once_leaves_the_earlier_one_s_comparison(run_py, tmp_path):
    sweep = tmp_path / "sweep"
    code, _, error = run_py("-m", "method=sft,td", "hydra.sweep.dir=sweep")
    assert code == 0, error
    before = {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file()}
    code, out, _ = run_py("-m", "method=sft", "seed=-1,-2,-3", "hydra.sweep.dir=sweep")
    assert code == 2
    assert out.count("failed: ") == 3
    assert f"What an earlier sweep left in {sweep} is as it was." in out
    after = {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    code, _, error = run_py("-m", "method=sft", "seed=5", "hydra.sweep.dir=sweep")
    assert code == 0, error
    assert [path.parent.name for path in sweep.glob("*/results.json")] == ["0"]
    assert len(read(sweep / "comparison.json")["settings"]) == 1
