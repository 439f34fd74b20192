"""Rows of questions: what they ask for, and their answers."""

from collections.abc import Sequence
from typing import Literal

from scd_lightning.data.rows import Row
from scd_lightning.data.spelling import spelled

YES_NO = ("yes", "no", "maybe")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def detect_format(rows: Sequence[Row]) -> Literal["choice", "yes_no", "extractive"]:
    """Tells the format by what the rows hold: choices, or answers of yes, no or maybe, or other answers.

    Most rows decide, so that a row that does not fit the others is an error and not another format.
    """
    if 2 * sum(row.values.get("choices") is not None for row in rows) >= len(rows):
        return "choice"
    answers = [row.values.get("answer") for row in rows]
    closed = sum(_closed_answer(answer) in YES_NO for answer in answers)
    return "yes_no" if 2 * closed > len(answers) else "extractive"


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
    """A row's answer in lower case, such as yes, no or maybe.

    Raises:
        DataError: It is missing, or no text.
    """
    value = row.require("answer", "a word")
    return _closed_answer(value) or row.check_string("answer", value)


def check_closed(row: Row, split: str) -> None:
    """Yes, no or maybe in train; elsewhere another answer is one that no model can give: it is scored, and said."""
    answer = read_closed(row)
    if split == "train" and answer not in YES_NO:
        remedy = "correct this row, or pass task.format=extractive"
        raise row.error("answer", "is not among the answers", answer, " or ".join(YES_NO), remedy)


def _closed_answer(value: object) -> str:
    """The word that an answer is in lower case, or that true and false stand for."""
    if isinstance(value, bool):
        return YES_NO[0] if value else YES_NO[1]
    return spelled(value).lower() if isinstance(value, str) else ""


def read_answers(row: Row) -> list[str]:
    """The answers of an extractive row, one or several.

    Raises:
        DataError: They are missing, empty or not strings.
    """
    answer = row.require("answer", "a non-empty string, or a list of them")
    return row.strings("answer", answer) if isinstance(answer, list) else [row.check_string("answer", answer)]
