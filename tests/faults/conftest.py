"""A run that nothing happened to, for tests that do it harm."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from scd_lightning.pipeline.prepare import prepare
from scd_lightning.store.registry import Registration


class Whole:
    """A small run that nothing happened to, and copies of it to do harm to.

    Attributes:
        folder: Holds `store` and `run`.
    """

    METHOD = "method=scd_aw"

    def __init__(self, folder: Path, make_job_in: Any, run_job: Any) -> None:
        self.folder, self._make_job_in, self._run_job = folder, make_job_in, run_job
        self.run(folder)

    def copy(self, folder: Path) -> Path:
        """Another folder with the same store, and no run's."""
        shutil.copytree(self.folder / "store", folder / "store")
        return folder

    def run(self, folder: Path, *overrides: str) -> set[str]:
        """Runs the command in a folder; returns the names of the artifacts that it made."""
        job = self._make_job_in(folder)(self.METHOD, *overrides, prepared=False)
        with Registration(job.store.root, job.run_dir, "python run.py") as job.store.registration:
            self._run_job(prepare(job))
        return job.store.made

    def same(self, run: Path) -> None:
        """Compares what a run reports, and the student that it leaves, byte by byte."""
        names = ["results.json", "schedule.json", "student/model.safetensors"]
        for name in [*names, *(f"predictions/{model}.jsonl" for model in ("teacher", "anchor", "student"))]:
            assert (run / name).read_bytes() == (self.folder / "run" / name).read_bytes(), name


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, make_job_in: Any, run_job: Any) -> Whole:
    """The undamaged run."""
    return Whole(tmp_path_factory.mktemp("whole"), make_job_in, run_job)
