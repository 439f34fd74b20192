"""How names of classes are spelled: one spelling for what looks the same, and names that look alike all the same."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from scd_lightning.data.rows import as_whole

# They show nothing and mean nothing in a name: soft hyphens, blanks without width, marks of direction. Joiners are none
# of them, which change how Persian words and emoji look.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
# Small letters of Cyrillic and Greek, dashes and quotes, and what they, or their capitals, look like in ASCII.
_TWINS = {
    "\u0430\u0432\u0435\u0455\u0456\u0458\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0445\u0443": "abesijkmhopctxy",
    "\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7": "abezhikmnoptyx",
    "\u2010\u2011\u2012\u2013\u2014\u2212\u2018\u2019\u201c\u201d": "------''\"\"",
}
_PAIRS = [pair for odd, ascii_ in _TWINS.items() for pair in zip(odd, ascii_, strict=True)]
_AS_ASCII = str.maketrans(dict(_PAIRS) | {odd.upper(): plain.upper() for odd, plain in _PAIRS})
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


def spelled(text: str) -> str:
    r"""A name as it is compared: composed accents, nothing invisible, single blanks.

    >>> spelled("Bil\u00adling\u200b "), spelled("Cafe\u0301") == "Caf\u00e9"
    ('Billing', True)
    """
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def as_name(value: object) -> str | None:
    """The name that a label is: text as it is compared, a whole number's digits, "true" or "false"; None for others.

    >>> as_name(" spam "), as_name(1.0), as_name(True), as_name(0.5), as_name("")
    ('spam', '1', 'true', None, None)
    """
    if isinstance(value, bool):
        return str(value).lower()
    value = as_whole(value)
    if isinstance(value, int):
        return str(value)
    return (spelled(value) or None) if isinstance(value, str) else None


def look(name: str) -> str:
    r"""What names that look alike have in common: case, width, look-alike letters, and how a whole number is written.

    >>> look("Not_Spam") == look("\uff2eot spam"), look("1.0") == look("1"), look("a") == look("b")
    (True, True, False)
    """
    folded = _seen(unicodedata.normalize("NFKC", name)).casefold().replace("_", " ")
    return _WHOLE.sub(r"\1", " ".join(folded.split()))


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of different names that look alike, each in the order given."""
    return _groups(names, look)


def told_apart(names: Iterable[str]) -> dict[str, str]:
    """Each name as it is shown: with escapes where another one looks the very same."""
    shown = {name: name for name in names}
    twins = [name for group in _groups(shown, _seen) for name in group]
    return shown | {name: name.encode("ascii", "backslashreplace").decode() for name in twins}


def _groups(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(key(name), []).append(name)
    return [group for group in found.values() if len(group) > 1]


def _seen(text: str) -> str:
    """What there is to see of a text, look-alike letters as one."""
    shown = (char for char in unicodedata.normalize("NFC", text) if not _is_hidden(char))
    return "".join(shown).translate(_AS_ASCII)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f"
