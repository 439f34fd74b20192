"""Hydra's reading of overrides, made to mean what people and agents write.

Hydra reads them in many places: the command line, the jobs of a sweep and the processes that run them, a sweep's own
parameters. All go through one method, so that what one of them reads the others read alike.
"""

import re
from dataclasses import replace
from functools import wraps
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from scd_lightning.cli.spelling import Unreadable, decoded, in_hydras_words

# Texts in which no backslash is meant, and the signs that a shell leaves as two.
_PROMPTS = ("task.template",)
_SIGNS = {"n": "\n", "t": "\t"}
_SIGN = re.compile(r"(?<!\\)\\([nt])")


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
            return _meant(read(self, s, rule_name), s)
        except HydraException as error:
            try:
                return _meant(read(self, in_hydras_words(s), rule_name), s)
            except (HydraException, Unreadable):
                raise error from error.__cause__  # It is about what was written.

    OverridesParser.parse_rule = parse_rule  # type: ignore[method-assign]


def _meant(override: Override, written: str) -> Override:
    override.input_line = written
    override.key_or_group = decoded(override.key_or_group)
    value = override._value
    if isinstance(value, ChoiceSweep):
        value.list = [_spelled(override.key_or_group, each) for each in value.list]
    else:
        override._value = _spelled(override.key_or_group, value)
    return override


def _spelled(key: str, value: Any) -> Any:
    if key in _PROMPTS and isinstance(value, str | QuotedString) and value != "None":
        return replace(value, text=_broken(value.text)) if isinstance(value, QuotedString) else _broken(value)
    # What has no dot is a group, and no option of one is null.
    return value if value == "None" and "." not in key else _plain(value)


def _plain(value: Any) -> Any:
    """A value in which Python's word for nothing means that; within lists it is a label like others."""
    if isinstance(value, dict):
        return {decoded(key) if isinstance(key, str) else key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) if isinstance(each, dict | list) else each for each in value]
    return None if isinstance(value, str) and value == "None" else value


def _broken(text: str) -> str:
    return _SIGN.sub(lambda found: _SIGNS[found[1]], text)
