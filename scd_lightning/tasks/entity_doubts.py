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


def cut_ends(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """A sentence for each split in which many entities end in the middle of a word.

    Not of those that begin in one, too: their offsets are counted otherwise, see `data/offsets.py`.
    """
    for split in SPLITS:
        entities = [(sample, entity) for sample in samples[split] for entity in sample.gold]
        cut = [(sample, entity) for sample, entity in entities if _ends_in_word(sample.fields["text"], entity)]
        if cut and len(cut) >= _MANY * len(entities):
            sample, entity = cut[0]
            yield (
                f"In {split}, {len(cut)} of {len(entities)} entities end within a word, such as "
                f"{shorten(entity.text)!r} in {shorten(sample.id)}: an end is the first character after the entity."
            )


def _ends_in_word(text: str, entity: Entity) -> bool:
    if entity.start is None or entity.end is None:
        return False
    return _within_word(text, entity.end) and not _within_word(text, entity.start)


def _within_word(text: str, place: int) -> bool:
    """Whether letters stand on both sides; of scripts that put blanks between words, which all have upper case."""
    return 0 < place < len(text) and all(char.lower() != char.upper() for char in text[place - 1 : place + 1])
