"""A sweep's folder is one sweep's: no job of another stands in its comparison."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from scd_lightning.analysis.comparison.failed_jobs import describe_attempts, is_finished
from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.search.trials import read_trials
from scd_lightning.errors import ConfigError
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.run_folder.sweep_folder import Sweep, swept_by
from scd_lightning.store.ownership import MARK

FIRST, SECOND = "first", "second"


@pytest.fixture
def job(tmp_path):
    """Runs a job of a sweep, well or not."""

    def run(sweep, name, fails="", identity=None):
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        folder = RunFolder(path, f"python run.py {sweep}", sweep=Sweep(tmp_path, sweep))
        folder.open()
        try:
            if fails == "at once":
                folder.note_failure("DataError", "There is no such file.")
                return folder.stop(ValueError())
            folder.take(identity or f"{sweep} {name}", {})
            if fails:
                folder.note_failure("NotFinite", "The loss is NaN.")
                return folder.stop(ValueError())
            (path / "results.json").write_text("{}")
            (path / "trial.json").write_text(json.dumps({"metric": "f1", "validation_metric": 0.5}))
            folder.finish()
        finally:
            folder.close()

    return run


def names(folder, sweep=None):
    return [path.name for path in find_runs(folder, sweep)]


def finished(folder):
    return [path.name for path in find_runs(folder) if is_finished(path)]


def test_the_first_job_of_another_sweep_takes_the_earlier_one_s_away(tmp_path, job):
    for name in "012":
        job(FIRST, name)
    for name in ("comparison.html", "comparison.json", "mine.txt", "1/mine.txt"):
        (tmp_path / name).write_text("x")
    job(SECOND, "0")
    assert swept_by(tmp_path) == SECOND
    left = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file() and path.name != MARK
    }
    assert left == {"sweep.json", "mine.txt", "1/mine.txt", *(f"0/{x}.json" for x in ("run", "results", "trial"))}
    assert names(tmp_path) == ["0"]


def test_jobs_that_fail_at_once_leave_an_earlier_sweep_whole(tmp_path, job):
    for name in "01":
        job(FIRST, name)
    (tmp_path / "comparison.html").write_text("x")
    for name in "012":
        job(SECOND, name, "at once")
    assert not Sweep(tmp_path, SECOND).owns
    assert finished(tmp_path) == names(tmp_path) == ["0", "1"]
    assert (tmp_path / "comparison.html").exists()
    assert names(tmp_path, SECOND) == ["0", "1", "2"]
    failures = describe_attempts(find_runs(tmp_path, SECOND), SECOND)
    assert [(each.folder, each.type) for each in failures] == [(name, "DataError") for name in "012"]


@pytest.mark.parametrize("fails", ["at once", "later"])
def test_a_job_that_failed_is_not_compared_by_an_earlier_one_s_results(tmp_path, job, fails):
    for name in "01":
        job(FIRST, name)
    job(FIRST, "0")
    job(FIRST, "1", fails, identity="other data")
    assert finished(tmp_path) == ["0"]
    trials = {trial.folder: trial for trial in read_trials(tmp_path)}
    assert trials["0"].metric == 0.5
    assert trials["1"].metric is None
    assert trials["1"].failure is not None
    assert trials["1"].failure.type == ("DataError" if fails == "at once" else "NotFinite")


def test_the_same_sweep_goes_on(tmp_path, job):
    job(FIRST, "0")
    job(FIRST, "1", "later")
    (tmp_path / "comparison.html").write_text("x")
    job(FIRST, "0")
    job(FIRST, "1")
    assert finished(tmp_path) == ["0", "1"]
    assert (tmp_path / "comparison.html").exists()


def test_a_job_that_was_run_alone_counts(tmp_path, job):
    job(FIRST, "0")
    job(FIRST, "1", "later")
    alone = RunFolder(tmp_path / "1", "python run.py")
    alone.open()
    alone.take("alone", {})
    (tmp_path / "1" / "results.json").write_text("{}")
    alone.finish()
    alone.close()
    assert finished(tmp_path) == ["0", "1"]


def test_a_live_job_of_an_earlier_sweep_is_left(tmp_path, job):
    job(FIRST, "1")
    live = RunFolder(tmp_path / "1", "python run.py", sweep=Sweep(tmp_path, FIRST))
    live.open()
    job(SECOND, "0")
    assert (tmp_path / "1" / "results.json").exists()
    assert names(tmp_path) == ["0"]
    live.close()


def test_two_jobs_of_one_sweep_can_not_have_one_folder(tmp_path):
    path = tmp_path / "all"
    path.mkdir()
    sweep = Sweep(tmp_path, FIRST)
    for job, start, refused in (
        (0, sweep.start, False),
        (0, sweep.start, False),
        (1, sweep.start, True),
        (1, "", False),
    ):
        folder = RunFolder(path, "python run.py", sweep=replace(sweep, job=job, start=start))
        with pytest.raises(ConfigError, match="Jobs 0 and 1 .*hydra.sweep.subdir") if refused else nullcontext():
            folder.open()
        if not refused:
            folder.take(str(job), {})
            folder.finish()
        folder.close()


@pytest.mark.parametrize("name", ["search.json", "sweep.json", "comparison.html"])
def test_files_of_the_user_s_are_refused_and_left(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"hydra.sweep.dir.*{name}"):
        Sweep(tmp_path, FIRST).take()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
