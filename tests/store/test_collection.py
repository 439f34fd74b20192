"""What goes and what stays, with runs that live, die, and remove at the same time."""

import multiprocessing
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scd_lightning.errors import StoreError
from scd_lightning.store import collection, removal
from scd_lightning.store.artifacts import ArtifactKey, ArtifactStore, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.collection import collect, collectable, remove
from scd_lightning.store.inventory import checkpoint_digests, open_store, scan
from scd_lightning.store.layout import PINNED, lock_path
from scd_lightning.store.locks import try_lock
from scd_lightning.store.ownership import MARK
from scd_lightning.store.registry import Registration, read_records

fork = multiprocessing.get_context("fork")


def going(root, **options):
    return {each.entry.path.name: each.reason for each in collectable(scan(root), **options)}


def test_what_a_live_run_uses_stays_and_what_a_dead_one_used_goes(maker):
    used, free = maker.artifact("anchor"), maker.artifact("anchor", 1)
    run = maker.run("first", used)
    with pytest.raises(
        StoreError, match=rf"Nothing was removed.*{used}: .*/first \(process {os.getpid()} on .*using it"
    ):
        remove(maker.root, [free, used])
    assert (maker.root / free).is_dir()
    remove(maker.root, [free])
    run.__exit__()
    remove(maker.root, [used])
    assert not [path for path in maker.root.iterdir() if path.name.startswith("anchor")]
    assert not list((maker.root / "removed").iterdir())


def use_and_wait(root: Path, run: Path, name: str, ready) -> None:
    with Registration(root, run, "python run.py") as registration:
        registration.add([name])
        ready.set()
        time.sleep(60)


def test_a_killed_run_uses_nothing_any_more(maker, tmp_path):
    name, ready = maker.artifact("anchor"), fork.Event()
    process = fork.Process(target=use_and_wait, args=(maker.root, tmp_path, name, ready))
    process.start()
    assert ready.wait(20)
    with pytest.raises(StoreError, match=f"process {process.pid} "):
        remove(maker.root, [name])
    process.kill()
    process.join(20)
    remove(maker.root, [name])
    assert not (maker.root / name).exists()


def register_often(root: Path, runs: Path, name: str, failures) -> None:
    for turn in range(30):
        with Registration(root, runs / str(turn), "python run.py") as run:
            run.add([name])
            # From here on it stays as it is: there, or not there until somebody makes it.
            seen = {(root / name).is_dir() for _ in range(200)}
            if len(seen) > 1:
                failures.put(turn)


def test_nothing_vanishes_under_a_run_that_just_registered(maker, tmp_path):
    failures = fork.Queue()
    name = maker.artifact("anchor")
    process = fork.Process(target=register_often, args=(maker.root, tmp_path, name, failures))
    process.start()
    while process.is_alive():
        with suppress(StoreError):
            remove(maker.root, [name])
            break
    process.join(30)
    assert failures.empty()


def test_a_teachers_signals_go_with_it_and_stay_with_it(maker):
    teacher, other = maker.artifact("teacher", 0), maker.artifact("teacher", 1)
    signals, others = maker.signals("0-1"), maker.signals("1-0")
    run = maker.run("first", teacher)
    with pytest.raises(StoreError, match=f"{signals}: .*first"):
        remove(maker.root, [signals])
    remove(maker.root, [other])
    assert not (maker.root / "signals" / others).exists()
    assert (maker.root / "signals" / signals).exists()
    assert len(list((maker.root / "signals").glob("head-*"))) == 2  # A live run may be about to share it.
    run.__exit__()
    remove(maker.root, [teacher])
    assert {path.name for path in (maker.root / "signals").iterdir()} <= {f"{signals}.lock", f"{others}.lock", MARK}


def test_pinned_stays(maker):
    name = maker.artifact("student")
    (maker.root / name / PINNED).touch()
    assert name not in going(maker.root)
    with pytest.raises(StoreError, match="it is pinned"):
        remove(maker.root, [name])


