import pytest

from scd_lightning.tasks.entity_scores import Entity, count_entities, entity_measures, entity_rows

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


def values(cases=CASES):
    """All measures of these cases."""
    rows = [{"entities": entity_rows(each), "malformed": NOWHERE in each} for each, *_ in cases]
    samples = [{"entities": entity_rows(expected)} for _, expected, *_ in cases]
    found = {}
    for name, measure in entity_measures().items():
        columns = measure.columns(rows, samples)
        assert columns is not None
        found[name] = measure.value(columns.sum(0, keepdims=True))[0]
    return found


@pytest.mark.parametrize(("predicted", "expected", "spans", "strings"), CASES)
def test_counts(predicted, expected, spans, strings):
    sides = entity_rows(predicted), entity_rows(expected)
    for found, wanted in ((count_entities(*sides, "spans"), spans), (count_entities(*sides, "strings"), strings)):
        assert (found.hits, found.answered, found.expected) == wanted
        assert found.f1 == (2 * wanted[0] / (wanted[1] + wanted[2]) if wanted != (0, 0, 0) else 1.0)


def test_they_are_micro_averaged():
    # Spans: 4 hits, 9 answered, 9 expected. Strings: 5 hits, 7 answered, 9 expected.
    assert values() == pytest.approx(
        {
            "precision": 4 / 9,
            "recall": 4 / 9,
            "f1": 4 / 9,
            "string_precision": 5 / 7,
            "string_recall": 5 / 9,
            "string_f1": 2 * 5 / 16,
            "malformed": 1 / 7,
        }
    )


def test_nothing_at_all():
    assert values([])["f1"] == values([])["string_f1"] == 1
    assert values([])["malformed"] == 0
    missed = values([([], [ANN])])
    assert missed["precision"] == missed["f1"] == 0


def test_without_entities_there_are_no_entity_scores():
    score = entity_measures()["f1"]
    rows = [{"entities": entity_rows([ANN])}]
    assert score.columns(rows, []) is None
    assert score.columns(rows, [{"id": "0"}]) is None
    assert score.columns([{"correct": 0.5}], rows) is None
