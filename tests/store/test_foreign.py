"""A store among other things of the user's: what it did not make stays, whatever its name, and stops nothing."""

import fcntl
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from scd_lightning.errors import StoreError
from scd_lightning.store import clock
from scd_lightning.store.artifacts import ArtifactKey, ArtifactStore, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.collection import DAY, collect, collectable, left_alone, remove
from scd_lightning.store.integrity import read_manifest
from scd_lightning.store.inventory import scan
from scd_lightning.store.layout import ARTIFACT, MANIFEST, lock_path
from scd_lightning.store.locks import is_held, note_holder, try_lock
from scd_lightning.store.making import make_folder
from scd_lightning.store.manifest import read_sealed, write_sealed
from scd_lightning.store.ownership import doubt
from scd_lightning.store.registry import Registration, read_records
from scd_lightning.store.saved_state import STATE, ResumeState

ZEROS = 24 * "0"
# Folders and files of somebody else's at every place that something is deleted from; some have names of ours.
FOREIGN = (
    "anchor-of-the-boat/plan.txt",
    f"anchor-{ZEROS}/plan.txt",
    f"anchor-{ZEROS}.partial/plan.txt",
    f"student-{ZEROS}.partial/resume/plan.txt",
    f"TEACHER-{ZEROS}/plan.txt",
    "removed/2024-expenses/plan.txt",
    "removed/empty/",
    f"removed/anchor-{ZEROS}-01234567/plan.txt",
    "removed/plan.txt",
    "signals/head-of-department.safetensors",
    "signals/head.txt",
    f"signals/signals-{ZEROS}/plan.txt",
    "signals/plans/plan.txt",
    "runs/20240101-000000-000000-abcdef/plan.txt",
    "runs/marathon.lock",
    "locks/of-the-canal.lock",
    "locks/plan.json",
)


def plant(root: Path, names=FOREIGN) -> list[Path]:
    paths = [root / name for name in names]
    for path, name in zip(paths, names, strict=True):
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("mine")
    return paths


def dying(root: Path, name: str) -> None:
    """A run that made something and is gone with its folder."""
    with Registration(root, root.parent / "runs" / "gone", "python run.py") as run:
        run.add([name])


@pytest.mark.parametrize("first", [True, False])
def test_nothing_of_somebody_else_s_goes_with_gc(maker, ledger, first):
    paths = plant(maker.root) if first else []
    teacher, signals = maker.artifact("teacher"), maker.signals("0-1")
    paths = paths or plant(maker.root)
    dying(maker.root, teacher)
    collect(maker.root)
    for path in paths:
        ledger.record("a foreign file or folder in a store that gc cleans", path.exists())
    assert [path for path in paths if not path.exists()] == []
    assert not (maker.root / teacher).exists()
    assert not (maker.root / "signals" / signals).exists()
    named = {path.relative_to(maker.root).parts for path in left_alone(scan(maker.root))}
    planted = [path.relative_to(maker.root).parts for path in paths]
    assert all(any(each[: len(name)] == name for each in planted) or name[-1][:5] == "head-" for name in named)
    # A second time there is nothing left to do.
    assert [each.entry.path for each in collect(maker.root)] == []


def test_rm_names_what_it_leaves(maker):
    name = maker.artifact("student")
    (maker.root / name / "notes.txt").touch()
    with pytest.raises(StoreError, match=f"{name}: it holds notes.txt, which was not made here"):
        remove(maker.root, [name])
    (maker.root / name / "notes.txt").unlink()
    remove(maker.root, [name])
    assert not (maker.root / name).exists()


@pytest.mark.parametrize("relative", [True, False])
def test_an_artifact_that_was_moved_and_linked_stays_and_stops_nothing(maker, tmp_path, relative):
    linked, plain = maker.artifact("anchor"), maker.artifact("anchor", 1)
    target = (maker.root / linked).rename(tmp_path / "large disk")
    (maker.root / linked).symlink_to(f"../{target.name}" if relative else target)
    assert ArtifactStore(maker.root, "run").find(ArtifactKey("anchor", {"seed": 0})) is not None
    for _ in range(2):
        collect(maker.root)
        assert (maker.root / linked / "train_losses.npy").exists()
    assert not (maker.root / plain).exists()
    assert left_alone(scan(maker.root)) == {maker.root / linked: "it is a link, or lies behind one"}
    with pytest.raises(StoreError, match=f"{linked}: it is a link"):
        remove(maker.root, [linked])
    (target / MANIFEST).write_text("{")
    with pytest.raises(StoreError, match="left alone"):
        maker.artifact("anchor")
    assert (target / "train_losses.npy").exists()
    shutil.rmtree(target)
    collect(maker.root)


