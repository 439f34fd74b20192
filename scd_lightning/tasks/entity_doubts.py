"""What is doubtful of entities, a sentence each, by split."""

from collections.abc import Iterator, Mapping, Sequence

from scd_lightning.data.rows import shorten
from scd_lightning.data.samples import Sample
from scd_lightning.data.splits import SPLITS
from scd_lightning.tasks.entity_lines import Entity

# Some annotate parts of words, and on purpose.
_MANY = 0.1


def splits_without_entities(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """A sentence for each of validation and test in which there is nothing to find."""
    for split in SPLITS[1:]:
        if not any(sample.gold for sample in samples[split]):
            yield f"None of the {len(samples[split])} rows of {split} has an entity: recall can't be measured there."


def torn_words(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """A sentence for each split in which many entities begin or end in the middle of a word."""
    for split in SPLITS:
        entities = [(sample, entity) for sample in samples[split] for entity in sample.gold]
        torn = [(sample, entity) for sample, entity in entities if _tears(sample.fields["text"], entity)]
        if torn and len(torn) >= _MANY * len(entities):
            sample, entity = torn[0]
            yield (
                f"In {split}, {len(torn)} of {len(entities)} entities begin or end within a word, such as "
                f"{shorten(entity.text)!r} in {shorten(sample.id)}: offsets count characters (not bytes, nor UTF-16 "
                "units, of which an emoji has two), and the end is the first character after the entity."
            )


def _tears(text: str, entity: Entity) -> bool:
    return any(_within_word(text, place) for place in (entity.start, entity.end) if place is not None)


def _within_word(text: str, place: int) -> bool:
    """Whether letters stand on both sides; of scripts that put blanks between words, which all have upper case."""
    return 0 < place < len(text) and all(char.lower() != char.upper() for char in text[place - 1 : place + 1])