def test_gc_lists_exactly_what_nobody_misses(maker):
    kept, gone, lone, pinned, broken = (maker.artifact("anchor", seed) for seed in range(5))
    teacher = maker.artifact("teacher")
    signals, orphan = maker.signals("0-0"), maker.signals("9-9")
    used = {"kept": [kept, teacher], "gone": [gone]}
    (maker.root / pinned / PINNED).touch()
    (maker.root / broken / "artifact.json").write_text("{")
    for name in (kept, teacher):  # Names that are there, too.
        maker.partial(name)
    (maker.root / "student-000000000000000000000000.partial").mkdir()
    # What a run can go on from, and what a run could that is gone.
    for name, run in (("student-1", "kept"), ("student-2", "gone")):
        (maker.partial(name + 23 * "0") / "resume").mkdir()
        used[run].append(name + 23 * "0")
    for name, artifacts in used.items():
        maker.run(name, *artifacts).__exit__()
    shutil.rmtree(maker.runs / "gone")
    left = maker.partial(f"anchor-{24 * '9'}").rename(maker.root / "removed" / f"anchor-{24 * '9'}-01234567")
    (maker.root / "notes of mine").mkdir()
    making = try_lock(lock_path(maker.root, "student-000000000000000000000000"))
    assert making is not None
    reasons = going(maker.root)
    unfinished = f"student-2{23 * '0'}.partial"
    expected = {gone, lone, broken, f"{kept}.partial", f"{teacher}.partial", left.name, orphan, unfinished}
    heads = [name for name in reasons if name.startswith("head-")]
    assert set(reasons) == expected | set(heads)
    assert len(heads) == 1
    assert "are gone" in reasons[gone]
    assert "no run on record" in reasons[lone]
    making.release()
    assert set(going(maker.root, keep_last=1)) == set(going(maker.root)) - {gone, unfinished}
    assert not going(maker.root, older_than=1)
    collect(maker.root)
    assert {path.name for path in maker.root.iterdir()} == {
        *(kept, pinned, teacher, f"student-1{23 * '0'}.partial", "locks", "runs", "signals", "removed", "notes of mine")
    }
    assert signals in {path.name for path in (maker.root / "signals").iterdir()}
    assert [record.run.name for record in read_records(maker.root)] == ["kept"]
    assert not going(maker.root)


@pytest.mark.parametrize("keep_last", [3, 4, 100])
def test_more_runs_are_kept_than_there_are(maker, keep_last):
    names = [maker.artifact("anchor", seed) for seed in range(3)]
    for name in names:
        maker.run(name, name).__exit__()
        shutil.rmtree(maker.runs / name)
    assert not collect(maker.root, keep_last=keep_last)
    assert len(read_records(maker.root)) == 3
    assert set(going(maker.root)) == set(names)


def test_nothing_goes_while_a_living_run_s_record_is_unknown(maker):
    name = maker.artifact("anchor")
    run = maker.run("run", name)
    [record] = read_records(maker.root)
    record.path.write_text("{")
    for attempt in (lambda: remove(maker.root, [name]), lambda: collect(maker.root)):
        with pytest.raises(StoreError, match="can't be told what a run is using"):
            attempt()
    run.__exit__()
    with pytest.raises(StoreError, match=f"record is damaged.* Where: {record.path}. Remedy: delete this file"):
        collect(maker.root)
    remove(maker.root, [name])


def test_records_are_in_the_order_in_which_runs_started(maker):
    for index in range(12):
        maker.run(f"run{index}", maker.artifact("anchor")).__exit__()
    assert [record.run.name for record in read_records(maker.root)] == [f"run{index}" for index in range(12)]


def test_old_things_by_their_last_use(maker):
    name = maker.artifact("anchor")
    old = time.time() - 40 * collection.DAY
    os.utime(maker.root / name / "artifact.json", (old, old))
    assert name in going(maker.root, older_than=30)
    maker.run("gone", name).__exit__()
    shutil.rmtree(maker.runs / "gone")
    assert name in going(maker.root)
    assert name not in going(maker.root, older_than=30)


def kill_in_the_middle(root: Path, name: str) -> None:
    removal.os.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    remove(root, [name])


def test_a_killed_removal_leaves_no_half_artifact(maker):
    name = maker.artifact("anchor")
    process = fork.Process(target=kill_in_the_middle, args=(maker.root, name))
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    assert not (maker.root / name).exists()
    assert "left over by an interrupted removal" in going(maker.root).values()
    assert maker.artifact("anchor") == name
    collect(maker.root, older_than=0, keep_last=0)
    assert not list((maker.root / "removed").iterdir())


def test_a_run_that_is_started_again_in_its_folder_has_one_record(maker):
    first, second = maker.artifact("anchor"), maker.artifact("anchor", 1)
    maker.run("run", first).__exit__()
    with Registration(maker.root, maker.runs / "run", "python run.py"):
        pass  # One that ends at once leaves the folder, and what is known of it, to the earlier one.
    assert [record.artifacts for record in read_records(maker.root)] == [(first,)]
    with Registration(maker.root, maker.runs / "run", "python run.py") as again:
        again.supersede()
        again.add([second])
    assert [record.artifacts for record in read_records(maker.root)] == [(second,)]
    with Registration(maker.root, maker.runs / "other", "python run.py"):
        pass
    assert len(read_records(maker.root)) == 1  # One that used nothing leaves nothing.


def test_making_is_using(maker):
    store = ArtifactStore(maker.root, "run")
    with Registration(maker.root, maker.runs, "python run.py") as store.registration:
        made = store.make(ArtifactKey("anchor", {}), lambda folder: Outcome({}, {}))
        with pytest.raises(StoreError, match="is using it"):
            remove(maker.root, [made.folder.name])


def test_checkpoints_have_the_digests_that_signals_are_stored_under(make_job, run_job):
    job = make_job("phases=[teacher_sft]")
    folder = run_job(job)["teacher"].folder / "trajectory"
    digests = [CheckpointStore(folder).digest(index) for index in range(len(CheckpointStore(folder).entries))]
    assert checkpoint_digests(folder) == digests


def test_a_folder_that_is_no_store(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="no store"):
            open_store(folder)
