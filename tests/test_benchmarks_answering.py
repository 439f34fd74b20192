"""The phase `answer` beside bare loops: that both answer the same texts alike, too small for a time to say anything."""

import pytest

from benchmarks import answering
from benchmarks.rows import text_ratios

ORDER = {"texts": 24, "rows": 32, "epochs": 1, "rounds": 1, "device": "cpu"}
TIMED = {"phase", "validation", "generate", "decode"}


@pytest.mark.slow
def test_phase_and_loops_answer_the_same_texts(tmp_path):
    row = {"name": "answer"} | answering.main(ORDER, tmp_path)
    assert (row["texts"], row["rounds"], row["equal"]) == (24, 1, 1.0)
    for clock in ("seconds", "cpu_seconds"):
        assert row[clock].keys() == TIMED
        assert all(of["median"] > 0 for of in row[clock].values())
    assert set(text_ratios(row)) == {"generate", "decode"}
