import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.data.spelling import alike, as_name, look, spelled, told_apart


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Refund\u200b", "Refund"),
        ("\ufeffRefund", "Refund"),
        ("Re\u00adfund", "Refund"),
        ("Re\u2060fund\u200f", "Refund"),
        ("Refund\u00a0 now\t", "Refund now"),
        ("E\u0301tat", "\u00c9tat"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        # What a joiner changes can be seen, and so can width and case.
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("\u2764\u200d\U0001f525", "\u2764\u200d\U0001f525"),
        ("\uff32efund", "\uff32efund"),
        ("\u200b", ""),
    ],
)
def test_one_spelling(written, read):
    assert spelled(written) == read


@given(st.text(max_size=20))
def test_a_spelling_is_kept_by_reading_it_again(text):
    assert spelled(spelled(text)) == spelled(text)
    assert unicodedata.normalize("NFC", spelled(text)) == spelled(text)


@pytest.mark.parametrize(
    ("value", "name"),
    [(3, "3"), (3.0, "3"), (-0.0, "0"), (True, "true"), (False, "false"), (" a  b ", "a b"), ("1.0", "1.0")],
)
def test_what_is_a_name(value, name):
    assert as_name(value) == name


@pytest.mark.parametrize("value", [0.25, float("nan"), float("inf"), 1e300, None, "", "\ufeff", ["a"], {}])
def test_what_is_none(value):
    assert as_name(value) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Billing", "billing"),
        ("Billing", "\uff22illing"),
        ("Billing", "\u0412illing"),  # a Cyrillic capital
        ("COD", "\u0421OD"),
        ("not_spam", "not spam"),
        ("1", "1.0"),
        ("-1", "-1.00"),
        ("pre\u2013paid", "pre-paid"),
        ("\u2764\ufe0f", "\u2764"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u0634\u0648\u062f"),
    ],
)
def test_names_that_look_alike(first, second):
    assert look(first) == look(second)
    assert alike([second, "other", first]) == [[second, first]]


@pytest.mark.parametrize(("first", "second"), [("1", "10"), ("1", "-1"), ("1.5", "1.50"), ("a", "\u00e4"), ("B", "8")])
def test_names_that_do_not(first, second):
    assert alike([first, second]) == []


def test_the_same_name_twice_is_no_group():
    assert alike(["a", "a", "b"]) == []


def test_names_that_can_not_be_told_apart_are_shown_with_escapes():
    shown = told_apart(["Caf\u00e9", "Cafe\u0301", "SPAM", "spam", "\u0421OD", "COD", "\u82e6\u60c5"])
    assert shown == {
        "Caf\u00e9": "Caf\\xe9",
        "Cafe\u0301": "Cafe\\u0301",
        "SPAM": "SPAM",
        "spam": "spam",
        "\u0421OD": "\\u0421OD",
        "COD": "COD",
        "\u82e6\u60c5": "\u82e6\u60c5",
    }
