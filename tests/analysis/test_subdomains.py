"""The decomposition against exact fractions."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.analysis.subdomains import decompose

LOSSES = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=50)


def test_by_hand():
    found = decompose([1.0, 2.0, 0.5, 3.0, 1.0], [2.0, 1.0, 0.5, 0.0, 1.5])
    assert found.as_dict() == pytest.approx(
        {"advantage": 1.5 / 5, "deficit": 4 / 5, "gap": 2.5 / 5, "sfs_share": 2 / 5, "tie_share": 1 / 5}
    )


@given(LOSSES)
def test_is_the_exact_one(pairs):
    found = decompose(*zip(*pairs, strict=True))
    exact = [(Fraction(student), Fraction(teacher)) for student, teacher in pairs]
    total = len(exact)
    assert found.advantage == pytest.approx(float(sum((t - s) * (t > s) for s, t in exact) / total), rel=1e-12)
    assert found.deficit == pytest.approx(float(sum((s - t) * (s > t) for s, t in exact) / total), rel=1e-12)
    gap = statistics.mean(s for s, _ in exact) - statistics.mean(t for _, t in exact)
    assert found.gap == pytest.approx(float(gap), rel=1e-12, abs=1e-12)
    assert found.sfs_share == sum(s < t for s, t in pairs) / total
    assert found.tie_share == sum(s == t for s, t in pairs) / total


@given(LOSSES)
def test_gap_is_deficit_minus_advantage(pairs):
    found = decompose(*zip(*pairs, strict=True))
    assert found.gap == pytest.approx(found.deficit - found.advantage, abs=1e-12)


def test_errors_mostly_tie():
    found = decompose([0, 1, 1, 0], [0, 1, 0, 0])
    assert (found.tie_share, found.sfs_share, found.deficit, found.advantage, found.gap) == (0.75, 0, 0.25, 0, 0.25)


def test_a_model_against_itself():
    losses = np.linspace(0, 3, 7, dtype=np.float32)
    assert decompose(losses, losses).as_dict() == {
        "advantage": 0,
        "deficit": 0,
        "gap": 0,
        "sfs_share": 0,
        "tie_share": 1,
    }


@pytest.mark.parametrize(
    ("student", "teacher", "got"),
    [
        ([], [], r"\[0\] and \[0\]"),
        ([1.0], [1.0, 2.0], r"\[1\] and \[2\]"),
        ([[1.0]], [[1.0]], r"\[1, 1\] and \[1, 1\]"),
    ],
)
def test_other_shapes_are_refused(student, teacher, got):
    with pytest.raises(
        ValueError, match=rf"^student_loss and teacher_loss must both be \[S\] with S above 0, got {got}$"
    ):
        decompose(student, teacher)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_must_be_finite(value):
    with pytest.raises(ValueError, match=f"^teacher_loss must be finite, got {value} at sample 1$"):
        decompose([1.0, 1.0], [1.0, value])
