"""Whose a run's folder is, and what goes when it becomes another's."""

import json
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from scd_lightning.errors import ConfigError, Preempted, StoreError
from scd_lightning.run_folder.folder import RunFolder, settle
from scd_lightning.run_folder.lock import is_live
from scd_lightning.store.ownership import MARK
from scd_lightning.store.removal import delete

COMMAND = "python run.py method=scd"
OTHER = "python run.py method=sft"
MINE = (
    "notes.txt",
    "predictions/mine.csv",
    "logs/mine/metrics.csv",
    "failures/mine.log",
    "wandb/run-1/notes",
    "x/y.json",
)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def begin(path, command=COMMAND, identity="scd", settings=None, **more):
    """A run whose input is good."""
    run = RunFolder(path, command, {".hydra/config.yaml": command}, **more)
    run.open()
    run.take(identity, settings or {})
    return run


def fill(run, name="scd"):
    """What a run leaves."""
    for file in ("config.yaml", "predictions/student.jsonl", "logs/distill/metrics.csv"):
        write(run.path / file, name)
    if name == "scd":
        write(run.path / "schedule.json", name)
        write(run.path / "tensorboard/distill/events.out.tfevents.1.host.2.0", name)
    with run.exporting() as student:
        write(student / "model.safetensors", name)
        write(student / "deep/config.json", name)
    write(run.path / "student/README.md", name)
    write(run.path / "results.json", name)


def finished(path, name="scd", **more):
    run = begin(path, f"python run.py method={name}", name, **more)
    fill(run, name)
    run.finish()
    run.close()


def fail_at_once(path, command=OTHER):
    run = RunFolder(path, command)
    run.open()
    run.note_failure("DataError", "There is no such file.")
    run.stop(ValueError())
    run.close()


def content(path):
    """All files but for marks, a later command's attempt, and what a living one has."""
    others = ("attempt.json", ".running.lock", ".running.json", MARK)
    files = [each for each in path.rglob("*") if each.is_file() and each.name not in others]
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in files}


def of_scd(files):
    """Whether one speaks of that method."""
    return b"scd" in b"".join(files.values()).replace(MARK.encode(), b"")


def record(path, name="run.json"):
    return json.loads((path / name).read_text())


def test_a_run_notes_its_files(folder):
    finished(folder)
    run = record(folder)
    assert (run["command"], run["identity"]) == (COMMAND, "scd")
    assert run["finished"]
    assert set(run["files"]) == {*content(folder), f"student/{MARK}"}
    assert not is_live(folder)


def test_another_run_takes_away_what_the_earlier_one_noted_and_nothing_else(folder):
    finished(folder)
    for name in MINE:
        write(folder / name, "mine")
    finished(folder, "sft")
    left = content(folder)
    assert {name for name, text in left.items() if text == b"mine"} == set(MINE)
    assert not of_scd(left)
    assert not {"schedule.json", "tensorboard/distill/events.out.tfevents.1.host.2.0"} & left.keys()
    assert not (folder / "tensorboard").exists()


def test_a_run_that_fails_at_once_leaves_the_earlier_one_whole(folder, capsys):
    finished(folder)
    before = content(folder)
    fail_at_once(folder)
    assert content(folder) == before
    attempt = record(folder, "attempt.json")
    assert (attempt["command"], attempt["type"]) == (OTHER, "DataError")
    assert "as it was" in capsys.readouterr().out
    finished(folder)
    assert not (folder / "attempt.json").exists()


@pytest.mark.parametrize("how", ["failed", "stopped", "killed"])
def test_so_does_one_that_fails_before_it_has_trained(folder, how):
    finished(folder)
    write(folder / "student" / "empty" / "x")
    (folder / "student" / "empty" / "x").unlink()
    write(folder / "wandb/job.json", json.dumps({"id": "aa"}))
    run = begin(folder)
    run.finish()
    run.close()
    before = content(folder)
    run = begin(folder, OTHER, "sft")
    assert run.is_provisional
    assert not (folder / "results.json").exists()
    fill(run, "sft")
    if how == "failed":
        run.note_failure("ModelError", "There are no weights.")
    if how != "killed":
        run.stop(Preempted("SIGTERM"))
    run.close()
    if how == "killed":
        fail_at_once(folder)
    assert content(folder) == before
    assert (folder / "attempt.json").exists() == (how != "stopped")
    finished(folder, "sft")
    assert not of_scd(content(folder))


