import json

import pytest

from scd_lightning.errors import StoreError
from scd_lightning.store.saved_state import RESUME, STATE, ResumeState


def save(state: ResumeState, step: int, content: bytes = b"state") -> None:
    path = state.begin(step)
    path.write_bytes(content * step)
    state.commit(path, {"step": step})


@pytest.fixture
def state(tmp_path) -> ResumeState:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "best").write_text("first")
    return ResumeState(tmp_path, ["weights"], {"torch": "1"})


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


def test_replaced_folders_are_put_back(state, tmp_path):
    save(state, 1)
    first = (tmp_path / "weights" / "best").stat().st_ino
    # As they are replaced: never changed in place.
    (tmp_path / "weights" / "best").unlink()
    (tmp_path / "weights" / "best").write_text("second")
    (tmp_path / "weights" / "more").write_text("second")
    state.put_back(state.find())
    assert (tmp_path / "weights" / "best").read_text() == "first"
    assert (tmp_path / "weights" / "best").stat().st_ino == first
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["best"]
    # It can be put back again, and a state without such a folder removes it.
    state.put_back(state.find())
    assert (tmp_path / "weights" / "best").read_text() == "first"


def test_a_state_from_before_there_was_one(tmp_path):
    state = ResumeState(tmp_path, ["weights"])
    save(state, 1)
    (tmp_path / "weights").mkdir()
    found = state.find()
    assert found is not None
    state.put_back(found)
    assert not (tmp_path / "weights").exists()


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
    assert list(state.folder.iterdir()) == []
    assert state.find() is None


def test_a_state_of_other_versions(state, tmp_path):
    save(state, 3)
    with pytest.raises(StoreError, match="other versions"):
        ResumeState(tmp_path, ["weights"], {"torch": "2"}).find()
    assert (tmp_path / RESUME / STATE).is_file()
