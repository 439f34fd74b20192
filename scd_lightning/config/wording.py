"""Settings that take text, given what a command line's grammar reads as numbers or as true and false.

A name such as 2024, 1.50, 1e5 or True is the text that was written, where text is asked for.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from scd_lightning.config.arguments import alternatives, fits, hints_of, is_mapping


class Written(NamedTuple):
    """A value of the command line.

    Attributes:
        key: The setting, dotted.
        value: As it is read.
        words: The same with the words that were written for each number, for true, false and null.
    """

    key: str
    value: Any
    words: Any


def in_words(
    settings: dict[str, Any],
    written: Iterable[Written],
    find: Callable[[Any], Callable[..., Any] | None],
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """Settings with text as it was written, wherever a call's annotation has text and not what was read.

    Args:
        settings: Plain values.
        written: What the command line gives, later ones going before earlier ones.
        find: Gives what a `_target_` names; None where that is not to be asked.
        texts: Parts that are no calls, in which all values are text.
    """
    words = copy.deepcopy(settings)
    for each in written:
        _put(words, each)
    found: dict[str, Any] = _of_calls(settings, words, find)
    return found | {part: settled(found[part], words[part], dict[str, str]) for part in texts}


def settled(value: Any, words: Any, hint: Any) -> Any:
    """The one of two readings that fits an annotation: the first where both do, or none; of parts, part by part.

    >>> settled(2024, "2024", str | None), settled([7, "a"], ["7", "a"], list[str]), settled(8, "8", int | str)
    ('2024', ['7', 'a'], 8)
    """
    if fits(value, hint):
        return value
    for each in alternatives(hint):
        made = _parts(value, words, each)
        if fits(made, each):
            return made
    return value


def _parts(value: Any, words: Any, hint: Any) -> Any:
    hints = get_args(hint) or (Any, Any)
    if isinstance(value, list):
        return [settled(each, word, hints[0]) for each, word in zip(value, words, strict=True)]
    if isinstance(value, dict) and is_mapping(hint):
        pairs = zip(value.items(), words.items(), strict=True)
        return {settled(k, key, hints[0]): settled(v, word, hints[1]) for (k, v), (key, word) in pairs}
    return words


def _of_calls(values: Any, words: Any, find: Callable[[Any], Callable[..., Any] | None]) -> Any:
    if isinstance(values, list):
        return [_of_calls(value, word, find) for value, word in zip(values, words, strict=True)]
    if not isinstance(values, dict):
        return values
    pairs = zip(values.items(), words.items(), strict=True)
    inner = {name: (_of_calls(value, word, find), word) for (name, value), (_, word) in pairs}
    target = find(values["_target_"]) if "_target_" in values else None
    hints: Mapping[str, Any] = {} if target is None else hints_of(target)
    return {name: settled(value, word, hints.get(name, Any)) for name, (value, word) in inner.items()}


def _put(words: Any, written: Written) -> None:
    if written.value is None:
        return
    *place, name = written.key.split(".")
    for each in place:
        words = words.get(each) if isinstance(words, dict) else None
    if isinstance(words, dict) and name in words:
        words[name] = _over(words[name], written.value, written.words)


def _over(now: Any, value: Any, words: Any) -> Any:
    """What stands at a place, in the words of what the command line gives for it; another's value as it is."""
    if isinstance(now, dict) and isinstance(value, dict):
        given = {name: pair for name, *pair in zip(value, words, value.values(), words.values(), strict=True)}
        made = {}
        for name, each in now.items():
            word, *pair = given.get(name, (name, each, each))
            made[name if word in now else word] = _over(each, *pair)
        return made
    if isinstance(now, list) and isinstance(value, list) and len(now) == len(value):
        return [_over(*each) for each in zip(now, value, words, strict=True)]
    if isinstance(value, str) and "${" in value and isinstance(now, bool | int | float):
        return str(now)  # What a reference to another setting has come to.
    same = type(now) is type(value) and (now == value or now != now)
    return words if same else now
