"""Disks that are full, read-only, or lose a file while it is in use; then the same command again."""

import resource
import shutil
import subprocess

import pytest
from lightning import Callback

from scd_lightning.errors import StoreError

FULL, READ_ONLY, GONE = "a full disk", "a read-only store", "a file that vanishes while it is in use"


@pytest.fixture
def disk(tmp_path):
    """A disk of the test's own: sets its size, or whatever else mount can."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def mount(options):
        line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(line, capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(folder)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def attempt(run_py, whole):
    """Runs the whole run's command with store and run in a folder: exit code and what was said on standard error."""

    def call(folder, run="run"):
        paths = (f"paths.store='{folder}/store'", f"hydra.run.dir='{folder}/{run}'")
        code, _, err = run_py(whole.METHOD, *paths)
        return code, err

    return call


def is_a_paragraph(err):
    lines = [line for line in err.splitlines() if line.strip()]
    assert "Traceback" not in err
    # Without room for the run's folder, nothing has begun.
    assert lines[-1].startswith(("StoreError: ", "ConfigError: The run's folder can't be"))
    assert "Where: " in lines[-1]


def finished(store):
    return {path.parent.name: path.stat().st_ino for path in store.glob("*-*/artifact.json")}


def full_then_larger(disk, attempt, whole, ledger, kilobytes):
    folder = disk(f"size={kilobytes}k")
    with ledger.attempt(FULL) as try_:
        code, err = attempt(folder)
        assert code == 2
        is_a_paragraph(err)
        kept = finished(folder / "store")
        disk("remount,size=16m")
        assert attempt(folder)[0] == 0
        assert kept.items() <= finished(folder / "store").items()
        whole.same(folder / "run")
        try_.lost = "what was being written"


def test_a_disk_that_is_full_after_the_first_stages(disk, attempt, whole, ledger):
    full_then_larger(disk, attempt, whole, ledger, 1600)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [4, 20, 40, 100, *range(200, 2200, 200)])
def test_a_disk_that_is_full(disk, attempt, whole, ledger, kilobytes):
    full_then_larger(disk, attempt, whole, ledger, kilobytes)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [1, 20, 80, 100, 200])
def test_files_that_may_not_become_so_large(attempt, whole, ledger, tmp_path, kilobytes):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ledger.attempt(FULL) as try_:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, limits[1]))
        try:
            code, err = attempt(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert code == 2
        is_a_paragraph(err)
        assert attempt(tmp_path)[0] == 0
        whole.same(tmp_path / "run")
        try_.lost = "what was being written"


@pytest.mark.slow
@pytest.mark.parametrize("with_store", [True, False])
def test_a_read_only_disk(disk, attempt, whole, ledger, with_store):
    folder = disk("size=16m")
    if with_store:
        whole.copy(folder)
    disk("remount,ro")
    with ledger.attempt(READ_ONLY):
        code, err = attempt(folder)
        assert code == 2
        assert "Traceback" not in err
        disk("remount,rw")
        assert attempt(folder)[0] == 0
        whole.same(folder / "run")


@pytest.mark.slow
def test_a_read_only_store_alone(disk, run_py, whole, ledger, tmp_path):
    folder = disk("size=16m")
    whole.copy(folder)
    disk("remount,ro")
    with ledger.attempt(READ_ONLY):
        paths = (f"paths.store='{folder}/store'", f"hydra.run.dir='{tmp_path}/run'")
        code, _, err = run_py(whole.METHOD, *paths)
        assert code == 2
        is_a_paragraph(err)
        disk("remount,rw")
        assert run_py(whole.METHOD, *paths)[0] == 0
        whole.same(tmp_path / "run")


class Remover(Callback):
    """Deletes something when the student has made some steps of its distillation."""

    def __init__(self, paths):
        self.paths = paths

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if type(pl_module).__name__ == "Distillation" and trainer.global_step == 3:
            for path in self.paths():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("pattern", ["teacher-*", "anchor-*/weights/checkpoint-*", "signals/signals-*", "signals"])
def test_files_that_vanish(make_job_in, run_job, whole, ledger, tmp_path, pattern):
    folder = whole.copy(tmp_path)
    for path in [*(folder / "store").glob("student-*"), *(folder / "store").glob("evaluation-*")]:
        shutil.rmtree(path)
    job = make_job_in(folder)(whole.METHOD)
    job.callbacks = [lambda: Remover(lambda: list((folder / "store").glob(pattern)))]
    with ledger.attempt(GONE) as try_:
        if "signals" in pattern:  # Those that are in use stay so, and others are made anew.
            run_job(job)
        else:
            with pytest.raises(StoreError, match=r"missing. Where: .*\. Remedy: ") as error:
                run_job(job)
            assert str(folder / "store") in str(error.value)
            whole.run(folder)
        whole.same(folder / "run")
        try_.lost = "what vanished, made anew"
