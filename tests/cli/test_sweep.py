"""Sweeps and searches: what they tell at their end, and how they end."""

import json

import pytest
from hydra import compose, initialize_config_dir

from scd_lightning import progress
from scd_lightning.analysis.comparison.draws import Draws
from scd_lightning.cli.sweep import _draws
from scd_lightning.errors import exit_code, recorded_as
from tests.conftest import ROOT

SEARCH = ("hparams_search=lr_grid", "budget.stages=1", "hydra.sweep.dir=search", "-m")


@pytest.mark.parametrize(
    ("types", "code"),
    [(["ConfigError"], 2), (["NotFinite", "RuntimeError"], 1), (["unfinished", "DataError"], 2), (["Any"], 1)],
)
def test_the_exit_code_is_that_of_the_last_failure(types, code):
    assert exit_code(recorded_as(types[-1]) or Exception) == code


def test_a_failed_job_is_named_at_the_end_with_its_error_and_its_command(run_py, tmp_path):
    code, out, _ = run_py("method=sft", "teacher.checkpoints=2,1000", "hydra.sweep.dir=sweep", "-m")
    assert code == 2
    end = " ".join(out.partition("f1 on the test split")[2].split())
    assert "failed: 1 (teacher.checkpoints=1000): ConfigError: " in end
    (command,) = [line for line in out.splitlines() if line.startswith("  alone: python run.py ")]
    assert command.endswith("method=sft teacher.checkpoints=1000")
    page = (tmp_path / "sweep" / "comparison.html").read_text()
    assert '<span class="override">teacher.checkpoints=1000</span>' in page


def test_a_search_reads_the_validation_split_alone_and_names_the_best(run_py, tmp_path):
    code, out, error = run_py(*SEARCH, "method=sft", "student.optimizer.lr=1e-3,1e30,4e-3")
    assert code == 0, error
    assert "job 1: student.optimizer.lr=1e30" in out
    found = json.loads((tmp_path / "search" / "search.json").read_text())
    assert [each["metric"] is None for each in found["candidates"]] == [False, True, False]
    assert [(each["folder"], each["type"]) for each in found["failures"]] == [("1", "NotFinite")]
    assert (tmp_path / "search" / "override.txt").read_text() == found["override"] + "\n"
    assert found["override"] in ("student.optimizer.lr=1e-3", "student.optimizer.lr=4e-3")
    assert found["override"] in out.splitlines()[-3]
    made = {path.name.partition("-")[0] for path in (tmp_path / "store").iterdir() if path.is_dir()}
    assert "anchor" in made
    assert "evaluation" not in made
    assert not list(tmp_path.glob("search/*/results.json"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["student.optimizer.lr=1e-3"], "nothing to search for"),
        (["phases=[student_sft,evaluate]", "student.optimizer.lr=1e-3,1e-2"], "reads the validation split alone"),
    ],
    ids=["fixed", "test split"],
)
def test_what_is_no_search_is_refused(run_py, arguments, part):
    code, _, error = run_py(*SEARCH, "method=sft", *arguments)
    assert code == 2
    assert "Traceback" not in error
    assert part in error


def test_lines_of_jobs_side_by_side_name_their_job(monkeypatch, capsys):
    progress.say("alone")
    monkeypatch.setenv(progress.JOB, "job 3")
    progress.say("beside")
    assert capsys.readouterr().out.splitlines() == ["alone", "job 3: beside"]


@pytest.mark.slow
def test_a_sweep_shows_what_it_found_after_each_seed_and_its_order_does_not_matter(run_py, tmp_path, monkeypatch):
    found = {}
    for name, order in {"seeds": ("seed=0,1", "method=sft,td"), "methods": ("method=sft,td", "seed=0,1")}.items():
        code, out, error = run_py("budget.stages=1", f"hydra.sweep.dir={name}", *order, "-m")
        assert code == 0, error
        first, _, rest = out.partition(" after 1 of 2 draws (seed 0); more are running ")
        begun = first.count("seed=0") + first.count("seed=1")
        assert begun == (2 if name == "seeds" else 3)
        assert " draws (" not in rest
        (setting,) = json.loads((tmp_path / name / "comparison.json").read_text())["settings"]
        for row in setting["rows"]:
            for run in row["runs"]:
                del run["folder"], run["values"]["seconds"]
            del row["values"]["seconds"]
        found[name] = setting
        assert not (tmp_path / name / ".draws").exists()
    assert found["seeds"] == found["methods"]


@pytest.mark.slow
def test_what_was_found_so_far_never_fails_a_job(run_py, tmp_path, monkeypatch):
    def fail(self, job, run_dir, allowed):
        raise OSError("no room")

    monkeypatch.setattr(Draws, "end", fail)
    code, out, error = run_py("method=sft", "budget.stages=1,2", "seed=0,1", "hydra.sweep.dir=sweep", "-m")
    assert code == 0, error
    assert out.count("What was found so far can't be shown (OSError: no room)") == 4
    assert (tmp_path / "sweep" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("launcher", "shows"), [("basic", True), ("side_by_side", True), ("slurm", False), ("submitit_local", False)]
)
def test_jobs_that_may_run_elsewhere_show_nothing_meanwhile(tmp_path, launcher, shows):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [f"hydra/launcher={launcher}"], return_hydra_config=True)
    config.hydra.sweep.dir = str(tmp_path)
    config.hydra.overrides.task = ["seed=range(0,3)", "+trainer.note='a, b'", "method=sft,td"]
    assert _draws(config) == (Draws({"0": [0, 1], "1": [2, 3], "2": [4, 5]}, tmp_path) if shows else None)
