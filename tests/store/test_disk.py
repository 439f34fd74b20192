"""Room on a disk; its errors, whoever reports them, and those that are something else."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from scd_lightning.errors import DataError, StoreError
from scd_lightning.store.disk import check_free_space, explained

RUN, STORE = Path("/runs/one"), Path("/the/store")
FOLDERS = {"the run's folder": RUN, "the store": STORE}


def of_a_library():
    try:
        raise Exception("Error while serializing: I/O error: No space left on device (os error 28)")
    except Exception as error:
        raise RuntimeError("saving has failed") from error


def failing(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (
            failing(OSError(errno.ENOSPC, "No space left")),
            "The disk is full. Where: the run's folder /runs/one, the store",
        ),
        (of_a_library, "The disk is full. Where: the run's folder /runs/one"),
        (failing(OSError(errno.EROFS, "Read-only", "/else/where")), "can't be written here. Where: /else/where. Got"),
        (failing(OSError(errno.EIO, "Input/output error")), "The disk can't be read or written"),
        (failing(FileNotFoundError(errno.ENOENT, "No such file", "/the/store/a")), "is gone. Where: /the/store/a"),
        (
            failing(PermissionError(errno.EACCES, "Permission denied", "/runs/one/b")),
            "can't be written here. Where: /runs",
        ),
        (
            failing(RuntimeError("unable to write to file </torch_71_220_0>: No space left on device (28)")),
            "no memory that processes can share, or too little.*--shm-size.*devices=1",
        ),
        (
            failing(RuntimeError("unable to open shared memory object </torch_8_1> in read-write mode: (2)")),
            "no memory that processes can share.*/dev/shm",
        ),
        (failing(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")), "set TMPDIR"),
        (failing(RuntimeError("writing failed: No space left on device (28)")), "The disk is full"),
    ],
)
def test_an_error_of_the_disk_is_the_users_to_mend(fail, message):
    with pytest.raises(StoreError, match=message) as error, explained(FOLDERS):
        fail()
    assert "Remedy: " in str(error.value)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "/the/package/template"),
        FileNotFoundError("without a number"),
        DataError("a row is bad"),
        ValueError("a defect"),
        RuntimeError("shape mismatch at dimension (28)"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised, explained(FOLDERS):
        raise error
    assert raised.value is error


def test_free_space_is_asked_of_the_nearest_folder(tmp_path, monkeypatch):
    folder = tmp_path / "not" / "yet"
    free = {tmp_path: SimpleNamespace(free=2_000_000_000)}
    monkeypatch.setattr("shutil.disk_usage", free.__getitem__)
    check_free_space(folder, 2_000_000_000)
    with pytest.raises(StoreError) as error:
        check_free_space(folder, 5_400_000_000)
    assert str(error.value) == (
        f"The disk has no room for the checkpoints. Where: {folder}. Got: 2.0 GB free. Expected: "
        f"5.4 GB. Remedy: free some space, as `python -m scd_lightning.store gc --store={folder} --yes` "
        "does (without --yes it lists what can go), keep fewer with teacher.checkpoints, or choose another folder with "
        "paths.store."
    )
