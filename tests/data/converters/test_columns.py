from collections import Counter

import pytest

from scd_lightning.data.converters import ChoiceColumns, ClassNames, JoinedContext, LetterAnswers, RenameColumns
from scd_lightning.data.rows import make_row
from scd_lightning.errors import ConfigError, DataError


def test_columns_are_renamed_all_at_once_and_the_id_names_the_row(convert):
    rename = RenameColumns({"body": "text", "number": "id", "left": "right", "right": "left"})
    assert convert(rename, {"body": "a", "left": 1, "right": 2}, {"text": "own"})[0] == [
        {"text": "a", "left": 2, "right": 1},
        {"text": "own"},
    ]
    [row] = rename([make_row({"number": 17}, "train", 1, "f")], Counter())
    assert row.id == "17"


def test_two_columns_for_one_name(convert):
    with pytest.raises(DataError, match=r'"text" is there twice.*set\.jsonl:1 '):
        convert(RenameColumns({"body": "text"}), {"body": "a", "text": "b"})
    with pytest.raises(ConfigError, match="Two columns get one name"):
        RenameColumns({"a": "text", "b": "text"})


def test_class_numbers_become_names_and_names_pass(convert):
    values = [{"label": 1}, {"label": "no"}, {"label": [0, 1]}, {"text": "without"}]
    done, _ = convert(ClassNames("label", ["no", "yes"]), *values)
    assert done == [{"label": "yes"}, {"label": "no"}, {"label": ["no", "yes"]}, {"text": "without"}]


def test_class_numbers_as_text_are_numbers_unless_they_are_names(convert):
    done, _ = convert(ClassNames("label", ["no", "yes", "0"]), {"label": "1"}, {"label": "0"})
    assert done == [{"label": "yes"}, {"label": "0"}]
    with pytest.raises(DataError, match="numbers from 0 to 1"):
        convert(ClassNames("label", ["no", "yes"]), {"label": "7"})


@pytest.mark.parametrize(("names", "said"), [(None, "Expected: names"), (["a", "b"], "numbers from 0 to 1")])
def test_a_class_number_without_a_name(convert, names, said):
    with pytest.raises(DataError, match=rf"class number without a name.*set\.jsonl:2 .*{said}.*Parquet"):
        convert(ClassNames("label", names), {"label": "a"}, {"label": 2})


CHOICES = ChoiceColumns(["optionA", "optionB", "optionC"])


def test_choice_columns_become_a_list_whose_last_ones_may_be_empty(convert):
    rows = [
        {"optionA": "x", "optionB": "y", "optionC": "z", "answer": "C"},
        {"optionA": "x", "optionB": 5, "optionC": " "},
        {"optionA": "x", "optionB": "y"},
        {"choices": ["own"], "answer": 0},
    ]
    assert convert(CHOICES, *rows)[0] == [
        {"choices": ["x", "y", "z"], "answer": "C"},
        {"choices": ["x", "5"]},
        {"choices": ["x", "y"]},
        {"choices": ["own"], "answer": 0},
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"optionA": "x", "optionC": "z"}, '"optionB" is empty before other choices'),
        ({"answer": "A"}, '"optionA" is missing'),
    ],
)
def test_missing_choices(convert, row, said):
    with pytest.raises(DataError, match=rf"{said}.*set\.jsonl:1 "):
        convert(CHOICES, row)


def test_letters_become_indices_and_indices_pass(convert):
    choices = ["x", "y", "z"]
    answers = ["A", " c ", "2", 1]
    done, _ = convert(LetterAnswers(), *({"choices": choices, "answer": answer} for answer in answers))
    assert [row["answer"] for row in done] == [0, 2, 2, 1]


@pytest.mark.parametrize("answer", ["D", "AB", "?", ""])
def test_a_letter_that_names_no_choice(convert, answer):
    with pytest.raises(DataError, match=r"names no choice.*set\.jsonl:1 .*one of A, B, C"):
        convert(LetterAnswers(), {"choices": ["x", "y", "z"], "answer": answer})


def test_a_context_in_parts_becomes_labelled_lines(convert):
    rows = [
        {"context": {"contexts": ["One.", "Two."], "labels": ["AIM", "RESULTS"], "meshes": ["m"]}},
        {"context": {"contexts": ["One.", "Two."], "labels": []}},
        {"context": "own"},
        {"question": "none?"},
    ]
    done, _ = convert(JoinedContext(), *rows)
    assert [row.get("context") for row in done] == ["AIM: One.\nRESULTS: Two.", "One.\nTwo.", "own", None]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"contexts": []}, r"context\.contexts"),
        ({"labels": ["AIM"]}, r"context\.contexts"),
        ({"contexts": ["One."], "labels": ["AIM", "RESULTS"]}, r"context\.labels.*no label for each part"),
    ],
)
def test_a_context_that_lacks_its_parts(convert, context, said):
    with pytest.raises(DataError, match=rf"{said}.*set\.jsonl:1 "):
        convert(JoinedContext(), {"context": context})
