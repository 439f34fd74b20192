"""What is said of entities that are nowhere, or where no word is."""

import pytest

from scd_lightning.data.rows import make_row
from scd_lightning.data.samples import Sample
from scd_lightning.tasks.entity_doubts import cut_ends, splits_without_entities
from scd_lightning.tasks.entity_lines import Entity
from scd_lightning.tasks.ner import read_entities


def sample(text: str, *spans: tuple[int, int]) -> Sample:
    gold = tuple(Entity("NAME", text[start:end], start, end) for start, end in spans)
    return Sample("7", {"text": text}, ("text",), "", gold, ())


def of(*train: Sample) -> dict[str, list[Sample]]:
    return {"train": list(train), "validation": [], "test": []}


def test_splits_without_entities_are_named():
    none, some = sample("Ada"), sample("Ada", (0, 3))
    found = list(splits_without_entities({"train": [none], "validation": [none, some], "test": [none, none]}))
    assert len(found) == 1
    assert found[0].startswith("None of the 2 rows of test has an entity")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("by Ada Petrov", 3, 12),
        ("\U0001f600 by Ada Petrov there", 5, 14),
        ("Жить в Лионе", 7, 11),
    ],
)
def test_entities_that_end_within_a_word(text, start, end):
    (sentence,) = cut_ends(of(sample(text, (start, end))))
    assert sentence.startswith("In train, 1 of 1 entities")
    assert repr(text[start:end]) in sentence


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("by Ada Petrov.", 3, 13),
        ("by Ada Petrov", 4, 12),  # begins in one, too
        ("Ada", 0, 3),
        ("東京都の人", 0, 3),
        ("3mg of it", 0, 1),
        ("anti-Ada", 5, 8),
        ("O'Neill", 2, 7),
    ],
)
def test_entities_at_the_ends_of_words_or_of_scripts_without_blanks(text, start, end):
    assert list(cut_ends(of(sample(text, (start, end))))) == []


def test_a_few_parts_of_words_are_meant():
    whole, part = sample("Ada left", (0, 3)), sample("classes", (0, 5))
    assert list(cut_ends(of(part, *[whole] * 10))) == []
    assert len(list(cut_ends(of(part, *[whole] * 9)))) == 1


def test_an_entity_that_is_listed_twice_is_one():
    spans = [{"start": 0, "end": 3, "label": "NAME"}, {"start": 0, "end": 4, "label": "NAME"}]
    row = make_row(
        {"text": "Ada left", "entities": [*spans, {**spans[0], "label": "OTHER"}]}, "train", 1, "train.jsonl"
    )
    assert [(entity.label, entity.text) for entity in read_entities(row)] == [("NAME", "Ada"), ("OTHER", "Ada")]
