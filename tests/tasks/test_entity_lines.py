import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers

from scd_lightning.data.normal_form import NormalForm
from scd_lightning.tasks.entity_lines import EntityLines, one_line
from scd_lightning.tasks.entity_scores import Entity

LABELS = ["drug", "drug: dose", "法人名"]


def spans(entities):
    return [(entity.label, entity.start, entity.end) for entity in entities]


def at(text, label, surface, number=1):
    """The entity at a string's place of a number."""
    start = -1
    for _ in range(number):
        start = text.index(surface, start + 1)
    return Entity(label, one_line(surface), start, start + len(surface))


def lines_of(text, entities, labels=None, match="spans"):
    return EntityLines(text, labels or {entity.label for entity in entities}).write(entities, match)


def align(pairs, text):
    """Reads pairs of label and string, where no label holds a colon."""
    answer = "\n".join(f"{label}: {said}" for label, said in pairs)
    return EntityLines(text, [label for label, _ in pairs]).read(answer)[0]


def test_writing_and_reading():
    text = "aspirin 5 mg: daily, A社"
    entities = [at(text, "drug", "aspirin"), at(text, "drug: dose", "5 mg: daily"), at(text, "法人名", "A社")]
    lines = lines_of(text, entities, LABELS)
    assert lines == ["drug: aspirin", "drug: dose: 5 mg: daily", "法人名: A社"]
    assert EntityLines(text, LABELS).read("\n".join(lines)) == (entities, False)


@pytest.mark.parametrize(
    ("answer", "pairs", "malformed"),
    [
        ("", [], True),
        ("none", [], False),
        ("なし", [], False),
        ("drug：aspirin ", [("drug", "aspirin")], False),
        ("drug : aspirin", [("drug", "aspirin")], False),
        ("drug: aspirin\n\ndrug: ibuprofen", [("drug", "aspirin"), ("drug", "ibuprofen")], True),
        ("drug: aspirin\nnone", [("drug", "aspirin")], True),
        ("person: Ann\ndrug: aspirin", [("drug", "aspirin")], True),
        ("drug:", [], True),
        ("drug: dose:", [("drug", "dose:")], False),
        ("drugs: aspirin", [], True),
        ("drug: aspirin [9]", [("drug", "aspirin [9]")], False),
        ("drug: aspirin [0]", [("drug", "aspirin [0]")], False),
        (f"drug: aspirin [{'9' * 5000}]", [("drug", f"aspirin [{'9' * 5000}]")], False),
        ("__import__('os').abort()", [], True),
    ],
)
def test_reading_is_tolerant(answer, pairs, malformed):
    entities, unread = EntityLines("an aspirin", LABELS).read(answer)
    assert [(entity.label, entity.text) for entity in entities] == pairs
    assert unread == malformed


@given(st.text(), st.text())
def test_any_answer_to_any_text_can_be_read(answer, text):
    entities, _ = EntityLines(text, LABELS).read(f"drug: {answer}\n{answer}")
    flat = one_line(text)
    for entity in entities:
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


BUS = "the bus, a bus and the busses"
METRO = "Oslo metro, metro Oslo"
CITY = "New York City, York City"
REFERENCE = "Bergen [2] by Bergen, after Bergen"


@pytest.mark.parametrize(
    ("text", "entities", "lines"),
    [
        # Only a later one is meant; a plain line is read as the first.
        (BUS, [at(BUS, "V", "bus", 2)], ["V: bus [2]"]),
        (BUS, [at(BUS, "V", "bus"), at(BUS, "V", "bus", 2)], ["V: bus", "V: bus"]),
        # Part of a longer word.
        (BUS, [at(BUS, "V", "bus", 3)], ["V: bus [3]"]),
        # Nested, and crossing, where the string comes again.
        (METRO, [at(METRO, "N", "Oslo metro"), at(METRO, "P", "metro")], ["N: Oslo metro", "P: metro [1]"]),
        (CITY, [at(CITY, "N", "New York"), at(CITY, "P", "York City")], ["N: New York", "P: York City [1]"]),
        # Those that overlap count.
        ("haha haha", [Entity("S", "ha", 7, 9), Entity("S", "ha", 2, 4)], ["S: ha [4]", "S: ha [2]"]),
        ("ananas", [Entity("S", "ana", 2, 5)], ["S: ana [2]"]),
        # A text may have the very string.
        (REFERENCE, [at(REFERENCE, "P", "Bergen [2]")], ["P: Bergen [2]"]),
        (REFERENCE, [at(REFERENCE, "P", "Bergen", 2)], ["P: Bergen [02]"]),
        # What a longer label would take.
        ("dose: 5", [Entity("drug", "dose: 5", 0, 7)], ["drug : dose: 5"]),
        (": x", [Entity("drug", ": x", 0, 3)], ["drug: : x"]),
    ],
)
def test_what_is_written_is_read_back(text, entities, lines):
    written = EntityLines(text, [*LABELS, "V", "N", "P", "S"])
    assert written.write(entities) == lines
    assert written.numbered == any(not line.endswith(entity.text) for line, entity in zip(lines, entities, strict=True))
    assert EntityLines(text, [*LABELS, "V", "N", "P", "S"]).read("\n".join(lines)) == (entities, False)


