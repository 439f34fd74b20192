"""Commands, and overrides that messages name, as they can be pasted into a shell."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scd_lightning.redaction.cleaning import clean_words

# What a command line, and a YAML file, reads as this text without quotes, wherever it stands.
_BARE = re.compile(r"(?!(?:true|false|null|none|nan|inf|yes|no|on|off|y|n)$)[a-z_][\w./\-]*", re.ASCII | re.IGNORECASE)


# What a terminal or a paste would not leave as it is, and how a shell writes it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "'": "\\'", "\\": "\\\\"}


def command_of(words: Iterable[str]) -> str:
    r"""A command line of its words without secrets, on one line; a comment says which variables stand for those.

    >>> print(command_of(["python", "run.py", "task.data.path=a b", "task.template='{text}\n'"]))
    python run.py 'task.data.path=a b' $'task.template=\'{text}\n\''
    """
    cleaned, remark = clean_words(list(words))
    line = " ".join(map(_shell_word, cleaned))
    return f"{line}  # {remark}" if remark else line


def _shell_word(word: str) -> str:
    if not _CONTROL.search(word):
        return shlex.quote(word)
    return "$'" + "".join(_ESCAPES.get(sign) or _escaped(sign) for sign in word) + "'"


def _escaped(sign: str) -> str:
    if not _CONTROL.match(sign):
        return sign
    return f"\\x{ord(sign):02x}" if ord(sign) < 128 else f"\\u{ord(sign):04x}"


def override_of(key: str, value: Any) -> str:
    """What gives a setting a value on a command line, quoted for a shell where that is needed.

    >>> print(override_of("task.data.path", "acme, 2024"), override_of("task.labels", ["it's", 1]))
    'task.data.path="acme, 2024"' 'task.labels=["it'"'"'s", 1]'

    Args:
        key: The setting, dotted.
        value: Text, a number, true or false, None, or a list or dictionary of such.
    """
    return _shell_word(f"{key}={_spelled(value)}")


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
