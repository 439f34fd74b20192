"""confidence.json: what is written is read again, and what is damaged is refused."""

import json

import numpy as np
import pytest

from scd_lightning.analysis.confidence.measured import measure, read_confidence
from scd_lightning.analysis.confidence.units import Units, units_of


def units(count, seed=0):
    draw = np.random.default_rng(seed)
    probability = draw.random(count)
    return Units(probability, (draw.random(count) < probability).astype(float), np.sort(draw.integers(0, count, count)))


def test_what_is_written_is_read_again():
    found = measure("entity", units(200), units(150, 1), chosen=False)
    saved = json.loads(json.dumps(found.as_json()))
    read = read_confidence(saved)
    assert read.as_json() == saved
    assert read.at_least(0.6).checked == found.at_least(0.6).checked
    assert read.of(0.7) == pytest.approx(found.of(0.7))
    assert read.summary()["at_least"].keys() == {"0.8", "0.9", "0.95", "0.99"}


def test_without_a_test_split_the_other_half_of_validation_is_shown():
    found = measure("answer", units(100), None, chosen=True)
    shown, _ = found.reliability()
    assert sum(each.count for each in shown) == len(found.checked)
    assert found.on_test(0.5) is None


def test_halves_are_of_texts_and_the_same_each_time():
    every = units(101)
    one, other = every.halves()
    assert not set(one.text) & set(other.text)
    assert len(one) + len(other) == 101
    assert abs(one.texts - other.texts) <= 1
    assert np.array_equal(one.text, every.halves()[0].text)


def test_units_are_taken_from_rows():
    found = units_of([{"units": [[0.5, True], [0.25, False]]}, {"units": []}, {"units": [[1.0, False]]}])
    assert found.probability.tolist() == [0.5, 0.25, 1.0]
    assert found.right.tolist() == [1, 0, 0]
    assert found.text.tolist() == [0, 0, 2]
    assert len(units_of([{"units": []}])) == 0


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("unit", "word"),
        ("calibration", {"temperature": 0, "shift": 0}),
        ("calibration", {"temperature": "hot", "shift": 0}),
        ("calibration", None),
        ("tuned", {"probability": [0.5], "right": [1]}),
        ("checked", {"probability": [1.5], "right": [1], "text": [0]}),
        ("checked", {"probability": [0.5], "right": [2], "text": [0]}),
        ("checked", {"probability": [0.5, 0.6], "right": [1], "text": [0]}),
        ("test", []),
    ],
)
def test_what_is_damaged_is_refused(part, value):
    saved = measure("answer", units(20), units(20), chosen=True).as_json() | {part: value}
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_confidence(saved)
