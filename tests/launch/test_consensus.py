"""Processes of a job that see different things end before any makes one."""

import os
import traceback
from functools import partial

import pytest

from scd_lightning import distributed
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.launch.consensus import SEEN, Agreement, outline

WHERE = "task.data"


def test_parts_are_named_two_levels_deep():
    one = outline({"seed": 0, "data": {"train": "a", "test": {"of": "b"}}, "code": {}, "list": [1]})
    assert list(one) == ["seed", "data.train", "data.test", "code", "list"]
    other = outline({"seed": 0, "data": {"train": "a", "test": {"of": "c"}}, "code": {}, "list": [1]})
    assert [name for name in one if one[name] != other[name]] == ["data.test"]


def test_a_process_on_its_own_agrees():
    Agreement().require("data", {"train": "a"}, WHERE)


@pytest.fixture
def child(monkeypatch):
    """Makes what a process has whose parent has seen something."""

    def make(**seen: dict[str, str]) -> Agreement:
        parent = Agreement()
        for what, each in seen.items():
            parent.require(what, each, WHERE)
        for name, value in parent.environment().items():
            monkeypatch.setenv(name, value)
        return Agreement()

    return make


def test_a_process_agrees_with_its_parent(child):
    odd = {"a&b=c": "1", "": "2", "köln\n": "3"}
    child(data=odd, steps={"teacher": "4"}).require("data", odd, WHERE)


@pytest.mark.parametrize(
    ("seen", "named"),
    [
        ({"train": "a", "test": "c"}, "test"),
        ({"train": "b", "test": "a"}, "train, test"),
        ({"train": "a"}, "test"),
        ({"train": "a", "test": "b", "validation": "c"}, "validation"),
    ],
)
def test_a_process_that_sees_something_else_than_its_parent_names_it(child, seen, named):
    with pytest.raises(DataError, match=rf"same data\. Where: task\.data: {named}\. Got: process 0"):
        child(data={"train": "a", "test": "b"}).require("data", seen, WHERE, DataError)


def test_what_a_parent_has_not_seen_at_all_differs(child):
    with pytest.raises(ConfigError, match="same settings"):
        child(data={"train": "a"}).require("settings", {"seed": "b"}, "the configuration")


def _two(folder) -> None:
    assert SEEN not in os.environ
    rank = distributed.rank()
    try:
        agreement = Agreement()
        agreement.require("data", {"train": "a"}, WHERE)
        # All raise the same, so that none is left waiting.
        with pytest.raises(DataError, match=r"Where: task\.data: train\. Got: process 1 .* than process 0"):
            agreement.require("data", {"train": f"of {rank}", "test": "b"}, WHERE, DataError)
        distributed.barrier()
    except BaseException:
        (folder / f"error-{rank}").write_text(traceback.format_exc())
        raise


def test_without_a_parent_all_agree_with_the_first(in_two_processes, tmp_path):
    codes = in_two_processes(partial(_two, tmp_path))
    assert [path.read_text() for path in tmp_path.glob("error-*")] == []
    assert codes == [0, 0]
