"""Whatever a library raises becomes a paragraph; what ends a run in good order passes."""

import pytest

from scd_lightning.errors import ConfigError, DataError, ModelError, Preempted, translated, words_of


class PanicException(BaseException):  # noqa: N818
    """As pyo3's, which comes with each extension in Rust and has no public name."""


class Odd(Exception):
    def __str__(self):
        return "<html>\n" + "long " * 1000


@pytest.mark.parametrize(
    "error",
    [
        Exception("bare words"),
        AssertionError(),
        KeyError("added_tokens"),
        RecursionError("maximum recursion depth exceeded"),
        MemoryError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        PanicException("index out of bounds: the len is 1"),
        StopIteration(),
        Odd(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_all_errors_are_told(error):
    words = words_of(error)
    told = pytest.raises(ModelError, match=r"^A file can't be read\. Where: here\. Got: .+\. Remedy: do\.$")
    with told as raised, translated("A file can't be read", where="here", remedy="do"):
        raise error
    assert raised.value.__cause__ is error
    assert words in str(raised.value)
    assert len(words) <= 420


@pytest.mark.parametrize("passes", [KeyboardInterrupt(), SystemExit(3), Preempted("SIGTERM"), GeneratorExit()])
def test_signals_and_the_end_of_a_process_pass(passes):
    with pytest.raises(type(passes)), translated("A file can't be read", where="here"):
        raise passes


def test_what_is_told_already_stays():
    with pytest.raises(DataError, match="^A row is bad"), translated("A file can't be read", where="here"):
        raise DataError("A row is bad")


def test_where_a_value_is_named_the_library_s_words_stand_behind_the_sentence():
    told = pytest.raises(ConfigError, match=r"^It can't be made \(a reason\)\. Where: a\.b\. Got: 3\.$")
    with told, translated("It can't be made", where="a.b", got=3, kind=ConfigError):
        raise ValueError("a reason.")


def test_a_secret_is_hidden_before_a_long_text_is_cut():
    said = words_of(OSError("x " * 190 + "https://me:a-long-password@host/"))
    assert "a-long" not in said
    assert len(said) <= 400
