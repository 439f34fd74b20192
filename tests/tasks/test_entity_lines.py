import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.tasks.entity_lines import align, one_line, parse_entities, write_entities
from scd_lightning.tasks.entity_scores import Entity

LABELS = ["drug", "drug: dose", "法人名"]


def spans(entities):
    return [(entity.label, entity.start, entity.end) for entity in entities]


def test_writing_and_reading():
    entities = [Entity("drug", "aspirin"), Entity("drug: dose", "5 mg: daily"), Entity("法人名", "A社")]
    text = write_entities(entities, "en")
    assert text == "drug: aspirin\ndrug: dose: 5 mg: daily\n法人名: A社"
    assert parse_entities(text, LABELS) == ([(entity.label, entity.text) for entity in entities], False)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_entities(language):
    assert parse_entities(write_entities([], language), LABELS) == ([], False)


@pytest.mark.parametrize(
    ("answer", "pairs", "malformed"),
    [
        ("", [], True),
        ("drug：aspirin ", [("drug", "aspirin")], False),
        ("drug : aspirin", [("drug", "aspirin")], False),
        ("drug: aspirin\n\ndrug: ibuprofen", [("drug", "aspirin"), ("drug", "ibuprofen")], True),
        ("drug: aspirin\nnone", [("drug", "aspirin")], True),
        ("person: Ann\ndrug: aspirin", [("drug", "aspirin")], True),
        ("drug:", [], True),
        ("drugs: aspirin", [], True),
        ("__import__('os').abort()", [], True),
    ],
)
def test_reading_is_tolerant(answer, pairs, malformed):
    assert parse_entities(answer, LABELS) == (pairs, malformed)


@given(st.text(), st.text())
def test_any_answer_to_any_text_can_be_read(answer, text):
    pairs, _ = parse_entities(f"drug: {answer}\n{answer}", LABELS)
    flat = one_line(text)
    for entity in align(pairs, text):
        assert entity.start is None or flat[entity.start : entity.end] == entity.text


def test_alignment_goes_from_left_to_right():
    text = "Ann met Bob, Ann left Bob and Ann."
    found = align([("P", "Ann"), ("P", "Bob"), ("P", "Bob"), ("P", "Ann"), ("P", "Ann"), ("P", "Ann")], text)
    assert spans(found) == [("P", 0, 3), ("P", 8, 11), ("P", 22, 25), ("P", 30, 33), ("P", 13, 16), ("P", None, None)]


def test_alignment_of_nested_entities_and_of_one_place_under_two_labels():
    text = "lung cancer and cancer"
    found = align([("D", "lung cancer"), ("D", "cancer"), ("D", "cancer"), ("X", "cancer")], text)
    assert spans(found) == [("D", 0, 11), ("D", 16, 22), ("D", 5, 11), ("X", 16, 22)]


def test_alignment_prefers_whole_words_where_the_script_has_them():
    assert spans(align([("G", "APC")], "APCs and APC")) == [("G", 9, 12)]
    assert spans(align([("G", "APC")], "APCs only")) == [("G", 0, 3)]
    assert spans(align([("D", "癌")], "肺癌と癌")) == [("D", 1, 2)]


def test_line_breaks_within_an_entity_survive_the_round_trip():
    text = "a long\nname here"
    entity = Entity("N", one_line(text[2:11]), 2, 11)
    pairs, malformed = parse_entities(write_entities([entity], "en"), ["N"])
    assert not malformed
    assert align(pairs, text) == [entity]


@given(st.lists(st.tuples(st.sampled_from(["P", "Q"]), st.integers(0, 30), st.booleans()), max_size=8))
def test_distinct_mentions_always_come_back(words):
    text, entities = "", []
    for label, number, marked in words:
        surface = f"w{number}x{len(text)}"
        if marked:
            entities.append(Entity(label, surface, len(text), len(text) + len(surface)))
        text += surface + " "
    pairs, malformed = parse_entities(write_entities(entities, "en"), ["P", "Q"])
    assert not malformed
    assert align(pairs, text) == entities
