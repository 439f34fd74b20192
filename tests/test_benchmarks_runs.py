"""Whole runs that are too small to say anything: they show that a benchmark's job is still one that distils."""

from dataclasses import asdict, replace

import pytest

from benchmarks import run_once, workload
from benchmarks.jobs import Plan, prepare
from benchmarks.workload import Case, Shape

CASE = Case("tiny", 50, 6, 2, 2, 1, Shape(16, 2, 4, 2, 40), Shape(32, 2, 4, 4, 64), samples=8)
PARTS = {"sft_step", "head", "vocabulary_pass", "teacher_samples", "teacher_probe", "student_probe"}
PARTS |= {"probe_head", "probe_vocabulary_pass"}


@pytest.mark.slow
def test_runs_and_the_parts_of_their_floors(tmp_path):
    workload.make(CASE, tmp_path)
    plan = Plan(str(tmp_path), "td", "cached", stages=2, stage_epochs=1, probe=4, checkpoints=3)
    prepare(plan)
    plans = [plan, replace(plan, method="scd_aw")]
    td, scd_aw = run_once.main({"plans": [asdict(each) for each in plans], "parts": True})
    # 2 stages of one epoch of 8 samples, 2 in a batch.
    assert td["steps"] == scd_aw["steps"] == 8
    assert td["checkpoints"] == [2, 2]
    assert td["teacher_loads"] == 1
    # Each checkpoint for its probe, and those again that teach.
    assert scd_aw["teacher_loads"] == 3 + len(set(scd_aw["checkpoints"]))
    for run in (td, scd_aw):
        assert run["within_epochs"] == {"loads": 0, "forward_samples": 0}
        assert set(run["parts"]) == PARTS
        assert all(part["seconds"] > 0 for part in run["parts"].values())
