import pytest

from scd_lightning.data.judgement import Judgement
from scd_lightning.tasks.answer_metric import AnswerMetric, answer_units, exact_match, token_f1


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


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_metric_is_the_mean_and_adds_up_over_uneven_shards():
    judgements = [Judgement("", answer, golds[0], f1, not answer, answer, golds) for answer, golds, _, f1 in CASES]
    whole, one, other = AnswerMetric(), AnswerMetric(), AnswerMetric()
    whole.update(judgements)
    one.update(judgements[:3])
    other.update(judgements[3:])
    values = whole.compute()
    assert values["exact_match"].item() == pytest.approx(sum(exact for *_, exact, _ in CASES) / len(CASES))
    assert values["token_f1"].item() == pytest.approx(sum(f1 for *_, f1 in CASES) / len(CASES))
    assert values["malformed"].item() == pytest.approx(1 / len(CASES))
    for state in ("exact", "f1", "malformed", "total"):
        assert getattr(one, state) + getattr(other, state) == pytest.approx(getattr(whole, state))
    assert all(value == 0 for value in AnswerMetric().compute().values())
