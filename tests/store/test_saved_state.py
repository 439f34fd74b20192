import json
from pathlib import Path

import pytest

from scd_lightning.errors import StoreError
from scd_lightning.store.layout import ARTIFACT
from scd_lightning.store.making import make_folder
from scd_lightning.store.ownership import MARK
from scd_lightning.store.saved_state import RESUME, STATE, ResumeState


def save(state: ResumeState, step: int, content: bytes = b"state") -> None:
    path = state.begin(step)
    path.write_bytes(content * step)
    state.commit(path, {"step": step})


@pytest.fixture
def folder(tmp_path) -> Path:
    """That of an artifact which is being made."""
    return make_folder(tmp_path / f"student-{'0' * 24}.partial", ARTIFACT, tmp_path)


@pytest.fixture
def state(folder) -> ResumeState:
    (folder / "weights").mkdir()
    (folder / "weights" / "manifest.json").write_text("first")
    return ResumeState(folder, ["weights"], {"torch": "1"})


def test_the_newest_state_is_found(state):
    assert state.find() is None
    for step in (1, 2, 2, 5):
        save(state, step)
        found = state.find()
        assert found.about["step"] == step
        assert found.path.read_bytes() == b"state" * step
    assert len(list(state.root.iterdir())) == 2


def test_a_save_that_was_begun_changes_nothing(state):
    save(state, 3)
    state.begin(4).write_bytes(b"half")
    assert state.find().about["step"] == 3
    save(state, 5)
    assert len(list(state.root.iterdir())) == 2


def test_what_a_save_has_left_takes_no_room(state):
    save(state, 3)
    state.begin(4).write_bytes(b"killed in the middle")
    state.begin(5)
    assert sorted(path.name[:6] for path in state.root.glob("step-*")) == ["step-3", "step-5"]
    state.tidy()
    assert [path.name[:6] for path in state.root.glob("step-*")] == ["step-3"]
    # Nothing is removed while it can't be told what is to stay.
    (state.root / STATE).write_text("{")
    state.tidy()
    assert [path.name[:6] for path in state.root.glob("step-*")] == ["step-3"]


def test_replaced_folders_are_put_back(state, folder):
    save(state, 1)
    first = (folder / "weights" / "manifest.json").stat().st_ino
    # As they are replaced: never changed in place.
    (folder / "weights" / "manifest.json").unlink()
    (folder / "weights" / "manifest.json").write_text("second")
    (folder / "weights" / "frozen.safetensors").write_text("second")
    state.put_back(state.find())
    assert (folder / "weights" / "manifest.json").read_text() == "first"
    assert (folder / "weights" / "manifest.json").stat().st_ino == first
    assert [path.name for path in (folder / "weights").iterdir()] == ["manifest.json"]
    # It can be put back again, and a state without such a folder removes it.
    state.put_back(state.find())
    assert (folder / "weights" / "manifest.json").read_text() == "first"


def test_a_state_from_before_there_was_one(folder):
    state = ResumeState(folder, ["weights"])
    save(state, 1)
    (folder / "weights").mkdir()
    found = state.find()
    assert found is not None
    state.put_back(found)
    assert not (folder / "weights").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "deleted", "not json", "another format"])
def test_damage_is_noticed(state, damage):
    save(state, 3)
    path = state.find().path
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "flipped":
        content = bytearray(path.read_bytes())
        content[7] ^= 1
        path.write_bytes(content)
    elif damage == "deleted":
        path.unlink()
    else:
        (state.root / STATE).write_text("{" if damage == "not json" else json.dumps({"step": 3}))
    with pytest.raises(StoreError):
        state.find()
    state.give_up()
    assert [path.name for path in state.folder.iterdir()] == [MARK]
    assert state.find() is None


def test_a_state_of_other_versions(state, folder):
    save(state, 3)
    with pytest.raises(StoreError, match="other versions"):
        ResumeState(folder, ["weights"], {"torch": "2"}).find()
    assert (folder / RESUME / STATE).is_file()
