"""The command: what it prints, its exit codes, and a job that really runs."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from scd_lightning.cli.store import main


@pytest.fixture
def store(maker, capsys):
    """Runs the command on the test's store: exit code, output, errors."""

    def call(*arguments, at=maker.root):
        code = main([*arguments, "--store", str(at)])
        return (code, *capsys.readouterr())

    return call


def test_ls_leaves_out_what_few_look_for(maker, store):
    maker.artifact("teacher")
    maker.artifact("evaluation")
    out = store("ls")[1]
    assert "teacher-" in out
    assert "evaluation-" not in out
    assert "and 1 evaluation (" in out
    assert "evaluation-" in store("ls", "--all")[1]


def test_ls_du_show_pin_and_rm(maker, store):
    student, teacher = maker.artifact("student"), maker.artifact("teacher")
    with maker.run("morning", student, teacher):
        code, out, _ = store("ls")
        assert code == 0
        assert "running: runs/morning" in out
        assert "2 checkpoints, best 1" in out
    assert store("pin", student[:14])[0] == 0
    listed = {entry["name"]: entry for entry in json.loads(store("ls", "--json")[1])}
    assert listed[student]["pinned"]
    assert not listed[teacher]["pinned"]
    assert listed[student]["bytes"] > 1000
    used = json.loads(store("du", "--json")[1])
    assert used["kinds"]["student"]["count"] == 1
    assert used["bytes"] == sum(entry["bytes"] for entry in listed.values())
    assert "free on this disk" in store("du")[1]
    shown = store("show", student.partition("-")[2][:6])[1]
    assert "key.seed: 0" in shown
    assert "to make it again: python run.py name=morning" in shown
    code, _, error = store("rm", "--yes", student)
    assert code == 2
    assert "it is pinned" in error
    assert store("unpin", student)[0] == store("rm", "--yes", student, teacher)[0] == 0
    assert store("ls")[1].endswith("is empty.\n")


def test_folders_with_brackets_are_listed_as_they_are(maker, store):
    name = maker.artifact("student")
    with maker.run("r2[/red]x", name):
        assert "running: r2[/red]x" in store("ls")[1]
    with maker.run("r3 [v2]", name):
        assert "r3 [v2]" in store("ls")[1]


def test_rm_asks(maker, store, monkeypatch):
    name = maker.artifact("anchor")
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert "Nothing was removed" in store("rm", name)[1]
    assert (maker.root / name).is_dir()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    store("rm", name)
    assert not (maker.root / name).exists()


def test_gc_lists_and_removes_with_yes(maker, store):
    name = maker.artifact("anchor")
    assert "can go" in store("gc", "--keep-last", "0")[1]
    assert (maker.root / name).is_dir()
    assert "Nothing can go" in store("gc", "--older-than", "2h")[1]
    assert "removed." in store("gc", "--yes")[1]
    assert not (maker.root / name).exists()


def test_the_command_that_removes_what_cannot_be_read_is_one(maker, store, capsys, monkeypatch):
    name = maker.artifact("anchor")
    (maker.root / name / "artifact.json").write_text("[]")
    moved = maker.root.rename(maker.root.with_name("the store's (2)"))
    assert main(["show", name, f"--store={moved}"]) == 2
    (command,) = re.findall("Remedy: `(.*)` removes", capsys.readouterr().err)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "scd_lightning.store"]
    assert main([*words[3:], "--yes"]) == 0
    assert not (moved / name).exists()


def test_mistakes_are_paragraphs_with_exit_code_2(maker, store, tmp_path):
    name = maker.artifact("anchor")
    other = maker.artifact("anchor", 1)
    (maker.root / name / "artifact.json").write_text("[]")
    assert "its manifest can't be read" in store("ls")[1]
    for arguments, message in (
        (("show", name), "manifest can't be read"),
        (("show", "teacher"), "no such artifact"),
        (("rm", "anchor"), f"one of .*{other}"),
        (("pin", ""), "no such artifact"),
    ):
        code, _, error = store(*arguments)
        assert code == 2
        assert error.startswith("StoreError: ")
        assert re.search(message, error), error
    assert store("ls", at=tmp_path / "nowhere")[0] == 2
    with pytest.raises(SystemExit, match="2"):
        store("gc", "--older-than", "soon")


def test_it_starts_without_the_heavy_packages(maker):
    maker.artifact("anchor")
    line = [sys.executable, "-X", "importtime", "-m", "scd_lightning.store", "ls", "--store", str(maker.root)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "rich" in imported
    assert not imported & {"torch", "lightning", "transformers", "numpy", "hydra", "omegaconf"}


def test_a_running_job_keeps_what_it_uses_until_it_is_killed(start, tmp_path, store):
    job = start("hydra.run.dir=run", "budget.stages=500", "phases=[teacher_sft,student_sft]", "resume.every_steps=5")
    root = tmp_path / "store"
    deadline = time.monotonic() + 120
    while not list(root.glob("teacher-*/artifact.json")) or not list(root.glob("anchor-*.partial/resume/state.json")):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    code, _, error = store("rm", "--yes", "teacher", at=root)
    assert code == 2
    assert f"{tmp_path / 'run'} (process {job.pid} on " in error
    assert store("rm", "--yes", "tokenizer", at=root)[0] == 2
    assert "Nothing can go" in store("gc", at=root)[1]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["command"].startswith(
        "python run.py teacher=scratch"
    )
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    # The run may go on as long as its folder is there.
    assert "Nothing can go" in store("gc", "--yes", at=root)[1]
    assert store("rm", "--yes", "teacher", at=root)[0] == 0
    shutil.rmtree(tmp_path / "run")
    out = store("gc", "--yes", at=root)[1]
    assert "tokenizer" in out
    assert out.count("left unfinished") == 1
    assert store("ls", at=root)[1].endswith("is empty.\n")


def test_the_folder_may_stand_before_the_command(maker, capsys):
    student = maker.artifact("student")
    assert main(["--store", str(maker.root), "ls"]) == 0
    assert student[:14] in capsys.readouterr().out
