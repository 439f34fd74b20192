"""The table of faults itself."""

from types import SimpleNamespace

import pytest

from tests import ledger as hooks


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


def test_what_workers_have_counted_is_added_up(fresh, monkeypatch):
    """As the workers do at their end, and as the process does that they work for; one of the three has died."""
    nodes = [SimpleNamespace()]
    for steps, lost in ((3, "a row"), (None, "a line")):
        worker = type(fresh)()
        worker.record("a kill", True, lost, steps=steps)
        worker.record(f"with {lost}", False, lost)
        monkeypatch.setattr(hooks, "_ledger", worker)
        nodes.append(SimpleNamespace(workeroutput={}))
        hooks.pytest_sessionfinish(SimpleNamespace(config=nodes[-1]))
    monkeypatch.setattr(hooks, "_ledger", fresh)
    for node in nodes:
        hooks.pytest_testnodedown(node)
    hooks.pytest_sessionfinish(SimpleNamespace(config=SimpleNamespace()))
    assert fresh.table() == [
        "fault        tries  survived  what was lost",
        "a kill           2         2  a row (1 x); a line (1 x); at most 3 steps repeated",
        "with a row       1         0  a row",
        "with a line      1         0  a line",
    ]
