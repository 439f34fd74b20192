"""What is deleted, and what is not: whatever nobody here has made stays, and is named."""

import os
import re
import shutil

import pytest

from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.store import removal
from scd_lightning.store.making import claim, finish_folder, make_folder, make_place
from scd_lightning.store.ownership import MARK, Kind, doubt
from scd_lightning.store.removal import delete, scratch_file

BOX = Kind(r"box-\d+", r"(lid|paper/(a|b)?)", marked=True)
HERE = Kind("gift", r"card", marked=True, fixed=True)
NOTE = Kind(r"note-\d+\.txt")
PAPER = Kind("paper", r"(a|b)?")


@pytest.fixture
def box(tmp_path):
    """A folder of ours with all that may be in it."""
    box = make_folder(tmp_path / "root" / "box-1", BOX, tmp_path / "root")
    (box / "paper").mkdir()
    for name in ("lid", "paper/a", ".DS_Store", "paper/.b.17-0123abcd.tmp"):
        (box / name).touch()
    return box


def refused(path, kind, root, reason):
    before = sorted(str(each) for each in root.rglob("*"))
    with pytest.raises(StoreError, match=f"Where: {re.escape(str(path))}. Got: .*{reason}"):
        delete(path, kind, root)
    assert sorted(str(each) for each in root.rglob("*")) == before


def test_what_was_made_here_goes_whole(box):
    delete(box, BOX, box.parent)
    assert not list(box.parent.iterdir())
    delete(box, BOX, box.parent)  # It need not be there.