def test_strings_need_no_numbers():
    assert lines_of(BUS, [at(BUS, "V", "bus", 3)], match="strings") == ["V: bus"]


def test_a_number_holds_once():
    entities, _ = EntityLines(BUS, ["V"]).read("V: bus [2]\nV: bus [2]\nV: bus [3]")
    assert spans(entities) == [("V", 11, 14), ("V", None, None), ("V", 23, 26)]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["A", "A:"], ": x"),
        (["A", "A: B", "A :"], "B: x"),
        (["A", "A: B", "A : B", "A： B"], "B: x"),
        (["A", "A/B"], "/B: x"),
        (["none", "なし"], "none"),
        (["A: none"], "なし"),
    ],
)
def test_labels_with_colons_and_names_that_look_like_labels(labels, said):
    for label in labels:
        entity = Entity(label, said, 0, len(said))
        (line,) = EntityLines(said, labels).write([entity])
        assert EntityLines(said, labels).read(line) == ([entity], False)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_line_breaks_within_an_entity_survive_the_round_trip(line_break):
    text = f"a long{line_break}name here"
    entity = at(text, "N", f"long{line_break}name")
    assert EntityLines(text, ["N"]).read(lines_of(text, [entity])[0]) == ([entity], False)


def test_a_name_and_its_other_spelling_are_told_apart():
    text = "Cafe\u0301 by a Caf\u00e9"
    second = Entity("P", "Caf\u00e9", 11, 15)
    (line,) = lines_of(text, [second])
    assert line == "P: Caf\u00e9 [2]"
    for form in ("NFC", "NFD"):
        assert EntityLines(text, ["P"]).read(unicodedata.normalize(form, line)) == ([second], False)


def test_an_answer_in_a_tokenizers_form_names_the_texts_own_characters():
    form = NormalForm(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    entities, malformed = EntityLines("ＡＢＣ社 met abc", ["Firm: x", "firm"], form).read("firm: x: abc社\nfirm: abc")
    assert not malformed
    assert entities == [Entity("Firm: x", "ＡＢＣ社", 0, 4), Entity("firm", "abc", 9, 12)]


PIECES = [*"aAb e東京が각:：😀", "\n", "\r\n", "\u2028", "e\u0301", "か\u3099", "\u1100\u1161", "👩‍🔬", "❤️"]
PIECES += ["ab", "ＡＢ", "ｶﾞ", "ガ", "ÉE", " [1]", "[2]", "none", "なし", "A: "]
NAMES = ["A", "A:", "A: B", "A/B", "none", "なし", "e\u0301"]


@st.composite
def annotated(draw):
    """A text of pieces, and entities between them."""
    pieces = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12))
    places = [sum(map(len, pieces[:i])) for i in range(len(pieces) + 1)]
    text, found = "".join(pieces), set()
    for label, *ends in draw(
        st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(places), st.sampled_from(places)), max_size=6)
    ):
        start, end = min(ends), max(ends)
        surface = one_line(text[start:end])
        start += len(surface) - len(surface.lstrip())
        if surface.strip():
            label = unicodedata.normalize("NFC", label)
            found.add(Entity(label, surface.strip(), start, start + len(surface.strip())))
    return text, sorted(found, key=lambda entity: (entity.start, entity.end, entity.label))


@settings(deadline=None)
@given(annotated(), st.sampled_from(["NFC", "NFD"]))
def test_all_entities_of_any_text_come_back(given_text, form):
    text, entities = given_text
    if entities:
        answer = "\n".join(lines_of(text, entities))
        for each in (answer, unicodedata.normalize(form, answer)):
            assert EntityLines(text, {entity.label for entity in entities}).read(each) == (entities, False)


NORMALISERS = [
    normalizers.NFKC(),
    normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]),
    normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    normalizers.Sequence([normalizers.NFKD(), normalizers.Replace(Regex(" {2,}"), " ")]),
]


@pytest.mark.parametrize("normaliser", NORMALISERS)
@settings(deadline=None)
@given(annotated())
def test_they_come_back_from_any_tokenizer(normaliser, given_text):
    text, entities = given_text
    if entities:
        form = NormalForm(normaliser, folds=normaliser.normalize_str("a  b") == "a b")
        labels = {entity.label for entity in entities}
        lines = EntityLines(text, labels, form).write(entities)
        answer = "\n".join(normaliser.normalize_str(line) for line in lines)
        assert EntityLines(text, labels, form).read(answer) == (entities, False)


@given(st.lists(st.tuples(st.sampled_from(["P", "Q"]), st.integers(0, 30), st.booleans()), max_size=8))
def test_distinct_mentions_are_written_plainly(words):
    text, entities = "", []
    for label, number, marked in words:
        surface = f"w{number}x{len(text)}"
        if marked:
            entities.append(Entity(label, surface, len(text), len(text) + len(surface)))
        text += surface + " "
    assert lines_of(text, entities) == [f"{entity.label}: {entity.text}" for entity in entities]
