"""Tags of tokens in the schemes that there are; all of them are read by one rule, whichever a data set has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

# What a tag says of its token's place in an entity.
_FIRST, _INNER, _LAST, _ALONE = "first", "inner", "last", "alone"
_PLACES = {"B": _FIRST, "I": _INNER, "M": _INNER, "E": _LAST, "L": _LAST, "S": _ALONE, "U": _ALONE, "W": _ALONE}
_SCHEMES = {"BILOU": "BILU", "BIOES": "BIES", "BMES": "BMESW"}
EXPECTED = "O, B-label or I-label (or the tags of BILOU, BIOES or BMES)"


def read_tag(tag: object) -> tuple[str, str] | None:
    """The prefix and the label of a tag; two empty strings of O; None of what is no tag.

    >>> read_tag("B-PERSON"), read_tag("O"), read_tag("PERSON")
    (('B', 'PERSON'), ('', ''), None)
    """
    if tag == "O":
        return "", ""
    prefix, stroke, label = (tag[:1], tag[1:2], tag[2:]) if isinstance(tag, str) else ("", "", "")
    return (prefix, label) if prefix in _PLACES and stroke in ("-", "_") and label else None


def spans(tags: Sequence[tuple[str, str]]) -> list[tuple[str, int, int]]:
    """(label, first token, the one after the last) of each entity.

    An entity goes on with an inner or last token of its label; any other tag but O starts one.

    Args:
        tags: Prefix and label of each token.
    """
    found: list[tuple[str, int, int]] = []
    open_label = None
    for i, (prefix, label) in enumerate(tags):
        place = _PLACES.get(prefix)
        if place in (_INNER, _LAST) and label == open_label:
            found[-1] = (label, found[-1][1], i + 1)
        elif place is not None:
            found.append((label, i, i + 1))
        open_label = label if place in (_FIRST, _INNER) else None
    return found


def scheme(tags: Iterable[object]) -> str | None:
    """The name of the scheme that tags are of, other than BIO; None of BIO."""
    prefixes = {read[0] for tag in tags if (read := read_tag(tag))} - {""}
    if prefixes <= {"B", "I"}:
        return None
    return next((name for name, known in _SCHEMES.items() if prefixes <= {*known}), "-, ".join(sorted(prefixes)) + "-")


def unknown(tags: Iterable[Any]) -> Counter[str]:
    """The tags but O with their counts where none of them is of a scheme; else nothing."""
    counts = Counter(str(tag) for tag in tags if tag != "O")
    return Counter() if any(read_tag(tag) for tag in counts) else counts
