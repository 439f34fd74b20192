"""Rows of questions: what they ask for, and their answers."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from scd_lightning.data.rows import Row
from scd_lightning.data.spelling import spelled

YES_NO = ("yes", "no", "maybe")
# Yes, no and maybe by language, in lower case, with other words for them behind.
_CLOSED = (
    YES_NO,
    ("はい", "いいえ", "たぶん", "どちらとも言えない"),
    ("是", "否", "可能", "不是", "对", "错"),
    ("예", "아니요", "아마도", "네", "아니오"),
    ("ja", "nein", "vielleicht"),
    ("oui", "non", "peut-être"),
    ("sí", "no", "quizás", "si", "tal vez"),
    ("sim", "não", "talvez"),
    ("sì", "no", "forse"),
    ("ja", "nee", "misschien"),
    ("ja", "nej", "kanske", "måske"),
    ("ja", "nei", "kanskje"),
    ("kyllä", "ei", "ehkä"),
    ("tak", "nie", "może"),
    ("ano", "ne", "možná"),
    ("да", "нет", "возможно"),
    ("так", "ні", "можливо"),
    ("igen", "nem", "talán"),
    ("da", "nu", "poate"),
    ("ναι", "όχι", "ίσως"),
    ("evet", "hayır", "belki", "hayir"),
    ("نعم", "لا", "ربما"),
    ("כן", "לא", "אולי"),
    ("بله", "خیر", "شاید"),
    ("हाँ", "नहीं", "शायद", "हां"),
    ("có", "không", "có thể"),
    ("ya", "tidak", "mungkin"),
    ("ใช่", "ไม่ใช่", "อาจจะ", "ไม่"),
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def detect_format(rows: Sequence[Row]) -> Literal["choice", "yes_no", "extractive"]:
    """Tells the format by what the rows hold: choices, or answers of yes, no or maybe in a language, or other answers.

    Most rows decide, so that a row that does not fit the others is an error and not another format.
    """
    if 2 * sum(row.values.get("choices") is not None for row in rows) >= len(rows):
        return "choice"
    words = closed_words(rows)
    closed = sum(_closed_answer(row.values.get("answer")) in words for row in rows)
    return "yes_no" if 2 * closed > len(rows) else "extractive"


def closed_words(rows: Sequence[Row]) -> tuple[str, ...]:
    """The words for yes, no and maybe in the language in which most rows answer so; English where none does."""
    answers = Counter(_closed_answer(row.values.get("answer")) for row in rows)
    return max(_CLOSED, key=lambda words: sum(answers[word] for word in words))


def read_choices(row: Row) -> list[str]:
    """A row's choices.

    Raises:
        DataError: They are missing, not strings, or not 2 to 26.
    """
    choices = row.strings("choices", row.require("choices", "a list of strings, as other rows have"))
    if not 2 <= len(choices) <= len(LETTERS):
        raise row.error("choices", "has a wrong number of choices", len(choices), f"2 to {len(LETTERS)}")
    return choices


def read_index(row: Row, choices: int) -> int:
    """The index of a row's right choice.

    Raises:
        DataError: It is missing, not an integer, or outside the choices.
    """
    answer = row.integer("answer", row.require("answer", "the index of the right choice, from 0"))
    if not 0 <= answer < choices:
        expected = f"an index from 0 to {choices - 1}"
        remedy = "correct this row; where the first choice is 1, correct the indices of all rows"
        raise row.error("answer", "is outside the choices", answer, expected, remedy if answer == choices else None)
    return answer


def read_closed(row: Row) -> str:
    """A row's answer in lower case, such as yes, no or maybe, in whichever language.

    Raises:
        DataError: It is missing, or no text.
    """
    value = row.require("answer", "a word")
    return _closed_answer(value) or row.check_string("answer", value)


def check_closed(row: Row, split: str, words: Sequence[str]) -> None:
    """One of the words in train; elsewhere another answer is one that no model can give: it is scored, and said."""
    answer = read_closed(row)
    if split == "train" and answer not in words:
        remedy = "correct this row, or pass task.format=extractive"
        raise row.error("answer", "is not among the answers", answer, " or ".join(words), remedy)


def _closed_answer(value: object) -> str:
    """The word that an answer is in lower case, or that true and false stand for."""
    if isinstance(value, bool):
        return YES_NO[0] if value else YES_NO[1]
    return spelled(value).lower().rstrip(".。．!！") if isinstance(value, str) else ""


def read_answers(row: Row, no_answer: str | None = None) -> list[str]:
    """The answers of an extractive row, one or several.

    Args:
        row: The row.
        no_answer: What stands for the answer where there is none; None: there has to be one.

    Raises:
        DataError: They are missing, empty or not strings.
    """
    if "answer" in row.values and row.values["answer"] in (None, "", []):
        if no_answer is not None:
            return [no_answer]
        remedy = "task.data.on_bad_row=skip leaves such rows out; task.no_answer='no answer' has models answer so"
        raise row.error("answer", "is empty", "nothing", "a non-empty string, or a list of them", remedy)
    answer = row.require("answer", "a non-empty string, or a list of them")
    return row.strings("answer", answer) if isinstance(answer, list) else [row.check_string("answer", answer)]
