"""Blocks of the evidence that are really run, at tiny sizes."""

import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from benchmarks.evidence import page, tuning
from benchmarks.evidence.again import differences
from benchmarks.evidence.found import Found
from benchmarks.evidence.kept import ROLES, path_of, read
from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.real import BANKING77, rate_blocks
from benchmarks.evidence.study import tiny
from benchmarks.evidence.work import Places, state, work
from benchmarks.settings import ROOT
from scd_lightning.pipeline import run as pipeline


class Here(Executor):
    """Makes runs in this process, each when it is asked for."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def submit(self, function: Any, /, *arguments: Any, **more: Any) -> Future[Any]:
        self.made.append(arguments[1].name)
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **more))
        return future


class Untouchable(list):
    """A split that nobody may look at."""

    def _refuse(self, *_):
        raise AssertionError("a row of this split was looked at")

    __getitem__ = __iter__ = _refuse


@pytest.fixture
def guarded(monkeypatch):
    """Keeps test rows from everything that comes after the data were read."""
    prepare = pipeline.prepare

    def guarded_prepare(job):
        prepared = prepare(job)
        for rows in (prepared.data.samples, prepared.data.tokenized):
            rows["test"] = Untouchable(rows["test"])
        return prepared

    monkeypatch.setattr(pipeline, "prepare", guarded_prepare)


def test_tuning_and_ablations_answer_and_score_no_test_row_and_a_block_is_run_once(guarded, tmp_path, capsys):
    study = tiny(tmp_path / "blocks")
    (block,) = tuning.fine_tuning(study, "classification")
    places, pool = Places(tmp_path / "build"), Here()
    assert work(study, [block], places, pool) == []
    runs = block.runs(Rates(study))
    assert pool.made == [run.name for run in runs]
    kept = read(study.kept, block)
    assert kept is not None
    assert kept.content["split"] == "validation"
    for run in runs:
        assert len(kept.model(run.name)["scores"]) == len(kept.model(run.name)["losses"]) == study.sizes.tuning
        assert {role for role in ROLES if role in kept.runs[run.name]} == {"teacher", "anchor", "student"}
    # One teacher, whatever the number of runs.
    assert len({kept.runs[run.name]["teacher"] for run in runs}) == 1
    # Neither the store nor the runs' folders are asked.
    elsewhere = Places(tmp_path / "nothing")
    assert work(study, [block], elsewhere, Here()) == []
    assert not elsewhere.build.exists()
    assert "is there already" in capsys.readouterr().out
    # What waits for it has its rates now, and what waits for more says so.
    assert state(study, tuning.distillation(study, "classification")[0], Rates(study)) == "missing"
    (trouble,) = work(study, PARTS[2].blocks(study), places, Here())
    assert "part 1's methods-classification-100 has to be run first" in trouble
    assert "36" not in page.text(Found(study)).partition("## The blocks")[0]
    assert "| 1: learning rates | 3 | 1 | 2 |" in page.text(Found(study))


def test_a_missing_data_set_is_skipped_and_said(tmp_path):
    study = tiny(tmp_path / "blocks")
    blocks = rate_blocks(BANKING77, study)
    pool = Here()
    (trouble,) = work(study, blocks, Places(tmp_path / "build", tmp_path), pool)
    assert trouble.startswith("part 3, rates-banking77-10 is skipped: there is no data set banking77 in")
    assert pool.made == []
    assert not path_of(study.kept, blocks[0]).exists()


@pytest.mark.slow
def test_an_ablation_answers_no_test_row(guarded, tmp_path):
    study = tiny(tmp_path / "blocks")
    places = Places(tmp_path / "build")
    assert work(study, [*PARTS[1].blocks(study), *PARTS[7].blocks(study)], places, Here()) == []
    kept = read(study.kept, PARTS[7].blocks(study)[0])
    assert kept is not None
    # Each of its parts does something.
    losses = [tuple(kept.model(run)["losses"]) for run in kept.runs]
    assert len(set(losses)) > len(losses) / 2


@pytest.mark.slow
def test_what_is_killed_goes_on_and_comes_to_the_same(tmp_path):
    def command(name):
        program = [sys.executable, "-m", "benchmarks.evidence", "--tiny", str(tmp_path / name)]
        return [*program, "run", "--part", "1", "--build", str(tmp_path / name / "build")]

    started = subprocess.Popen(command("killed"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in started.stdout or ():
        if line.startswith("  2 of 4"):
            break
    started.kill()
    started.wait()
    time.sleep(2)  # Its processes end with it.
    study = tiny(tmp_path / "killed")
    (block,) = tuning.fine_tuning(study, "classification")
    assert read(study.kept, block) is None
    for name in ("killed", "whole"):
        subprocess.run(command(name), cwd=ROOT, check=True, capture_output=True)
    killed, whole = (read(tiny(tmp_path / name).kept, block) for name in ("killed", "whole"))
    assert killed is not None
    assert whole is not None
    assert differences(killed, whole) == (0, 0)
