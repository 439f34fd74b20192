"""The search beside scoring each candidate, too small for a time to say anything: both have the same results."""

import pytest

from benchmarks import choosing
from benchmarks.rows import search_ratio

DATA = "task.data.synthetic={train: 64, validation: 8, test: 24}"
TUNED = ["teacher=embedded", "student=embedded", "teacher.checkpoints=1", "teacher.epochs=2"]
ORDER = {"model": "teacher", "samples": 20, "rounds": 1, "device": "cpu"}


@pytest.mark.slow
def test_both_ways_have_the_same_results(tmp_path):
    row = choosing.main(ORDER | {"overrides": ["task=classification", DATA, *TUNED]}, tmp_path)
    assert (row["samples"], row["rounds"], row["different"], row["losses_apart"]) == (20, 1, 0, 0.0)
    assert row["tokens"]["search"] < row["tokens"]["probabilities"] < row["tokens"]["exhaustive"]
    assert all(search_ratio(row, clock) > 0 for clock in ("seconds", "cpu_seconds"))
