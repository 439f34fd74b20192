"""best/ is whole or what it was before, and only what was made here ever makes room for it."""

import os
from pathlib import Path

import pytest

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.run_folder.best_folder import take_student, writing_best
from scd_lightning.run_folder.sweep_folder import Sweep


@pytest.fixture
def sweep(tmp_path):
    """The folder of a sweep, which has made it its own."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    Sweep(folder, "first").take()
    return folder


def leave(sweep: Path, text: str, error: Exception | None = None) -> None:
    with writing_best(sweep) as folder:
        (folder / "student").mkdir()
        if error is not None:
            raise error
        (folder / "student" / "config.json").write_text(text)


def test_a_later_one_takes_the_place_of_an_earlier_one_when_it_is_whole(sweep):
    leave(sweep, "1")
    with pytest.raises(RuntimeError, match="killed"):
        leave(sweep, "2", RuntimeError("killed"))
    assert (sweep / "best" / "student" / "config.json").read_text() == "1"
    leave(sweep, "2")
    assert (sweep / "best" / "student" / "config.json").read_text() == "2"
    assert not list(sweep.glob("best.partial*"))


def test_another_sweep_in_the_folder_takes_it_away(sweep):
    leave(sweep, "1")
    Sweep(sweep, "second").take()
    assert not (sweep / "best").exists()


def test_what_somebody_has_put_there_stays(sweep, tmp_path):
    leave(sweep, "1")
    (sweep / "best" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"notes\.txt"):
        leave(sweep, "2")
    assert (sweep / "best" / "notes.txt").read_text() == "mine"
    other = tmp_path / "other"
    (other / "best").mkdir(parents=True)
    (other / "best" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="best"):
        Sweep(other, "first").take()


@pytest.mark.parametrize("linked", [True, False], ids=["one file system", "two file systems"])
def test_weights_are_shared_where_they_can_be_and_all_else_is_copied(tmp_path, monkeypatch, linked):
    source, target = tmp_path / "student", tmp_path / "best" / "student"
    (source / "chat").mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "chat/a.jinja", ".scd_lightning"):
        (source / name).write_text(name)

    def refuse(*_: object) -> None:
        raise OSError

    if not linked:
        monkeypatch.setattr(os, "link", refuse)
    take_student(source, target)
    found = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    assert sorted(found) == ["chat/a.jinja", "config.json", "model.safetensors"]
    assert all(path.read_text() == name for name, path in found.items())
    shared = {name for name, path in found.items() if os.path.samefile(path, source / name)}
    assert shared == ({"model.safetensors"} if linked else set())