def test_a_folder_is_settled_for_whoever_looks_at_it(folder):
    finished(folder)
    before = content(folder)
    run = begin(folder, OTHER, "sft")
    settle(folder)
    assert run.is_provisional  # It lives.
    run.close()
    settle(folder)
    assert content(folder) == before
    settle(folder)
    assert content(folder) == before


def test_one_that_has_trained_keeps_the_folder(folder):
    finished(folder)
    run = begin(folder, OTHER, "sft")
    RunFolder(folder).keep()  # As another process of the run does.
    assert not run.is_provisional
    run.note_failure("OutOfMemory", "There is too little.")
    run.stop(ValueError())
    run.close()
    assert (record(folder)["command"], record(folder)["ended"]) == (OTHER, "ValueError")
    assert record(folder, "failure.json")["type"] == "OutOfMemory"
    assert set(content(folder)) == {"run.json", "failure.json", ".hydra/config.yaml"}


@pytest.mark.parametrize("earlier", [None, COMMAND, OTHER])
def test_a_process_that_does_not_lead_notes_its_error_where_the_run_does(folder, earlier):
    if earlier is not None:
        run = begin(folder, earlier)
        run.finish()
        run.close()
    other = RunFolder(folder, COMMAND)
    if earlier is not None:
        other.note_failure("DataError", "Only here.")
        assert record(folder, "attempt.json")["command"] == COMMAND
    begin(folder, identity="new").keep()
    other.note_failure("ValueError", "A defect in one process.")
    assert record(folder, "failure.json")["type"] == "ValueError"


def test_wherever_a_process_is_killed_the_folder_is_one_run_s(tmp_path, monkeypatch):
    """The calls that change the folder, each in its turn the last one."""
    replace, places = os.replace, ("aside.os.replace", "aside.delete", "noted_files.delete")
    for turn in range(200):
        path = tmp_path / f"turn {turn}"
        path.mkdir()
        finished(path)
        before, left = content(path), iter(range(turn))

        def last(*arguments, to=None, left=left, **more):
            if next(left, None) is None:
                raise SystemExit
            return to(*arguments, **more)

        with monkeypatch.context() as patch:
            for place in places:
                to = replace if "replace" in place else delete
                patch.setattr(f"scd_lightning.run_folder.{place}", partial(last, to=to))
            run = RunFolder(path, OTHER, {".hydra/config.yaml": OTHER})
            try:
                run.open()
                run.take("sft", {})
                fill(run, "sft")
                (run.stop if turn % 2 else run.finish)(*[ValueError()] * (turn % 2))
                killed = False
            except SystemExit:
                killed = True
            run.close()
        fail_at_once(path)
        found = content(path)
        whole = found == before
        assert whole or not of_scd(found), turn
        assert not set(found) & {".replaced", ".returning", ".discarded"}
        if not killed and turn % 2 == 0:
            assert not whole
            break


@pytest.mark.parametrize("how", ["killed", "failed", "stopped"])
def test_an_earlier_run_that_ended_early_is_one_too(folder, how):
    run = begin(folder)
    write(folder / "partial.json")
    write(folder / "logs/distill/metrics.csv")
    if how == "failed":
        run.note_failure("NotFinite", "The loss is NaN.")
        run.stop(ValueError())
    elif how == "stopped":
        run.stop(Preempted("SIGTERM"))
    run.close()
    before = content(folder)
    fail_at_once(folder)
    assert content(folder) == before
    finished(folder, "sft")
    assert not (folder / "partial.json").exists()
    assert not (folder / "failure.json").exists()
    assert (folder / "logs/distill/metrics.csv").read_text() == "sft"


def test_what_failed_at_once_is_no_earlier_run(folder):
    fail_at_once(folder, COMMAND)
    assert record(folder, "failure.json")["type"] == "DataError"
    fail_at_once(folder)
    assert record(folder)["command"] == OTHER
    assert not (folder / "attempt.json").exists()
    finished(folder)
    assert not (folder / "failure.json").exists()


def test_the_same_run_goes_on_in_its_folder(folder):
    run = begin(folder)
    write(folder / "logs/distill/metrics.csv", "the first part")
    write(folder / "partial.json", "until here")
    run.stop(Preempted("SIGUSR1"))
    run.close()
    run = begin(folder)
    assert (folder / "logs/distill/metrics.csv").read_text() == "the first part"
    assert (folder / "partial.json").exists()
    assert "ended" not in record(folder)
    fill(run)
    run.finish()
    run.close()
    assert record(folder)["finished"]


