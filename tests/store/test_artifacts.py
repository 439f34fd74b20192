"""The store of artifacts, with processes side by side."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from scd_lightning import distributed
from scd_lightning.errors import ModelError
from scd_lightning.store import artifacts
from scd_lightning.store.artifacts import ArtifactKey, ArtifactStore, Outcome
from scd_lightning.store.layout import PINNED
from scd_lightning.store.saved_state import RESUME

KEY = ArtifactKey("anchor", {"seed": 0})
# The processes here do nothing but files, so that forking this one is safe and saves the imports.
fork = multiprocessing.get_context("fork")


def outcome(folder: Path) -> Outcome:
    (folder / "train_losses.npy").write_text("whole")
    return Outcome({"value": 1}, {"seconds": 2.0})


def make_slowly(root: Path, run: str, note: Path, started, seconds: float) -> None:
    def build(folder: Path) -> Outcome:
        with note.open("a") as file:
            file.write(f"{run}\n")
        started.set()
        time.sleep(seconds)
        return outcome(folder)

    ArtifactStore(root, run).make(KEY, build)


def make_and_die(root: Path, moment: str) -> None:
    def build(folder: Path) -> Outcome:
        (folder / "train_losses.npy").write_text("hal")
        if moment == "building":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome(folder)

    if moment == "renaming":
        Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
    ArtifactStore(root, "killed").make(KEY, build)


def together(folder: Path) -> Outcome:
    return outcome(folder) if distributed.rank() == 0 else Outcome({}, {})


def forbidden(folder: Path) -> Outcome:
    raise AssertionError("built a second time")


def test_digest_covers_kind_and_fields_in_any_order():
    assert ArtifactKey("anchor", {"x": 1, "y": [2]}).digest == ArtifactKey("anchor", {"y": [2], "x": 1}).digest
    keys = (("anchor", {"x": 1}), ("gold", {"x": 1}), ("anchor", {"x": 2}))
    assert len({ArtifactKey(*each).digest for each in keys}) == 3
    assert KEY.folder == f"anchor-{KEY.digest}"


def test_made_once_and_then_reused(tmp_path):
    store = ArtifactStore(tmp_path, "first")
    assert store.find(KEY) is None
    made = store.make(KEY, outcome)
    assert (made.result, made.costs, made.reused) == ({"value": 1}, {"seconds": 2.0}, False)
    assert (made.folder / "train_losses.npy").read_text() == "whole"
    # The same run comes by again: its own work is not "reused"; another run's is.
    assert store.make(KEY, forbidden).reused is False
    assert ArtifactStore(tmp_path, "second").make(KEY, forbidden).reused is True


def test_second_process_waits_and_says_for_whom(tmp_path, capfd):
    note, started = tmp_path / "builders", fork.Event()
    first = fork.Process(target=make_slowly, args=(tmp_path, "outputs/first", note, started, 1.0))
    first.start()
    assert started.wait(20)
    second = fork.Process(target=make_slowly, args=(tmp_path, "outputs/second", note, fork.Event(), 0.0))
    second.start()
    for process in (first, second):
        process.join(30)
        assert process.exitcode == 0
    assert note.read_text() == "outputs/first\n"
    said = capfd.readouterr().out
    assert said.count("Waiting for") == 1
    assert f"Waiting for outputs/first (process {first.pid} on " in said
    assert KEY.folder in said


def test_processes_of_one_job_wait_together(tmp_path, in_two_processes, monkeypatch, capfd):
    monkeypatch.setattr(artifacts, "_ROUND", 0.1)
    note, started = tmp_path / "builders", fork.Event()
    first = fork.Process(target=make_slowly, args=(tmp_path, "outputs/first", note, started, 2.0))
    first.start()
    assert started.wait(20)

    def wait() -> None:
        assert ArtifactStore(tmp_path, "outputs/second").make(KEY, forbidden).reused

    assert in_two_processes(wait) == [0, 0]
    assert first.exitcode is None or first.exitcode == 0
    assert capfd.readouterr().out.count("Waiting for outputs/first") == 1
    # One of them makes what nobody makes, and the lock is free afterwards.
    other = ArtifactKey("anchor", {"seed": 1})
    assert in_two_processes(lambda: [ArtifactStore(tmp_path, "second").make(other, together)]) == [0, 0]
    assert ArtifactStore(tmp_path, "third").acquire(other, 0) is not None
    first.join(30)


@pytest.mark.parametrize("moment", ["building", "renaming"])
def test_a_killed_builder_leaves_nothing_that_looks_finished(tmp_path, capfd, moment):
    killed = fork.Process(target=make_and_die, args=(tmp_path, moment))
    killed.start()
    killed.join(30)
    assert killed.exitcode == -signal.SIGKILL
    store = ArtifactStore(tmp_path, "next")
    assert store.find(KEY) is None
    made = store.make(KEY, outcome)
    assert made.reused is False
    assert (made.folder / "train_losses.npy").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("anchor")] == [KEY.folder]
    assert "Waiting" not in capfd.readouterr().out


def test_a_failed_build_leaves_nothing_that_looks_finished_and_no_lock(tmp_path):
    def fail(folder: Path) -> Outcome:
        (folder / "train_losses.npy").write_text("hal")
        raise RuntimeError("no")

    store = ArtifactStore(tmp_path, "first")
    with pytest.raises(RuntimeError, match="no"):
        store.make(KEY, fail)
    assert store.find(KEY) is None
    assert ArtifactStore(tmp_path, "second").make(KEY, outcome).reused is False


@pytest.mark.parametrize("kept", [None, RESUME, PINNED])
def test_a_refused_build_leaves_nothing_but_what_was_there_to_go_on_with(tmp_path, kept):
    def refuse(folder):
        (folder / "train_losses.npy").write_text("made")
        if kept is not None:
            (folder / kept).mkdir()
        raise ModelError("The model can't be read")

    with pytest.raises(ModelError):
        ArtifactStore(tmp_path, "first").make(KEY, refuse)
    left = [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith(KEY.kind)]
    assert bool(left) == (kept is not None)


def test_different_artifacts_do_not_wait_for_each_other(tmp_path, capfd):
    other = ArtifactKey("anchor", {"seed": 1})
    with ArtifactStore(tmp_path, "first")._lock_together(KEY, -1):
        assert ArtifactStore(tmp_path, "second").make(other, outcome).reused is False
    assert "Waiting" not in capfd.readouterr().out
