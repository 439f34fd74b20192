from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest

from scd_lightning.config.arguments import check_arguments, fits
from scd_lightning.errors import ConfigError


class Thing:
    def __init__(
        self,
        size: int,
        share: float = 0.5,
        *,
        kind: Literal["a", "b"] = "a",
        made: "Thing | None" = None,
        parts: Sequence[str] = (),
    ):
        pass


def make(size: int, **options: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, True),
        (1.0, int, False),
        (True, int, False),
        (True, float, False),
        (1, float, True),
        (float("nan"), float, True),
        ("1", float, False),
        (1, bool, False),
        (None, int, False),
        (None, int | None, True),
        (None, None, True),
        ("x", Literal["x", "y"], True),
        ("z", Literal["x", "y"], False),
        (True, Literal[1], False),
        ("x", Any, True),
        ([1, 2], Sequence[int], True),
        ([1, "2"], Sequence[int], False),
        ([1, 2], list[float], True),
        ([1], tuple[float, float], False),
        ([1, 2, 3], tuple[int, ...], True),
        ([1], Mapping[str, int], False),
        ([1], int, False),
        ({"a": 1}, Mapping[str, int], True),
        ({"a": 1}, int, False),
        ({"_target_": "x"}, Thing, True),
        ("scd", Thing, False),
        ("auto", str | Callable[[], Thing], True),
        (5, str | Callable[[], Thing], False),
    ],
)
def test_fits(value, hint, expected):
    assert fits(value, hint) is expected


@pytest.mark.parametrize(
    ("arguments", "partial", "message"),
    [
        ({}, False, "missing a required argument: 'size'.*Where: student"),
        ({"size": 1, "sise": 2}, False, "unexpected keyword argument 'sise'.*Expected: size, share, kind, made, parts"),
        ({"sise": 2}, True, "unexpected keyword argument 'sise'"),
        ({"size": "two"}, False, r"wrong type. Where: student.size. Got: 'two'. Expected: int\."),
        ({"size": 1, "kind": "c"}, False, r"Where: student.kind. Got: 'c'. Expected: a or b\."),
        ({"size": 1, "parts": "c"}, False, r"Where: student.parts. Got: 'c'. Expected: a list of str\."),
        ({"size": 1, "made": "c"}, False, r"Where: student.made. Got: 'c'. Expected: Thing or null\."),
    ],
)
def test_misfits_are_named(arguments, partial, message):
    with pytest.raises(ConfigError, match=message):
        check_arguments(Thing, arguments, "student", partial=partial)


def test_what_fits_passes():
    check_arguments(Thing, {}, "here", partial=True)
    check_arguments(Thing, {"size": 1, "share": 1, "made": {"_target_": "Thing"}}, "here", partial=False)
    check_arguments(make, {"size": 1, "anything": object()}, "here", partial=False)
    with pytest.raises(ConfigError, match="here.size"):
        check_arguments(make, {"size": 1.5}, "here", partial=False)
