"""The command that a run names for asking its student is one that works."""

import json
import shlex
import sys

import pytest

from scd_lightning.cli import command, predict
from scd_lightning.cli.ask_line import ask_line

EPOCH = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1")


@pytest.mark.parametrize("way", ["scd", "run.py"])
def test_a_run_ends_with_the_command_that_asks_its_student(run_py, tmp_path, monkeypatch, capsys, way):
    folder = tmp_path / "a run's (folder)"
    quoted = str(folder).replace("'", "\\'")
    code, out, error = run_py("task=classification", *EPOCH, f"hydra.run.dir='{quoted}'")
    assert code == 0, error
    assert out.splitlines()[-1].startswith("ask it: python -m scd_lightning predict ")
    monkeypatch.setattr(sys, "argv", [way])
    line = ask_line(folder)
    assert line is not None
    words = shlex.split(line)
    assert words[: words.index("predict")] == (["scd"] if way == "scd" else ["python", "-m", "scd_lightning"])
    capsys.readouterr()
    assert predict.main(words[words.index("predict") + 1 :]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert command.COMMANDS["predict"] == predict.__name__


def test_rows_of_several_columns_are_asked_from_a_file(make_job, run_job, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scd"])
    job = make_job("task=qa", *EPOCH)
    run_job(job)
    assert ask_line(job.run_dir) == f"scd predict {job.run_dir} --file rows.jsonl"
    form = job.run_dir / "student" / "prompt_template.json"
    content = json.loads(form.read_text())
    form.write_text(json.dumps(content | {"kind": "pairs"}))
    assert ask_line(job.run_dir) is None
    assert ask_line(tmp_path) is None
