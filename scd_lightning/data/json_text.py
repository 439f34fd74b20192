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
        too_deep = text.count("[") + text.count("{") > _DEEPEST and _is_too_deep(value)
    except RecursionError:
        too_deep = True
    if too_deep:
        raise ValueError(f"more than {_DEEPEST} values within one another")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        containers = [each for each in level if isinstance(each, dict | list)]
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
    return bool(level)
