"""JSON that strangers wrote."""

import json
from typing import Any

# No row of any task has a tenth of it; whatever else looks into a value may follow it down without a limit of its own.
_DEEPEST = 100


def read_json_text(text: str) -> Any:
    """The value that a text holds.

    Raises:
        ValueError: It is not JSON, holds NaN, an infinity or a number of thousands of digits, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep() from error
    if text.count("[") + text.count("{") > _DEEPEST and _is_too_deep(value):
        raise _too_deep()
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _too_deep() -> ValueError:
    return ValueError(f"more than {_DEEPEST} values within one another")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inner(each)]
    return bool(level)


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
