import pytest

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
        ("it's 3.5", ["its", "35"]),
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
    ("the", ["a"], True, 1.0),
    ("肺腺癌", ["肺癌"], False, 2 * 2 / (3 + 2)),
]


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
