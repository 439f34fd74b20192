"""How entities are written as text, one a line, and read back into spans."""

import re
from collections.abc import Collection, Iterable

from scd_lightning.tasks.entity_scores import Entity

NONE = {"en": "none", "ja": "なし"}
_LINE_BREAKS = re.compile(r"[\r\n]")


def one_line(text: str) -> str:
    """The text with each line break as a blank: as long as before, so that offsets stay."""
    return _LINE_BREAKS.sub(" ", text)


def write_entities(entities: Iterable[Entity], language: str) -> str:
    """Entities as "label: text" lines in the order given; the language's word for none where there are none."""
    return "\n".join(f"{entity.label}: {entity.text}" for entity in entities) or NONE[language]


def parse_entities(answer: str, labels: Collection[str]) -> tuple[list[tuple[str, str]], bool]:
    """Reads an answer, whatever it is.

    Args:
        answer: A model's answer.
        labels: The known labels.

    Returns:
        (label, text) of each line that can be read, and whether anything could not.
    """
    lines = [line.strip() for line in answer.strip().split("\n")]
    if len(lines) == 1 and lines[0] in NONE.values():
        return [], False
    found = [_parse_line(line, labels) for line in lines]
    return [pair for pair in found if pair is not None], None in found


def _parse_line(line: str, labels: Collection[str]) -> tuple[str, str] | None:
    # Against the known labels, as a label may hold a colon itself; the longest first, as one may start another.
    for label in sorted(labels, key=len, reverse=True):
        rest = line.removeprefix(label).lstrip() if line.startswith(label) else ""
        if rest[:1] in (":", "：") and rest[1:].strip():
            return label, rest[1:].strip()
    return None


def align(pairs: Iterable[tuple[str, str]], text: str) -> list[Entity]:
    """Finds answered entities in the text, from left to right.

    Each is looked for behind the one before it, then from the start of the one before it (nested entities), then
    anywhere; an occurrence is used once per label. Entities without one get no span.

    Args:
        pairs: (label, text) in the order answered.
        text: The whole input text.
    """
    flat = one_line(text)
    used: set[tuple[str, int, int]] = set()
    entities, start, end = [], 0, 0
    for label, surface in pairs:
        found = next((at for origin in (end, start, 0) if (at := _free(label, surface, flat, origin, used)) >= 0), None)
        if found is None:
            entities.append(Entity(label, surface))
            continue
        start, end = found, found + len(surface)
        used.add((label, start, end))
        entities.append(Entity(label, surface, start, end))
    return entities


def _free(label: str, surface: str, text: str, origin: int, used: set[tuple[str, int, int]]) -> int:
    """Where the surface first occurs from `origin` on without being used; whole words first; -1 for nowhere."""
    inside = -1
    at = text.find(surface, origin)
    while at >= 0:
        if (label, at, at + len(surface)) not in used:
            if _is_whole(surface, text, at):
                return at
            inside = at if inside < 0 else inside
        at = text.find(surface, at + 1)
    return inside


def _is_whole(surface: str, text: str, at: int) -> bool:
    """Whether an occurrence is not cut out of a longer word in a script that has blanks between words."""
    before, after = text[at - 1 : at], text[at + len(surface) : at + len(surface) + 1]
    return not (_joins(before, surface[0]) or _joins(surface[-1], after))


def _joins(left: str, right: str) -> bool:
    return all(char.isascii() and char.isalnum() for char in (left, right))
