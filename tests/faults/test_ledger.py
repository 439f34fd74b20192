"""The table of faults itself."""

import pytest


@pytest.fixture
def fresh(ledger):
    return type(ledger)()


def test_tries_are_counted_by_fault_and_the_worst_loss_is_told(fresh):
    fresh.record("a kill", True, steps=3)
    fresh.record("a kill", True, steps=7)
    fresh.record("a full disk", True, "what was being written")
    with fresh.attempt("a flip") as attempt:
        attempt.lost = "the artifact, made anew"
    with pytest.raises(AssertionError), fresh.attempt("a flip"):
        raise AssertionError
    assert fresh.table() == [
        "fault        tries  survived  what was lost",
        "a kill           2         2  at most 7 steps repeated",
        "a full disk      1         1  what was being written",
        "a flip           2         1  the artifact, made anew (1 x); see the failed test (1 x)",
    ]
