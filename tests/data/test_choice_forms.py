"""Questions of other sets are the same data as ours: choices with names, answers by letter, text or place."""

import csv
import io
from typing import Any

import pytest

from scd_lightning.data.converters import LetterAnswers
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.qa import QA

ASKED = [(f"Which is number {i}?", [f"red {i}", f"green {i}", f"blue {i}"], i % 3) for i in range(18)]
OWN: list[dict[str, Any]] = [
    {"question": question, "choices": texts, "answer": index} for question, texts, index in ASKED
]


def read(folder, **settings):
    return QA(DataSource(str(folder), **settings)).read()


def named(texts, names="ABC"):
    return {"text": texts, "label": [*names]}


FORMS = {
    "letters": [{**row, "answer": "ABC"[row["answer"]]} for row in OWN],
    "small letters": [{**row, "answer": "abc"[row["answer"]]} for row in OWN],
    "wide letters": [{**row, "answer": "ＡＢＣ"[row["answer"]]} for row in OWN],
    "letters with marks": [{**row, "answer": ("A.", "(B)", "c)")[row["answer"]]} for row in OWN],
    "texts": [{**row, "answer": row["choices"][row["answer"]]} for row in OWN],
    "digits": [{**row, "answer": str(row["answer"])} for row in OWN],
    "object of lists": [{"question": q, "choices": named(t), "answerKey": "ABC"[i]} for q, t, i in ASKED],
    "some by number": [
        {"question": q, "choices": named(t, "123" if n % 2 else "ABC"), "answerKey": ("123" if n % 2 else "ABC")[i]}
        for n, (q, t, i) in enumerate(ASKED)
    ],
    "numbers from 1": [{"question": q, "choices": named(t, "123"), "answer": i + 1} for q, t, i in ASKED],
    "list of objects": [
        {
            "question": {"stem": q, "choices": [{"label": a, "text": b} for a, b in zip("ABC", t, strict=True)]},
            "answerKey": "ABC"[i],
        }
        for q, t, i in ASKED
    ],
    "object by letter": [
        {"question": q, "options": dict(zip("ABC", t, strict=True)), "answer_idx": "ABC"[i], "answer": t[i]}
        for q, t, i in ASKED
    ],
    "other names": [{"question_stem": q, "options": t, "answer": "ABC"[i]} for q, t, i in ASKED],
    "columns": [{"question": q, **dict(zip("ABC", t, strict=True)), "answer": "ABC"[i]} for q, t, i in ASKED],
    "small columns": [{"question": q, **dict(zip("abc", t, strict=True)), "answer": "ABC"[i]} for q, t, i in ASKED],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_same_data(write_folder, form):
    data = read(write_folder("other", train=FORMS[form]))
    assert data.digest == read(write_folder("own", train=OWN)).digest
    assert "read so" in data.doubts[0]


def test_our_own_form_is_left_alone(write_folder):
    data = read(write_folder(train=OWN))
    assert not data.doubts


def test_a_table_with_a_column_for_each_choice(tmp_path, write_folder):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(FORMS["columns"][0]))
    writer.writeheader()
    writer.writerows(FORMS["columns"])
    (tmp_path / "train.csv").write_text(out.getvalue())
    assert read(tmp_path).digest == read(write_folder(train=OWN)).digest


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Which?", "choices": ["B", "A"], "answer": "A"}, '"answer" has the wrong type'),
        ({"question": "Which?", "choices": ["x", "y"], "answer": "C"}, '"answer" has the wrong type'),
        ({"question": "Which?", "choices": {"text": ["x", "y"], "label": ["A", "A"]}, "answerKey": "A"}, '"choices"'),
        ({"question": "Which?", "A": "x", "C": "y", "answer": "A"}, '"context" is missing'),
    ],
)
def test_what_is_not_certain(write_folder, row, said):
    with pytest.raises(DataError, match=said):
        read(write_folder(train=[{**row, "question": f"Which {i}?"} for i in range(9)]))


def test_a_converter_for_answers_goes_before(write_folder):
    with pytest.raises(DataError, match="names no choice"):
        read(write_folder(train=FORMS["texts"]), converters=[LetterAnswers()])


PASSAGES = [(f"Ann met {who} in room {i}.", f"Whom in {i}?", who) for i, who in enumerate(["Bo", "Cy", "Di"] * 6)]
EXTRACTIVE = [{"context": c, "question": q, "answer": [a]} for c, q, a in PASSAGES]


@pytest.mark.parametrize(
    "rows",
    [
        [{"context": c, "question": q, "answers": {"text": [a, a], "answer_start": [8, 8]}} for c, q, a in PASSAGES],
        [{"context": c, "question": q, "answers": [{"text": a, "answer_start": 8}]} for c, q, a in PASSAGES],
        [{"passage": c, "question": q, "answer": {"text": [a], "answer_start": [8]}} for c, q, a in PASSAGES],
    ],
)
def test_answers_with_places(write_folder, rows):
    data = read(write_folder("other", train=rows))
    assert data.digest == read(write_folder("own", train=EXTRACTIVE)).digest
    assert "18 questions have answers with places as SQuAD has them" in data.doubts[-1]
