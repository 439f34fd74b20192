"""Help, typing errors and folders that can't be used."""

import json
import re
import sys
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException

from scd_lightning.cli.main import INTERRUPTED
from scd_lightning.cli.mistakes import explain
from scd_lightning.cli.overrides import flags_first, one_line

MISTAKES = {
    "budget.stagse=3": r"no setting budget\.stagse \(did you mean budget\.stages ",
    "teacher.lr=1": r"did you mean teacher\.optimizer\.lr or ",
    "tsk=ner": r"no setting tsk \(did you mean task\?\)",
    "task=nre": r"The group task has no option nre \(did you mean nrner or ner\?\).*Expected: task= .*qa",
    "budget=null": r"A group has null for its option\. Expected: the name of an option\. Remedy: leave the group out",
    "budget=x": r"The group budget has no option x\. .*Expected: budget= embedded, paper, patient, scratch",
    "budget.stages=[": r"An override can't be read\. Where: budget\.stages=\[",
    "logger=csv,wandb": r"add --multirun",
    "~nothing": r"'nothing' does not exist",
}


def test_a_plugin_that_is_not_installed_is_named_with_its_extra():
    error = explain(MissingConfigException("Could not load it", "hydra/launcher/submitit_slurm"))
    assert "Where: hydra/launcher=submitit_slurm. Remedy: python -m pip install -e '.[submitit]'" in str(error)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_typing_error_is_one_paragraph_with_the_nearest_names(run_py, mistake):
    code, out, error = run_py(mistake)
    assert code == 2
    assert error.startswith("ConfigError: ")
    assert error.count("\n") == 1
    assert re.search(MISTAKES[mistake], error), error
    assert not out


def test_null_for_an_option_is_no_defect_of_a_sweep_either(run_py):
    code, _, error = run_py("budget=scratch,null", "seed=-1", "-m", "hydra.sweep.dir=sweep")
    assert code == 2
    assert "A group has null for its option" in error
    assert "Traceback" not in error


def test_the_flag_of_a_sweep_may_stand_anywhere(run_py, tmp_path):
    assert flags_first(["a=1", "--multirun", "b=2"]) == ["--multirun", "a=1", "b=2"]
    code, _, error = run_py("seed=-1,-2", "-m", "hydra.sweep.dir=sweep")
    assert code == 2
    assert error.count("The seed can't be used") == 2
    assert (tmp_path / "sweep" / "1" / "failure.json").is_file()


def test_jobs_of_a_sweep_are_told_apart(run_py):
    _, out, _ = run_py("seed=-1,-2", "-m", "hydra.sweep.dir=sweep", "task=qa", "task.data.columns={a: b}")
    assert [line for line in out.splitlines() if line.startswith("job ")] == ["job 0: seed=-1", "job 1: seed=-2"]


def test_an_override_may_go_over_several_lines(run_py):
    override = "task.data.converters=[\n  {_target_: scd_lightning.data.converters.LetterAnswerz}]"
    code, _, error = run_py("task=qa", override)
    assert code == 2
    assert error.strip().startswith("ConfigError: There is no such class or function. Where: task.data.converters[0].")
    assert error.count("LetterAnswerz") == 1


def test_line_breaks_in_quotations_stay():
    assert one_line("task.template='a\nb'") == "task.template='a\nb'"
    assert one_line('a=[\n"x\ny",\n 1\n]\n') == 'a=[ "x\ny", 1 ]'


@pytest.mark.parametrize("setting", ["hydra.run.dir", "paths.store"])
def test_a_folder_that_cannot_be_made_is_a_paragraph(run_py, tmp_path, setting):
    (tmp_path / "file").touch()
    code, _, error = run_py(*{"hydra.run.dir": "hydra.run.dir=run", setting: f"{setting}=file/run"}.values())
    assert code == 2
    assert setting in error
    assert "Not a directory" in error
    assert "Traceback" not in error


def test_help_says_what_to_type_and_lists_every_group(run_py):
    code, out, _ = run_py("--help")
    assert code == 0
    before, _, options = out.partition("Their options")
    conf = Path(__file__).parents[2] / "conf"
    groups = {file.parent.relative_to(conf).as_posix() for file in conf.glob("*/*.yaml")} - {"hydra"}
    for group in groups:
        assert f"\n  {group} " in before, group
        for file in (conf / group).glob("*.yaml"):
            assert file.stem in next(line for line in options.splitlines() if line.startswith(f"{group}: "))
    for text in ("Type first", "debug=smoke", "outputs/", "--cfg job", "scd_lightning.store ls"):
        assert text in out
    assert len(out.splitlines()) < 80
    assert max(map(len, out.splitlines())) <= 120


def test_a_run_is_told_how_to_start_it_again(run_py, tmp_path):
    run_py("method=sft", "phases=[teacher_sft]", "seed=-1", "hydra.run.dir=run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ended"] == "ConfigError"
    run_py("phases=[distill]", "hydra.run.dir=run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["command"].startswith("python run.py teacher=scratch student=scratch task.data")
    assert content["command"].endswith(" 'phases=[distill]' hydra.run.dir=run")
    assert content["finished"] is None


@pytest.mark.parametrize("caught", [False, True], ids=["plain", "through Lightning"])
def test_an_interruption_is_a_line(run_py, monkeypatch, caught):
    def interrupt(job):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if caught:  # as Lightning does during a training
                sys.exit(1)
            raise

    monkeypatch.setattr("scd_lightning.pipeline.run.prepare", interrupt)
    code, _, error = run_py("task=qa")
    assert code == 130
    assert error.strip() == INTERRUPTED