def test_an_empty_folder_of_a_name_of_ours_goes_and_any_other_stays(tmp_path):
    for name in ("box-1", "box-2", "box-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "box-2" / "lid").touch()
    (tmp_path / "box-3" / "mine").mkdir()
    delete(tmp_path / "box-1", BOX, tmp_path)
    refused(tmp_path / "box-2", BOX, tmp_path, "no mark")
    refused(tmp_path / "box-3", BOX, tmp_path, "no mark")


@pytest.mark.parametrize("name", ["notes.txt", "paper/c", "paper/mine/a", "mine/", "lid.bak", f"paper/{MARK}"])
def test_a_folder_stays_whole_for_anything_else_in_it(box, name):
    path = box / name
    if name.endswith("/"):
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    refused(box, BOX, box.parent, f"it holds {name}, which was not made here")


def test_a_link_in_a_folder_is_not_of_our_making(box, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (box / "paper" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "a").touch()
    delete(box, BOX, box.parent)  # The link goes, which has a name of ours; and not what it leads to.
    assert (tmp_path / "elsewhere" / "a").exists()


@pytest.mark.parametrize("name", ["box-", "box-1x", "Box-1", "BOX-1", "box-1 (copy)", "my-box-1"])
def test_other_names_are_others(box, name):
    path = box.rename(box.with_name(name))
    refused(path, BOX, path.parent, "nothing that is made here has this name")


def test_a_folder_under_another_name_of_ours_is_a_copy(box):
    copy = box.with_name("box-2")
    shutil.copytree(box, copy)
    refused(copy, BOX, box.parent, "no mark")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"made_by": "me", "name": "box-1"}'])
def test_a_mark_is_what_we_write(box, content):
    (box / MARK).write_text(content)
    refused(box, BOX, box.parent, "no mark")


def test_a_folder_for_one_place_is_ours_there_and_where_all_was_moved(tmp_path):
    def gift(parent):
        folder = make_folder(tmp_path / parent / "gift", HERE, tmp_path)
        (folder / "card").touch()
        return folder

    first = gift("first")
    shutil.copytree(first, tmp_path / "second" / "gift")
    refused(tmp_path / "second" / "gift", HERE, tmp_path, "no mark")
    shutil.rmtree(tmp_path / "second")
    (tmp_path / "second").mkdir()
    first.rename(tmp_path / "second" / "gift")
    refused(tmp_path / "second" / "gift", HERE, tmp_path, "no mark")
    moved = gift("third").parent.rename(tmp_path / "fourth")
    delete(moved / "gift", HERE, tmp_path)
    assert not list(moved.iterdir())


def test_files_that_come_to_a_finished_folder_are_not_ours(tmp_path):
    fresh = make_folder(tmp_path / "gift", HERE, tmp_path)
    for name in ("ribbon", "sub/bow"):
        (fresh / name).parent.mkdir(exist_ok=True)
        (fresh / name).touch()
    refused(fresh, HERE, tmp_path, "it holds ribbon")
    finish_folder(fresh, fresh)
    (fresh / "card").touch()
    (fresh / "mine.gguf").touch()
    refused(fresh, HERE, tmp_path, "it holds mine.gguf")
    (fresh / "mine.gguf").unlink()
    delete(fresh, HERE, tmp_path)
    assert not fresh.exists()


def test_a_file_goes_from_a_folder_of_ours_alone(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "note-1.txt").touch()
    refused(tmp_path / "ours" / "note-1.txt", NOTE, tmp_path, "no mark")
    make_place(tmp_path / "ours")  # There is something else in it, so it stays somebody else's.
    refused(tmp_path / "ours" / "note-1.txt", NOTE, tmp_path, "no mark")
    make_place(tmp_path / "theirs")
    (tmp_path / "theirs" / "note-1.txt").touch()
    (tmp_path / "theirs" / "note-2.txt").mkdir()
    (tmp_path / "theirs" / "note-3.txt").symlink_to(tmp_path / "theirs" / "note-1.txt")
    refused(tmp_path / "theirs" / "note-2.txt", NOTE, tmp_path, "no")
    refused(tmp_path / "theirs" / "note-3.txt", NOTE, tmp_path, "it is a link")
    delete(tmp_path / "theirs" / "note-1.txt", NOTE, tmp_path)
    assert not (tmp_path / "theirs" / "note-1.txt").exists()


def test_a_link_is_followed_to_the_root_and_nowhere_else(box, tmp_path):
    root = tmp_path / "link"
    root.symlink_to(box.parent)
    (box.parent / "box-2").symlink_to(box)
    refused(root / "box-2", BOX, root, "it is a link")
    refused(root / "box-2" / "paper", PAPER, root, "it is a link, or lies behind one")
    refused(root / ".." / "root" / "box-1", BOX, root, "outside")
    refused(box, BOX, tmp_path / "other", "outside")
    refused(root, BOX, root, "outside")
    delete(root / "box-1" / "paper", PAPER, root)
    delete(root / "box-1", BOX, root)
    assert not box.exists()


def test_hard_links_are_names_of_their_own(box, tmp_path):
    os.link(box / "lid", tmp_path / "lid")
    (tmp_path / "lid").write_text("mine")
    delete(box, BOX, box.parent)
    assert (tmp_path / "lid").read_text() == "mine"


def test_what_a_removal_that_was_cut_off_leaves_is_known(box, monkeypatch):
    """After any number of deleted files the rest is still ours."""
    original, left = os.unlink, 2

    def unlink(*arguments, **options):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        original(*arguments, **options)

    monkeypatch.setattr(removal.os, "unlink", unlink)
    cuts = 0
    while box.exists():
        left, cuts = 1, cuts + 1
        try:
            delete(box, BOX, box.parent)
        except KeyboardInterrupt:
            assert doubt(box, BOX, box.parent) is None
    assert cuts > 3


def test_what_can_t_be_deleted_is_told_and_the_rest_goes(box, monkeypatch):
    original = os.unlink

    def unlink(name, **options):
        if name == "a":
            raise PermissionError(13, "Permission denied", name)
        original(name, **options)

    monkeypatch.setattr(removal.os, "unlink", unlink)
    with pytest.raises(OSError, match="paper/a"):
        delete(box, BOX, box.parent)
    monkeypatch.undo()
    assert sorted(path.name for path in box.rglob("*")) == [MARK, "a", "paper"]
    delete(box, BOX, box.parent)


def test_a_file_that_appears_during_a_removal_stays(box, monkeypatch):
    original = os.unlink

    def unlink(name, **options):
        original(name, **options)
        (box / "paper" / "mine").touch()

    monkeypatch.setattr(removal.os, "unlink", unlink)
    with pytest.raises(OSError, match="not empty"):
        delete(box, BOX, box.parent)
    assert (box / "paper" / "mine").exists()


def test_a_made_folder_takes_nobody_else_s_place(tmp_path):
    (tmp_path / "box-1").mkdir()
    (tmp_path / "box-1" / "lid").touch()
    (tmp_path / "box-2").symlink_to(tmp_path / "box-1")
    (tmp_path / "box-3").touch()
    for name in ("box-1", "box-2", "box-3"):
        with pytest.raises(StoreError, match=f"Where: .*{name}"):
            make_folder(tmp_path / name, BOX, tmp_path)
    assert not (tmp_path / "box-1" / MARK).exists()
    (tmp_path / "box-4").mkdir()  # As a kill between its making and its mark leaves it.
    for _ in range(2):
        assert doubt(make_folder(tmp_path / "box-4", BOX, tmp_path), BOX, tmp_path) is None


def test_a_claimed_folder_has_its_names_for_us(tmp_path):
    names = {"note-1.txt": NOTE, "gift": HERE}
    (tmp_path / "note-1.txt").touch()
    (tmp_path / "gift").mkdir()
    (tmp_path / "gift" / "card").touch()
    (tmp_path / "another").touch()
    with pytest.raises(ConfigError, match=r"Where: some.dir: .*note-1.txt \(no mark.*; gift \(no mark.*some.dir="):
        claim(tmp_path, names, "some.dir")
    assert not (tmp_path / MARK).exists()
    (tmp_path / "note-1.txt").unlink()
    shutil.rmtree(tmp_path / "gift")
    claim(tmp_path, names, "some.dir")
    (tmp_path / "note-1.txt").touch()
    claim(tmp_path, names, "some.dir")
    delete(tmp_path / "note-1.txt", NOTE, tmp_path)
    (tmp_path / "gift").mkdir()
    (tmp_path / "gift" / "card").touch()  # A user's, put there since.
    with pytest.raises(ConfigError, match=r"Got: gift \(no mark"):
        claim(tmp_path, names, "some.dir")


def test_a_claimed_folder_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for _ in range(2):
        claim(tmp_path / "link", {"note-1.txt": NOTE}, "some.dir")
        (tmp_path / "link" / "note-1.txt").touch()
    delete(tmp_path / "link" / "note-1.txt", NOTE, tmp_path / "link")


def test_a_scratch_file_follows_no_link_and_leaves_nothing(tmp_path):
    with scratch_file(tmp_path / "a") as one, scratch_file(tmp_path / "a") as other:
        assert one != other
        one.write_text("whole")
        one.rename(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_mark_names_no_place_of_the_machine(tmp_path):
    kind = Kind("student", r".*", marked=True, fixed=True)
    folder = make_folder(tmp_path / "student", kind, tmp_path)
    finish_folder(folder, folder)
    assert str(tmp_path) not in (folder / MARK).read_text()
    delete(folder, kind, tmp_path)
    assert not folder.exists()