@pytest.mark.parametrize("place", ["removed", "signals", "locks"])
def test_nothing_goes_through_a_linked_folder(maker, tmp_path, place):
    teacher, signals = maker.artifact("teacher"), maker.signals("0-1")
    (maker.root / "removed").mkdir()
    target = (maker.root / place).rename(tmp_path / "elsewhere")
    (maker.root / place).symlink_to(target)
    (target / f"anchor-{ZEROS}-01234567").mkdir()
    before = {path.relative_to(target) for path in target.rglob("*")}
    if place == "removed":
        with pytest.raises(StoreError, match="link, which may lead out of the store.*delete the link"):
            collect(maker.root)
        assert (maker.root / teacher).exists()
    else:
        collect(maker.root)
        assert not (maker.root / teacher).exists()
    assert before <= {path.relative_to(target) for path in target.rglob("*")}
    assert (maker.root / "signals" / signals / "hidden.npy").exists() == (place != "locks")


def test_a_store_may_be_a_link_and_another_s_folder(maker, tmp_path):
    name = maker.artifact("anchor")
    (tmp_path / "link").symlink_to(maker.root)
    dying(tmp_path / "link", name)
    assert [each.entry.name for each in collect(tmp_path / "link")] == [name]
    assert not (maker.root / name).exists()


def test_one_that_can_t_be_deleted_does_not_stop_the_others(maker, monkeypatch):
    from scd_lightning.store import removal

    stuck, other = maker.partial(f"anchor-{ZEROS}"), maker.partial(f"student-{ZEROS}")
    moved = [path.rename(maker.root / "removed" / f"{path.stem}-01234567") for path in (stuck, other)]
    for path in moved:
        (path / "train_losses.npy").touch()
    original = os.rmdir

    def rmdir(name, **options):
        if str(name).startswith("anchor"):
            raise PermissionError(13, "Permission denied", name)
        original(name, **options)

    monkeypatch.setattr(removal.os, "rmdir", rmdir)
    with pytest.raises(StoreError, match=f"can't be deleted. Where: {moved[0]}. Got: Permission denied"):
        collect(maker.root)
    assert [path.exists() for path in moved] == [True, False]


# Names that stand in files.

OUTSIDE = ("../../../mine.txt", "/etc/hostname", "checkpoint-1.safetensors/../../mine", "mine.txt", "", None, 7)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_checkpoint_s_file_is_one_of_its_folder(tmp_path, name):
    entry = {"index": 0, "step": 1, "file": name, "sha256": "0", "metrics": {}}
    content = {"entries": [entry], "trainable": [], "complete": True, "frozen": None}
    write_sealed(tmp_path / "trajectory" / "manifest.json", content)
    with pytest.raises(StoreError, match="names a file that is none of its own"):
        _ = CheckpointStore(tmp_path / "trajectory").entries


@pytest.mark.parametrize("name", ["../mine.txt", "/etc/hostname", "a/../../b", "..", "a//b", "a/.", ""])
def test_an_artifact_s_files_are_in_it(maker, name):
    folder = maker.root / maker.artifact("anchor")
    manifest = read_sealed(folder / MANIFEST)
    read_manifest(folder, whole=True)
    write_sealed(folder / MANIFEST, manifest | {"files": {name: {"bytes": 0, "sha256": "0"}}})
    with pytest.raises(StoreError, match="names a file that is none of its own"):
        read_manifest(folder, whole=True)


@pytest.mark.parametrize("name", ["..", "../other", "step-1-0123abcd/..", "step-1", None])
def test_a_saved_state_s_folder_is_its_own(tmp_path, name):
    folder = make_folder(tmp_path / f"student-{ZEROS}.partial", ARTIFACT, tmp_path)
    state = ResumeState(folder)
    path = state.begin(1)
    path.write_bytes(b"x")
    state.commit(path, {"step": 1})
    write_sealed(state.root / STATE, read_sealed(state.root / STATE) | {"folder": name})
    with pytest.raises(StoreError, match="names a file that is none of its own"):
        state.find()


# Clocks.


