"""Overrides that messages name, as they can be pasted into a shell."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

# What a command line, and a YAML file, reads as this text without quotes, wherever it stands.
_BARE = re.compile(r"(?!(?:true|false|null|none|nan|inf|yes|no|on|off|y|n)$)[a-z_][\w./\-]*", re.ASCII | re.IGNORECASE)


def override_of(key: str, value: Any) -> str:
    """What gives a setting a value on a command line, quoted for a shell where that is needed.

    >>> print(override_of("task.data.path", "acme, 2024"), override_of("task.labels", ["it's", 1]))
    'task.data.path="acme, 2024"' 'task.labels=["it'"'"'s", 1]'

    Args:
        key: The setting, dotted.
        value: Text, a number, true or false, None, or a list or dictionary of such.
    """
    return shlex.quote(f"{key}={_spelled(value)}")


def in_quotes(text: str) -> str:
    r"""A text in the quotes of a command line's values: backslashes are doubled in front of quotes alone.

    >>> print(in_quotes('C:\\new'), in_quotes('say "x"'))
    "C:\new" "say \"x\""
    """
    escaped = re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + found[2].replace('"', '\\"'), text)
    return f'"{escaped}"'


def _spelled(value: Any) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else in_quotes(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_spelled(key)}: {_spelled(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_spelled, value))}]"
    return "null" if value is None else str(value)
