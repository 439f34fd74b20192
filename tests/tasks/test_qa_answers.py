import pytest

from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.tasks.answer_texts import answer_units, exact_match, token_f1
from scd_lightning.tasks.qa import QA


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("The  Eiffel Tower!", ["eiffel", "tower"]),
        ("a theme, an anthem", ["theme", "anthem"]),
        ("東京都ABC株式会社。", ["東", "京", "都", "abc", "株", "式", "会", "社"]),
        ("２０ｍｇ", ["20mg"]),
        ("  ", []),
        ("it's 3.5", ["its", "3.5"]),
        ("2,500 mg; 3,5 %; 1,2,3", ["2500", "mg", "3,5", "1,2,3"]),
        ("3\u20130, 1990-1995", ["3-0", "1990-1995"]),
        ("1.000.000 and 1,00,000.5", ["1000000", "and", "100000.5"]),
        ("1.000", ["1.000"]),
        ("12/2020, page 5.", ["12/2020", "page", "5"]),
        ("The", ["the"]),
    ],
)
def test_units(text, units):
    assert answer_units(text) == units


# Answer, gold answers, exact match, F1 by hand.
CASES = [
    ("the Cat sat", ["cat sat"], True, 1.0),
    ("cat sat down", ["the cat sat on"], False, 2 * 2 / (3 + 3)),
    ("sat sat", ["sat"], False, 2 * 1 / (2 + 1)),
    ("dog", ["cat", "a dog"], True, 1.0),
    ("dog", ["cat"], False, 0.0),
    ("", ["cat"], False, 0.0),
    ("the", ["a"], False, 0.0),
    ("5 mg", ["0.5 mg"], False, 2 * 1 / (2 + 2)),
    ("肺腺癌", ["肺癌"], False, 2 * 2 / (3 + 2)),
]


def test_what_is_an_article_in_english_may_be_a_name_elsewhere():
    assert answer_units("Nghệ An", english=False) == ["nghệ", "an"]
    assert not exact_match("Hội", ["Hội An"], english=False)
    assert exact_match("an der Elbe", ["An der Elbe."], english=False)
    assert not exact_match("der Elbe", ["an der Elbe"], english=False)


@pytest.mark.parametrize(("english", "said"), [(True, True), (False, False)])
def test_the_data_tell_whether_they_are_english(english, said):
    texts = ["The house of my aunt stands in the north."] if english else ["Das Haus meiner Tante steht an der Elbe."]
    rows = [Row("0", {"question": "?", "context": text, "answer": "an"}, "file", 1) for text in texts]
    task = QA(DataSource(), "extractive")
    task.learn(rows)
    assert task.settings()["english"] is said


@pytest.mark.parametrize(("answer", "golds", "exact", "f1"), CASES)
def test_by_hand(answer, golds, exact, f1):
    assert exact_match(answer, golds) is exact
    assert token_f1(answer, golds) == pytest.approx(f1)


def test_the_measures_are_means_and_rows_say_what_their_score_does_not():
    task = QA(DataSource(), "extractive")
    swapped = ("sat cat", ["cat sat"], False, 1.0)
    samples = [Sample("", {}, (), golds[0], golds, ()) for _, golds, *_ in (*CASES, swapped)]
    answers = [answer for answer, *_ in (*CASES, swapped)]
    rows = [task.judge(*each).row() for each in zip(samples, answers, strict=True)]
    assert [row["exact"] for row in rows if "exact" in row] == [False]
    values = {}
    for name, measure in task.measures(task.settings()).items():
        columns = measure.columns(rows, [])
        assert columns is not None
        values[name] = measure.value(columns.sum(0, keepdims=True))[0]
    count = len(CASES) + 1
    assert values["exact_match"] == pytest.approx(sum(exact for *_, exact, _ in CASES) / count)
    assert values["token_f1"] == pytest.approx((sum(f1 for *_, f1 in CASES) + 1) / count)
    assert values["malformed"] == pytest.approx(1 / count)