def test_age_is_told_by_clocks_that_differ(maker, monkeypatch):
    """What has a time to come was made as the system says; a zone plays no part."""
    young, old = maker.artifact("anchor"), maker.artifact("anchor", 1)
    for name in (young, old):
        dying(maker.root, name)
    for name, seconds in ((young, time.time() + 400 * DAY), (old, time.time() - 40 * DAY)):
        os.utime(maker.root / name / MANIFEST, (seconds, seconds))
    for record in read_records(maker.root):
        os.utime(record.path, (time.time() - 40 * DAY,) * 2)
    for zone in ("Etc/GMT+12", "Etc/GMT-14", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert {each.entry.name for each in collectable(scan(maker.root), older_than=30)} == {old}
        assert {each.entry.name for each in collectable(scan(maker.root))} == {young, old}
        assert not collectable(scan(maker.root), older_than=41)
    monkeypatch.undo()
    time.tzset()


def test_records_of_machines_in_several_zones_are_in_their_order(maker, monkeypatch):
    names = [maker.artifact("anchor", seed) for seed in range(3)]
    for name, zone in zip(names, ("Etc/GMT-14", "Etc/GMT+12", "UTC"), strict=True):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        maker.run(name, name).__exit__()
    monkeypatch.undo()
    time.tzset()
    assert [record.run.name for record in read_records(maker.root)] == names


def test_a_clock_that_was_ahead_says_nothing(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    now = time.time()
    assert clock.plausible(now - 10, file) == now - 10
    assert now - 60 < clock.plausible(now + 1e6, file) <= time.time()
    monkeypatch.setattr(clock.time, "time", lambda: now - 1e6)
    assert clock.plausible(now, file) == now - 1e6  # The file's own change lies ahead too.


# Locks.


def test_what_a_kill_leaves_of_locks_goes_and_what_is_held_stays(maker):
    name, held = maker.artifact("anchor"), f"student-{ZEROS}"
    signals = maker.signals("0-1")
    path = lock_path(maker.root, held)
    lock = try_lock(path)
    assert lock is not None
    note_holder(path, "a run")
    lock_path(maker.root, signals).touch()
    orphan = maker.root / "runs" / "20240101-000000-000000-abcdef.lock"
    maker.run("alive", name)
    orphan.touch()
    collect(maker.root)
    assert {each.name for each in (maker.root / "locks").glob("*.*") if each.suffix in (".lock", ".json")} == {
        *("store.lock", path.name, f"{held}.json")
    }
    assert not orphan.exists()
    assert not list((maker.root / "signals").glob("*.lock"))
    assert len(list((maker.root / "runs").glob("*.lock"))) == 1
    assert is_held(path)
    lock.release()
    collect(maker.root)
    assert not path.exists()


def hold_in_turn(root: Path, turns: int, counts) -> None:
    """Takes one lock again and again; counts how many have it at once."""
    path = lock_path(root, f"anchor-{ZEROS}")
    for _ in range(turns):
        lock = try_lock(path, 30)
        assert lock is not None
        with counts.get_lock():
            counts[0] += 1
            counts[1] = max(counts[1], counts[0])
        time.sleep(0.001)
        with counts.get_lock():
            counts[0] -= 1
        lock.release()


def test_nobody_holds_a_lock_that_was_taken_away(maker):
    """Two processes in turn, while a third has the lock's file go whenever nobody holds it."""
    fork = multiprocessing.get_context("fork")
    maker.artifact("anchor")
    counts = fork.Array("i", 2)
    processes = [fork.Process(target=hold_in_turn, args=(maker.root, 60, counts)) for _ in range(2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        collect(maker.root)
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert counts[:] == [0, 1]


def test_a_lock_whose_file_was_deleted_is_no_lock(tmp_path, monkeypatch):
    """What `sweep` relies on: whoever opened a lock before its file went does not take it for the one of that name."""
    path = tmp_path / "a.lock"
    opened: list[int] = []
    original = fcntl.flock

    def flock(file, flags):
        if not opened:  # Between the opening of the file and its locking.
            opened.append(os.fstat(file).st_ino)
            path.unlink()
        return original(file, flags)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = try_lock(path, 5)
    assert lock is not None
    assert opened
    assert path.exists()
    lock.release()


# All that a run really leaves.


def test_all_that_runs_leave_in_a_store_can_go(make_job, run_job, tmp_path):
    job = make_job("method=scd_aw")
    with Registration(job.store.root, job.run_dir, "python run.py") as job.store.registration:
        run_job(job)
    entries = scan(job.store.root).entries
    assert {entry.kind for entry in entries} >= {"tokenizer", "teacher", "anchor", "student", "evaluation", "signals"}
    assert {entry.name: doubt(entry.path, entry.belongs, job.store.root) for entry in entries} == dict.fromkeys(
        entry.name for entry in entries
    )
    shutil.rmtree(job.run_dir)
    collect(job.store.root)
    assert scan(job.store.root).entries == ()
    left = {path.relative_to(job.store.root).as_posix() for path in job.store.root.rglob("*") if path.is_file()}
    assert left == {*(f"{name}/.scd_lightning" for name in ("locks", "runs", "signals")), "locks/store.lock"}


def test_an_unfinished_artifact_that_holds_something_else_is_not_begun_anew(maker):
    partial = maker.partial(ArtifactKey("anchor", {"seed": 0}).folder)
    (partial / "notes.txt").touch()
    with pytest.raises(StoreError, match=r"left alone.*it holds notes.txt.*Remedy: move it elsewhere"):
        maker.artifact("anchor")
    assert (partial / "notes.txt").exists()


def test_a_folder_with_an_artifact_s_name_is_nobody_s_place(maker):
    [path] = plant(maker.root, [f"{ArtifactKey('anchor', {'seed': 0}).folder}/mine.txt"])
    for _ in range(2):
        with pytest.raises(StoreError, match=f"left alone.* Where: {path.parent}. Got: no mark"):
            ArtifactStore(maker.root, "run").make(ArtifactKey("anchor", {"seed": 0}), lambda folder: Outcome({}, {}))
    assert path.read_text() == "mine"
