import pytest

from scd_lightning.data.judgement import Judgement
from scd_lightning.tasks.entity_metric import Entity, EntityMetric, span_counts, string_counts

ANN, BOB = Entity("P", "Ann", 0, 3), Entity("P", "Bob", 8, 11)
AGAIN = Entity("P", "Ann", 20, 23)
ROME, ROME_AS_P = Entity("L", "Rome", 15, 19), Entity("P", "Rome", 15, 19)
NOWHERE = Entity("P", "Zoe")

# predicted, expected, span counts and string counts (hits, answered, expected) by hand
CASES = [
    ([ANN, BOB], [ANN, BOB, ROME], (2, 2, 3), (2, 2, 3)),
    ([ANN, ROME_AS_P], [ANN, ROME], (1, 2, 2), (1, 2, 2)),
    ([ANN, AGAIN], [ANN], (1, 2, 1), (1, 1, 1)),
    ([AGAIN], [ANN], (0, 1, 1), (1, 1, 1)),
    ([NOWHERE, NOWHERE], [ANN], (0, 2, 1), (0, 1, 1)),
    ([], [ANN], (0, 0, 1), (0, 0, 1)),
    ([], [], (0, 0, 0), (0, 0, 0)),
]


def judge(predicted, expected):
    return Judgement("", "", "", 0.0, NOWHERE in predicted, predicted, expected)


@pytest.mark.parametrize(("predicted", "expected", "spans", "strings"), CASES)
def test_counts(predicted, expected, spans, strings):
    for found, wanted in ((span_counts(predicted, expected), spans), (string_counts(predicted, expected), strings)):
        assert (found.hits, found.answered, found.expected) == wanted
        assert found.f1 == (2 * wanted[0] / (wanted[1] + wanted[2]) if wanted != (0, 0, 0) else 1.0)


def test_metric_is_micro_averaged():
    metric = EntityMetric()
    metric.update([judge(predicted, expected) for predicted, expected, *_ in CASES])
    values = {name: value.item() for name, value in metric.compute().items()}
    # Spans: 4 hits, 9 answered, 9 expected. Strings: 5 hits, 7 answered, 9 expected.
    assert values["precision"] == pytest.approx(4 / 9)
    assert values["recall"] == pytest.approx(4 / 9)
    assert values["f1"] == pytest.approx(4 / 9)
    assert values["string_precision"] == pytest.approx(5 / 7)
    assert values["string_recall"] == pytest.approx(5 / 9)
    assert values["string_f1"] == pytest.approx(2 * 5 / 16)
    assert values["malformed"] == pytest.approx(1 / 7)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_at_all():
    values = EntityMetric().compute()
    assert values["f1"] == values["string_f1"] == 1
    assert values["malformed"] == 0
    metric = EntityMetric()
    metric.update([judge([], [ANN])])
    assert metric.compute()["precision"] == metric.compute()["f1"] == 0


def test_uneven_shards_add_up():
    judgements = [judge(predicted, expected) for predicted, expected, *_ in CASES]
    whole, one, other = EntityMetric(), EntityMetric(), EntityMetric()
    whole.update(judgements)
    one.update(judgements[:2])
    other.update(judgements[2:])
    for state in ("spans", "strings", "malformed", "total"):
        assert ((getattr(one, state) + getattr(other, state)) == getattr(whole, state)).all()
