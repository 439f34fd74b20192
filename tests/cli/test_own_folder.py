"""A run in a folder of the user's own, with other things in it: they stay, and the run says so before it trains."""

import pytest

from scd_lightning.pipeline.run_folder import MADE_ANEW, claim_run_folder
from scd_lightning.store.making import finish_folder, make_folder
from scd_lightning.store.ownership import MARK

FOREIGN: tuple[str, ...] = ("student/config.json", "predictions/mine.jsonl", "failures/notes.txt", "logs/2024.txt")
FOREIGN += ("results.json", "config.yaml", "failure.json", "rejected.jsonl", "report.html/index.html")


@pytest.fixture
def files(tmp_path):
    """All files below the test's folder but Hydra's own, with their contents."""

    def read():
        found = (path for path in tmp_path.rglob("*") if path.is_file() and ".hydra" not in path.parts)
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in found}

    return read


@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_run_has_made_is_named_and_stays(run_py, tmp_path, files, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = files()
    code, _, error = run_py("hydra.run.dir=.")
    assert code == 2
    assert f"Got: {name.partition('/')[0]} (" in error
    assert "Remedy: choose another folder with hydra.run.dir=" in error
    assert files() == before


def test_other_things_in_the_folder_are_no_matter(run_py, tmp_path, files):
    for name in ("train.jsonl", "students/config.json", "Student/config.json", "my-results.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = files()
    for _ in range(2):  # What the first try leaves is the second one's own.
        code, _, error = run_py("hydra.run.dir=.", "task.data.path=none")
        assert code == 2
        assert "none" in error
    assert {name: content for name, content in files().items() if name in before} == before
    assert files().keys() - before.keys() == {MARK, "failure.json"}


@pytest.mark.parametrize(
    ("place", "override"),
    [
        ("student", "student.path=run/student"),
        ("student", "teacher.path=./run/student"),
        ("student", "teacher.trajectory=[run/student]"),
        ("student", "task.data.path=run/../run/student/rows"),
        ("predictions", "task.data.path=link"),
        ("student", "paths.store=run/student/store"),
    ],
)
def test_what_a_run_reads_is_not_written_over(run_py, tmp_path, files, place, override):
    run = tmp_path / "run"
    run.mkdir()
    claim_run_folder(run)
    made = make_folder(run / place, MADE_ANEW[place], run)
    (made / "rows").mkdir()
    (made / "rows" / "train.jsonl").touch()
    finish_folder(made, made)
    (tmp_path / "link").symlink_to(made / "rows")
    code, _, error = run_py("hydra.run.dir=run", override)
    assert code == 2
    assert "What the run reads lies where it writes" in error
    assert f"Where: {override.partition('=')[0]}" in error