def test_the_same_run_again_leaves_a_finished_one_until_it_is_through(folder):
    finished(folder)
    before = content(folder)
    run = begin(folder)
    assert content(folder) == before
    run.note_failure("OutOfMemory", "There is too little.")
    run.stop(ValueError())
    run.close()
    assert content(folder) == before
    run = begin(folder)
    run.finish()
    run.close()
    assert content(folder).keys() == before.keys()


def test_the_same_run_again_that_fails_over_its_report_is_no_finished_one(folder):
    finished(folder)
    run = begin(folder)
    (folder / "results.json").unlink()
    run.note_failure("StoreError", "The disk is full.")
    run.stop(ValueError())
    run.close()
    assert (record(folder)["finished"], record(folder)["ended"]) == (None, "ValueError")
    assert record(folder, "failure.json")["type"] == "StoreError"


def test_a_live_run_keeps_others_out(folder):
    run = begin(folder)
    before = content(folder)
    other = RunFolder(folder, OTHER)
    with pytest.raises(ConfigError, match=f"process {os.getpid()} on .*hydra.run.dir="):
        other.open()
    other.stop(ValueError())
    other.close()
    assert content(folder) == before
    assert is_live(folder)
    run.close()
    finished(folder, "sft")


@pytest.mark.parametrize(
    "name", ["student/model.safetensors", "student/notes.md", "config.yaml", "predictions/student.jsonl", "run.json"]
)
def test_files_of_the_user_s_are_refused_and_left(folder, name):
    write(folder / name, "mine")
    run = RunFolder(folder, COMMAND)
    with pytest.raises(ConfigError, match=name):
        run.open()
    run.stop(ValueError())
    run.close()
    assert content(folder) == {name: b"mine"}


@pytest.mark.parametrize("name", ["student/adapter_config.json", "schedule.json", "rejected.jsonl"])
def test_so_are_those_beside_an_earlier_run_that_has_none_such(folder, name):
    finished(folder, "sft")
    write(folder / name, "mine")
    with pytest.raises(ConfigError, match=name):
        begin(folder, OTHER, "cd")
    assert (folder / name).read_text() == "mine"
    assert (folder / "results.json").read_text() == "sft"


@pytest.mark.parametrize("name", ["student", "predictions", ".hydra", "logs"])
def test_a_link_in_place_of_a_folder_is_refused(folder, tmp_path, name):
    finished(folder)
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    before = content(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=name):
        begin(folder, OTHER, "sft")
    assert content(tmp_path / "elsewhere") == before


def test_names_that_lead_out_of_the_folder_are_none(folder, tmp_path):
    finished(folder)
    outside = ["../mine.txt", str(tmp_path / "mine.txt"), "student/../../mine.txt", "notes.txt", "wandb", "logs", "."]
    write(tmp_path / "mine.txt")
    write(folder / "notes.txt")
    write(folder / "wandb" / "mine")
    run = record(folder)
    write(folder / "run.json", json.dumps(run | {"files": [*run["files"], *outside, 3, None]}))
    finished(folder, "sft")
    assert all(path.exists() for path in (tmp_path / "mine.txt", folder / "notes.txt", folder / "wandb" / "mine"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("student", {"path": "{}/student"}),
        ("teacher", {"trajectory": ["{}/stud*"]}),
        ("task", {"data": {"unlabelled": "{}/predictions/student.jsonl"}}),
        ("anchor", {"path": "{}/student/deep"}),
        ("paths", {"store": "{}/student"}),
    ],
)
def test_what_a_run_reads_is_not_taken_away(folder, key, value):
    finished(folder)
    before = content(folder)
    settings = {key: json.loads(json.dumps(value).replace("{}", str(folder)))}
    run = RunFolder(folder, OTHER)
    run.open()
    with pytest.raises(ConfigError, match=f"Where: {key}"):
        run.take("sft", settings)
    run.close()
    assert content(folder) == before


def test_what_it_reads_elsewhere_in_the_folder_is_no_matter(folder):
    finished(folder)
    write(folder / "train.jsonl")
    settings = {"task": {"data": {"path": str(folder)}}, "student": {"path": "org/model", "note": "*"}}
    begin(folder, OTHER, "sft", settings | {"logger": {"csv": {"save_dir": f"{folder}/logs"}}}).close()
    assert (folder / "train.jsonl").exists()
    assert not (folder / "results.json").exists()


