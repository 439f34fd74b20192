"""JSON that strangers wrote."""

import json
import re
from typing import Any

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\r\n]*")
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


def separate_values(text: str) -> list[tuple[int, str]] | None:
    r"""The objects of a text that is one array, or has one after another over several lines, and their lines.

    An array may hold strings and lists as well.


    >>> separate_values('[{"a": 1},\n {"a": 2}]')
    [(1, '{"a": 1}'), (2, '{"a": 2}')]

    Returns:
        Line and text of each; None where the text is neither.
    """
    array = text.lstrip().startswith("[")
    at = len(text) - len(text.lstrip()) + array
    found, line, seen = [], 1, 0
    begins = '{["' if array else "{"
    while (at := _behind_blanks(text, at)) < len(text) and text[at] in begins:
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        line, seen = line + text.count("\n", seen, at), at
        found.append((line, text[at:end]))
        at = _behind_blanks(text, end)
        if array and text[at : at + 1] == ",":
            at += 1
        elif not array and at < len(text) and "\n" not in text[end:at]:
            return None
    if array:
        return found if text[at:].strip() == "]" else None
    return found if at == len(text) else None


def _behind_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at
