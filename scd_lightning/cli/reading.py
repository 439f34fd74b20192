"""Hydra's reading of overrides, made to mean what people and agents write.

Hydra reads them in many places: the command line, the jobs of a sweep and the processes that run them, a sweep's own
parameters. All go through one method, so that what one of them reads the others read alike.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from hydra._internal.grammar.utils import escape_special_characters
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString
from hydra.errors import HydraException
from typing_extensions import override

from scd_lightning.cli.spelling import Unreadable, decoded, in_hydras_words
from scd_lightning.config.build import GROUPS
from scd_lightning.config.wording import Written

# Texts in which no backslash is meant, and the signs that a shell leaves as two.
_PROMPTS = ("task.template",)
_SIGNS = {"n": "\n", "t": "\t"}
_SIGN = re.compile(r"(?<!\\)\\([nt])")
_QUOTES = ("'", '"')
# Names of options, which Hydra refuses where they are numbers, and of folders, which it would write anew.
_NAMES = {*GROUPS, "paths", "experiment", "hparams_search", "debug", "hydra.run.dir", "hydra.sweep.dir"}
# Keys that need no quotes, and can be read as nothing but text.
_PLAIN_KEY = re.compile(r"(?!(?:true|false|null|nan|inf)$)[a-z_][\w\-]*", re.ASCII | re.IGNORECASE)
# What it gives is text, whatever it looks like.
_CAST = re.compile(r"\bstr\s*\(")


@dataclass
class WrittenOverride(Override):
    """An override that has a sweep's jobs read what was written.

    Attributes:
        words: The value with numbers, true, false and null as the text that they are.
    """

    words: Any = None

    @override
    def get_value_element_as_str(self, space_after_sep: bool = False) -> str:
        shown = _shown(self._value, self.words, _CAST.search(self.get_value_string()) is not None)
        return Override._get_value_element_as_str(shown, space_after_sep)


def read_more() -> None:
    """Has Hydra read in this process what it otherwise refuses or takes by the letter; once is enough."""
    read = OverridesParser.parse_rule
    if hasattr(read, "__wrapped__"):
        return

    @wraps(read)
    def parse_rule(self: OverridesParser, s: str, rule_name: str) -> Any:
        if rule_name != "override":
            return read(self, s, rule_name)
        try:
            found = read(self, _cast(s), rule_name)
        except HydraException as error:
            try:
                found = read(self, _readable(s), rule_name)
            except (HydraException, Unreadable):
                raise error from error.__cause__  # It is about what was written.
        try:
            words = read(self, _readable(s, all_text=True), rule_name)
        except (HydraException, Unreadable):  # It has no value, or calls a function of Hydra's.
            words = found
        return _meant(found, words if _alike(found._value, words._value) else found, s)

    OverridesParser.parse_rule = parse_rule  # type: ignore[method-assign]


def is_prompt(key: str) -> bool:
    """Whether a setting is a text for models, in which braces stand for fields."""
    return key.strip().lstrip("+") in _PROMPTS


def is_plain_text(text: str) -> bool:
    """Whether an override gives a text without quotes."""
    with suppress(HydraException):
        value = OverridesParser.create().parse_override(text)._value
        return isinstance(value, str | QuotedString) and text.partition("=")[2][:1] not in _QUOTES
    return False


def as_written(overrides: Sequence[str]) -> list[Written]:
    """What overrides give for settings, beside the words in which they do."""
    read = (OverridesParser.create().parse_override(each) for each in overrides)
    return [
        Written(each.key_or_group, each.value(), Override._convert_value(each.words))
        for each in read
        if isinstance(each, WrittenOverride) and not each.is_sweep_override() and not each.is_delete()
    ]


def _cast(written: str) -> str:
    """An override in which what is cast to text is that text already: Hydra would cast the number that it has read."""
    if _CAST.search(written):
        with suppress(Unreadable):
            return in_hydras_words(written)
    return written


def _readable(written: str, *, all_text: bool = False) -> str:
    try:
        return in_hydras_words(written, all_text=all_text)
    except Unreadable:
        key, _, text = written.partition("=")
        if not is_prompt(key) or text[:1] in _QUOTES:
            raise
        return f"{key}={_quoted(text).with_quotes()}"


def _meant(found: Override, words: Override, written: str) -> WrittenOverride:
    found.input_line, found.key_or_group = written, decoded(found.key_or_group)
    value: Any = found._value
    texts: Any = words._value
    if isinstance(value, ChoiceSweep):
        cast = _CAST.search(written) is not None
        meant = [_spelled(found.key_or_group, each, written) for each in value.list]
        shown = [_shown(*each, cast) for each in zip(meant, map(_with_keys, texts.list), strict=True)]
        value.list = [_safe(each) for each in shown]
        return WrittenOverride(**vars(found))
    if found.key_or_group in _NAMES and isinstance(value, bool | int | float):
        value = texts
    found._value = _spelled(found.key_or_group, value, written)
    return WrittenOverride(**vars(found), words=_with_keys(texts))


def _alike(value: Any, words: Any) -> bool:
    """Whether they have the same parts: of keys that are one as numbers, two are left as words."""
    value, words = (each.list if isinstance(each, ChoiceSweep) else each for each in (value, words))
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    others = words.values() if isinstance(words, dict) else words
    return len(parts) == len(others) and all(map(_alike, parts, others))


def _spelled(key: str, value: Any, written: str) -> Any:
    if is_prompt(key) and isinstance(value, str | QuotedString) and value != "None":
        return replace(value, text=_broken(value.text)) if isinstance(value, QuotedString) else _broken(value)
    # What has no dot is a group, and no option of one is null; what is cast to text is text.
    return value if value == "None" and ("." not in key or _CAST.search(written)) else _plain(value)


def _plain(value: Any) -> Any:
    """A value in which Python's word for nothing means that; within lists it is a label like others."""
    if isinstance(value, dict):
        return {_key(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) if isinstance(each, dict | list) else each for each in value]
    return None if isinstance(value, str) and value == "None" else value


def _key(key: Any) -> Any:
    # No setting can be called null, and a column can.
    return decoded(key) if isinstance(key, str) else "null" if key is None else key


def _with_keys(words: Any) -> Any:
    if isinstance(words, dict):
        return {_key(key): _with_keys(each) for key, each in words.items()}
    return [_with_keys(each) for each in words] if isinstance(words, list) else words


def _shown(value: Any, words: Any, cast: bool) -> Any:
    """A value for Hydra to print: numbers, true and false as they were written, and quotes around what is cast to text.

    Keys get quotes, too, without which they would be read as numbers.
    """
    if isinstance(value, dict):
        pairs = zip(value.items(), words.items(), strict=True)
        return {_shown_key(key, name): _shown(each, word, cast) for (key, each), (name, word) in pairs}
    if isinstance(value, list):
        return [_shown(*each, cast) for each in zip(value, words, strict=True)]
    if isinstance(value, bool | int | float) and isinstance(words, QuotedString):
        return words.text
    return _quoted(value) if cast and isinstance(value, str) else value


def _shown_key(key: Any, name: Any) -> Any:
    return name if not isinstance(key, str) else key if _PLAIN_KEY.fullmatch(key) else _quoted(key)


def _safe(value: Any) -> Any:
    """A sweep's value that may be printed as it is, as Optuna's sweeper does."""
    special = isinstance(value, str) and escape_special_characters(value) != value
    return _quoted(value) if special else value


def _quoted(text: str) -> QuotedString:
    return QuotedString(text, Quote.single)


def _broken(text: str) -> str:
    return _SIGN.sub(lambda found: _SIGNS[found[1]], text)