def test_wandb_s_files_of_the_run_go_and_those_of_others_stay(folder):
    run = begin(folder)
    write(folder / "wandb/job.json", json.dumps({"id": "abcd1234"}))
    own = [f"wandb/{kind}run-20301231_235959-abcd1234{more}" for kind in ("", "offline-") for more in ("", "-1")]
    others = ["wandb/run-20301231_235959-abcd12345", "wandb/run-20301231_235959-xabcd1234", "wandb/mine"]
    for name in (*own, *others):
        write(folder / name / "files" / "table.json")
    (folder / "wandb/latest-run").symlink_to(Path(own[0]).name)
    (folder / "wandb/debug.log").symlink_to(Path(Path(others[0]).name) / "files/table.json")
    run.finish()
    run.close()
    finished(folder, "sft")
    left = {each.name for each in (folder / "wandb").iterdir()}
    assert left == {"debug.log", *(Path(name).name for name in others)}


def test_what_a_process_was_writing_when_it_was_killed_goes_too(folder):
    begin(folder).close()
    end = "17-0123abcd.tmp"
    for name in (f".results.json.{end}", f"predictions/.student.jsonl.{end}", f".notes.txt.{end}"):
        write(folder / name)
    finished(folder, "sft")
    assert [path.name for path in folder.rglob("*.tmp")] == [f".notes.txt.{end}"]


def test_a_killed_export_is_made_anew(folder):
    run = begin(folder)
    with suppress(KeyboardInterrupt), run.exporting() as student:
        write(student / "model.safetensors", "a half")
        raise KeyboardInterrupt
    run.close()
    assert not (folder / "student").exists()
    finished(folder)
    assert not (folder / "student.partial").exists()


def test_the_student_is_noted_before_it_is_there(folder, monkeypatch):
    run = begin(folder)

    replace = os.replace

    def kill(new, old):
        if Path(old).name == "student":
            raise KeyboardInterrupt
        replace(new, old)

    with monkeypatch.context() as patch:
        patch.setattr("scd_lightning.run_folder.folder.os.replace", kill)
        with suppress(KeyboardInterrupt), run.exporting() as student:
            write(student / "model.safetensors")
    run.close()
    (folder / "student.partial").rename(folder / "student")
    finished(folder, "sft")


def test_a_folder_that_can_not_be_written(folder, monkeypatch):
    def full(path, write):
        raise StoreError("A file can't be written", got="No space left on device")

    monkeypatch.setattr("scd_lightning.store.manifest.write_atomically", full)
    with pytest.raises(ConfigError, match="The run's folder can't be written.*No space left"):
        RunFolder(folder, COMMAND).open()


def copy_of_another(student):
    other = student.parent.parent / "other"
    other.mkdir()
    finished(other)
    shutil.rmtree(student)
    shutil.copytree(other / "student", student)


def unmarked(student):
    (student / MARK).unlink()


def linked(student):
    name = student.parent / "config.yaml"
    name.rename(student.parent / "mine.yaml")
    name.symlink_to("mine.yaml")


@pytest.mark.parametrize("change", [copy_of_another, unmarked, linked])
def test_what_has_taken_the_place_of_an_earlier_run_s_is_refused_and_left(folder, change):
    finished(folder)
    change(folder / "student")
    before = content(folder)
    with pytest.raises(ConfigError, match="in place of what an earlier run has left"):
        begin(folder, OTHER, "sft")
    assert content(folder) == before


def test_what_was_put_there_while_an_earlier_run_s_were_aside_stays(folder):
    finished(folder)
    begin(folder, OTHER, "sft").close()  # As if it was killed.
    write(folder / "student" / "model.safetensors", "mine")
    run = RunFolder(folder, OTHER)
    with pytest.raises(StoreError, match="student"):
        run.open()
    run.close()
    assert (folder / "student" / "model.safetensors").read_text() == "mine"
    shutil.rmtree(folder / "student")
    fail_at_once(folder)
    assert (folder / "results.json").read_text() == "scd"


@pytest.mark.parametrize("name", ["attempt.json", ".replaced/mine"])
def test_names_that_a_run_would_need_are_not_taken(folder, name):
    if name != "attempt.json":
        finished(folder)
    write(folder / name, "mine")
    with pytest.raises((ConfigError, StoreError), match=name.partition("/")[0]):
        begin(folder, OTHER, "sft")
    assert (folder / name).read_text() == "mine"
