"""A run in a folder of the user's own, with other things in it: they stay, and the run says so before it trains."""

import pytest

from scd_lightning.store.ownership import MARK

REFUSED = (
    "student/config.json",
    "results.json",
    "config.yaml",
    "failure.json",
    "attempt.json",
    "rejected.jsonl",
    "report.html/index.html",
    "predictions/student.jsonl",
)
FOREIGN = "a foreign file in a folder that a run writes to"
LEFT = (
    "train.jsonl",
    "students/config.json",
    "my-results.json",
    "predictions/mine.jsonl",
    "failures/notes.txt",
    "logs/2024.txt",
    "logs/mine/metrics.csv",
)


@pytest.fixture
def files(tmp_path):
    """All files below the test's folder, with their contents."""

    def read():
        found = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in found}

    return read


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_run_has_made_is_named_and_stays(run_py, tmp_path, files, ledger, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files()
    code, _, error = run_py("hydra.run.dir=.")
    ledger.record(FOREIGN, files() == before)
    assert code == 2
    assert f"Got: {name.removesuffix('/index.html')} in " in error
    assert "Remedy: choose another folder by hydra.run.dir=" in error
    assert files() == before


def test_another_folder_or_one_without_them_does(run_py, tmp_path):
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "mine.txt").touch()
    last = "teacher.checkpoints=1000"  # What is refused once the folder is taken.
    _, _, error = run_py("hydra.run.dir=.", last)
    assert "choose another folder by hydra.run.dir=, or move them away" in error
    _, _, error = run_py("hydra.run.dir=other", last)
    assert "checkpoints" in error
    (tmp_path / "student").rename(tmp_path / "mine")
    _, _, error = run_py("hydra.run.dir=.", last)
    assert "checkpoints" in error


def test_other_things_in_the_folder_are_no_matter(run_py, tmp_path, files, ledger):
    for name in LEFT:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("mine")
    before = files()
    for _ in range(2):  # What the first try leaves is the second one's own.
        code, _, error = run_py("hydra.run.dir=.", "task.data.path=none")
        assert code == 2
        assert "none" in error
    after = files()
    for name, content in before.items():
        ledger.record(FOREIGN, after.get(name) == content)
    assert {name: content for name, content in after.items() if name in before} == before
    made = {name for name in after.keys() - before.keys() if not name.startswith(".hydra/")}
    assert made == {MARK, "failure.json", "run.json"}


@pytest.mark.parametrize(
    ("place", "override"),
    [
        ("student", "student.path=run/student"),
        ("student", "teacher.path=./run/student"),
        ("student", "teacher.trajectory=[run/student]"),
        ("student", "task.data.path=run/../run/student/rows"),
        ("student", "paths.store=run/student/store"),
    ],
)
def test_what_a_run_reads_is_not_written_over(run_py, tmp_path, place, override):
    rows = tmp_path / "run" / place / "rows"
    rows.mkdir(parents=True)
    code, _, error = run_py("hydra.run.dir=run", override)
    assert code == 2
    assert "What the run reads lies where it writes" in error
    assert f"Where: {override.partition('=')[0]}" in error
    assert "choose another folder for the run with hydra.run.dir=, or copy this elsewhere" in error
    _, _, error = run_py("hydra.run.dir=other", override, "teacher.checkpoints=1000")
    assert "lies where it writes" not in error
