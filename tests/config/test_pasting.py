"""What messages name is what a program gets, once a shell and the command line have read it."""

import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings, strategies

from scd_lightning.cli.reading import read_more
from scd_lightning.config.pasting import command_of, override_of

read_more()
TEXT = strategies.text(" ,='\"$\\!\n\t\x1b\x7f\x85()[]{}:;#&|<>`*?~%é本No7.-+", min_size=1, max_size=8)


def words_of(command: str) -> list[str]:
    assert "\n" not in command
    script = f"show() {{ printf '%s\\0' \"$@\"; }}; show {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@settings(max_examples=40, deadline=None)
@given(strategies.lists(TEXT, min_size=1, max_size=4))
def test_a_commands_words_are_those_that_are_given(words):
    assert words_of(command_of(words)) == words


@settings(max_examples=40, deadline=None)
@given(TEXT, TEXT)
def test_an_override_gives_the_value(text, key):
    value = [text, {"a": [key], "b": text}, 1, 0.5, True, None]
    read = OverridesParser.create()
    (word,) = words_of(override_of("task.labels", value))
    assert read.parse_override(word).value() == value
    (word,) = words_of(override_of("task.name", text))
    assert read.parse_override(word).value() == text


@pytest.mark.parametrize("text", ["yes", "None", "true", "7", "1e3", "nan", "~", "a b", "", "org/model-7B.v2"])
def test_words_that_look_like_others_are_text(text):
    (word,) = words_of(override_of("a.b", text))
    assert OverridesParser.create().parse_override(word).value() == text
