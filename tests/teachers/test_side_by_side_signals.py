"""Signals made by two processes are the ones that a single process makes."""

import hashlib
import threading
import time
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from filelock import FileLock

from scd_lightning.data.loaders import SlotLoader, fixed_batches
from scd_lightning.errors import StoreError
from scd_lightning.store.ownership import MARK
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.signals import SignalStore

CPU = torch.device("cpu")


def in_processes(count, work, folder):
    """Runs work(rank) in forked processes that form a group."""
    folder.mkdir(parents=True, exist_ok=True)

    def start(rank):
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=count)
        try:
            work(rank)
        finally:
            dist.destroy_process_group()

    mp.start_processes(start, nprocs=count, start_method="fork")


def content(root):
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock" and path.name != MARK)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def dealt(helpers, rank, world_size):
    """Eleven samples in the pipeline's own batches of two."""
    samples = helpers.samples()
    batches = fixed_batches(samples, range(11), 2, rank, world_size)
    return replace(helpers.sample_set(), batches=lambda: SlotLoader(samples, batches, 0))


def test_two_processes_write_the_folder_of_one(helpers, make_teacher, tmp_path):
    made = make_teacher()
    single = CachedSource(made.store, SignalStore(tmp_path / "one", "32"), dealt(helpers, 0, 1), made.live, CPU)
    single.load(1)

    def work(rank):
        source = CachedSource(made.store, SignalStore(tmp_path / "two", "32"), dealt(helpers, rank, 2), made.live, CPU)
        source.load(1)
        (tmp_path / f"counts-{rank}").write_text(f"{source.counts.loads} {source.counts.forward_samples}")
        # Each can answer for every sample, also for those that the other computed.
        for batch in helpers.batches(range(11)):
            assert torch.equal(source.outputs(batch).logits(), single.outputs(batch).logits())
            assert torch.equal(source.losses(batch, source.outputs(batch)), single.losses(batch, source.outputs(batch)))
        source.load(1)

    in_processes(2, work, tmp_path / "group")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert any(name.endswith("manifest.json") for name in content(tmp_path / "one"))
    assert [(tmp_path / f"counts-{rank}").read_text() for rank in range(2)] == ["1 6", "1 5"]


def test_fewer_samples_than_processes(helpers, make_teacher, tmp_path):
    made = make_teacher(torch.float64)

    def work(rank):
        samples = helpers.sample_set([4], rank, 2)
        source = CachedSource(made.store, SignalStore(tmp_path / "two", "64"), samples, made.live, CPU)
        source.load(0)
        live = made.live()
        live.load(0)
        batch = next(iter(helpers.batches([4], size=1)))
        torch.testing.assert_close(source.outputs(batch).logits(), live.outputs(batch).logits(), rtol=1e-12, atol=1e-12)

    in_processes(2, work, tmp_path / "group")


def test_processes_that_read_different_trajectories_stop(helpers, make_teacher, tmp_path):
    made = make_teacher()
    other = helpers.trajectory(tmp_path / "other", helpers.make_model(seed=4))

    def work(rank):
        live = made.live()
        if rank:
            live.store = other
        with pytest.raises(StoreError, match="different versions of teacher checkpoint 1"):
            live.load(1)

    in_processes(2, work, tmp_path / "group")


def test_two_runs_side_by_side_compute_a_signal_once(helpers, make_teacher, tmp_path):
    """Two processes that know nothing of one another but the store."""
    made = make_teacher()
    together = mp.get_context("fork").Barrier(2)

    def work(rank):
        torch.set_num_threads(1)
        source = CachedSource(made.store, SignalStore(tmp_path, "32"), helpers.sample_set(), made.live, CPU)
        together.wait()
        source.load(0)
        hidden = [source.hidden(batch) for batch in helpers.batches(range(11))]
        torch.save((source.counts.loads, source.counts.forward_samples, hidden), tmp_path / f"{rank}.pt")

    mp.start_processes(work, nprocs=2, start_method="fork")
    loads, passes, hidden = zip(*(torch.load(tmp_path / f"{rank}.pt") for rank in range(2)), strict=True)
    assert sorted(loads) == [0, 1]
    assert sorted(passes) == [0, 11]
    assert all(torch.equal(*pair) for pair in zip(*hidden, strict=True))


def test_a_run_waits_for_another_that_computes(helpers, make_teacher, tmp_path, capfd):
    made = make_teacher()
    store = SignalStore(made.root, "32-true")
    samples = helpers.sample_set()
    CachedSource(made.store, store, samples, made.live, CPU).load(0)
    folder = store.folder(made.store.digest(0), samples)
    # As it is while the other run is at work: locked, and its manifest not there yet.
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    lock = FileLock(f"{folder}.lock", thread_local=False)
    lock.acquire()

    def finish():
        time.sleep(6)
        (folder / "manifest.json").write_bytes(manifest)
        lock.release()

    thread = threading.Thread(target=finish)
    thread.start()
    source = CachedSource(made.store, store, samples, made.live, CPU)
    source.load(0)
    thread.join()
    assert source.counts.forward_samples == 0
    assert "Waiting for another run that computes the signals of checkpoint 0" in "".join(capfd.readouterr())
