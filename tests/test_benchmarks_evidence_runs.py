"""Blocks of the evidence that are really run, at tiny sizes."""

import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.evidence import page, tuning
from benchmarks.evidence.again import differences
from benchmarks.evidence.blocks import Run
from benchmarks.evidence.found import Found
from benchmarks.evidence.kept import ROLES, path_of, read, write
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
    """Keeps test rows from all that is trained, answered and reported, once the data are there and were looked at."""
    execute = pipeline.execute

    def guarded_execute(job, steps):
        for rows in (job.data.samples, job.data.tokenized):
            rows["test"] = Untouchable(rows["test"])
        return execute(job, steps)

    monkeypatch.setattr(pipeline, "execute", guarded_execute)


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
    assert "| 1: learning rates | 3 | 1 | 2 |" in page.text(Found(study))


def test_a_missing_data_set_is_skipped_and_said(tmp_path):
    study = tiny(tmp_path / "blocks")
    blocks = rate_blocks(BANKING77, study)
    pool = Here()
    (trouble,) = work(study, blocks, Places(tmp_path / "build", tmp_path), pool)
    assert trouble.startswith("part 3, rates-banking77-10 is skipped: there is no data set banking77 in")
    assert pool.made == []
    assert not path_of(study.kept, blocks[0]).exists()


def test_what_was_shown_is_not_run_again_with_other_settings(tmp_path):
    study = tiny(tmp_path / "blocks")
    (block,) = (each for each in PARTS[2].blocks(study))
    fixed = replace(block, make=lambda _: [Run("sft", ("method=sft",))])
    write(study.kept, fixed, {"settings": "other"})
    before, pool = path_of(study.kept, fixed).read_bytes(), Here()
    (trouble,) = work(study, [fixed], Places(tmp_path / "build"), pool)
    assert "was shown with other settings" in trouble
    assert (pool.made, path_of(study.kept, fixed).read_bytes()) == ([], before)


@pytest.mark.slow
def test_all_parts_on_embedded_data_run_and_ablations_answer_no_test_row(request, tmp_path):
    study = replace(tiny(tmp_path / "blocks"), grid=(4e-3,))
    places = Places(tmp_path / "build")
    blocks = {number: [each for each in part.blocks(study) if each.data is None] for number, part in PARTS.items()}
    for number in (2, 5, 6):
        assert work(study, [*blocks[1], *blocks[number]], places, Here()) == []
    request.getfixturevalue("guarded")
    assert work(study, blocks[7], places, Here()) == []
    kept = read(study.kept, blocks[7][0])
    assert kept is not None
    # Each of its settings does something, but for rules that choose alike where there is little to choose from.
    losses = [tuple(kept.model(run)["losses"]) for run in kept.runs]
    assert len(set(losses)) > len(losses) / 2
    assert "Not there: part 3" in page.text(Found(study))


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
