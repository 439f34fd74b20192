"""Predictions that are kept while a pass over a split goes on."""

import pytest

from scd_lightning.pipeline.predict import PredictionLog
from scd_lightning.store.saved_state import RESUME
from scd_lightning.training.predictor import Prediction

ROWS = [
    Prediction(0, 0.1 + 0.2, "Fieber\n\u2028und \ud83d"),
    Prediction(7, float("inf"), 3),
    Prediction(2, 1e-30, None),
]


@pytest.fixture
def log(tmp_path) -> PredictionLog:
    log = PredictionLog(tmp_path, "test", "weights")
    log.append(ROWS[:1], {"seconds": 1.0})
    log.append(ROWS[1:], {"seconds": 2.0})
    return log


def test_read_as_they_were(log, tmp_path):
    assert log.read() == {row.index: row for row in ROWS}
    assert log.costs == {"seconds": 2.0}
    other = PredictionLog(tmp_path, "test", "other weights")
    assert other.read() == {}
    assert other.costs is None
    assert PredictionLog(tmp_path, "train", "weights").read() == {}


def test_of_what_is_damaged_nothing_is_taken(log, tmp_path):
    (file,) = (tmp_path / RESUME).iterdir()
    content = file.read_bytes()
    for end in range(len(content)):
        file.write_bytes(content[:end])
        assert log.read().items() <= {row.index: row for row in ROWS}.items()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        found = log.read()
        assert found.items() <= {row.index: row for row in ROWS}.items()
        assert len(found) >= 1
    # What was being written when a process was killed does not spoil what is written later.
    file.write_bytes(content[: content.index(b'"index": 2') + 5])
    log.append(ROWS[2:])
    assert log.read() == {row.index: row for row in ROWS}
