"""What annotation tools call a marked part of a text, in their words, to our entities."""

from collections.abc import Iterator, Mapping
from typing import Any

from scd_lightning.data.rows import as_whole, whole_number

Entity = dict[str, Any]
OWN, OTHERS, TRIPLES, OFFSETS, LABEL_LISTS, COLUMNS = (
    "start, end and label",
    "objects with other names for start, end and label",
    "triples [start, end, label] as doccano and spaCy write them",
    "objects with start_offset and end_offset as doccano writes them",
    "regions with a list of labels as Label Studio writes them, an entity for each",
    "an object of lists",
)

# As above, and of the clouds' services, of pipelines and of other annotation tools; compared without "_" and case.
_PLACES = (
    ("start", "end"),
    ("startoffset", "endoffset"),
    ("beginoffset", "endoffset"),
    ("startchar", "endchar"),
    ("begin", "end"),
    ("offset", "length"),
)
_LABELS = ("label", "labelname", "type", "entitytype", "entitygroup", "category", "tag", "entity")
_STRINGS = ("text", "Text")


def read_regions(value: object) -> list[tuple[str, list[Entity]]] | None:
    """The form and the entities of each region; None of what is no list of regions.

    >>> read_regions([[0, 3, "PERSON"]]) == [(TRIPLES, [{"start": 0, "end": 3, "label": "PERSON"}])]
    True
    """
    if isinstance(value, Mapping):
        regions = _rows_of(value)
        found = None if regions is None else read_regions(regions)
        return None if found is None else [(COLUMNS, entities) for _, entities in found]
    if not isinstance(value, list):
        return None
    read = [_region(each) for each in value]
    return None if None in read else [each for each in read if each is not None]


def _rows_of(columns: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """An object of equally long lists as a list of objects."""
    lists = {name: value for name, value in columns.items() if isinstance(value, list)}
    if not lists or len({len(value) for value in lists.values()}) > 1:
        return None
    return [dict(zip(lists, each, strict=True)) for each in zip(*lists.values(), strict=True)]


def _region(value: object) -> tuple[str, list[Entity]] | None:
    if isinstance(value, list | tuple):
        # spaCy's order, or the label first.
        orders = (value, (*value[1:], value[0])) if len(value) == 3 else ()
        triple = next((placed for each in orders if (placed := _placed(*each)) is not None), None)
        return None if triple is None else (TRIPLES, [triple])
    if not isinstance(value, Mapping):
        return None
    return next(_forms(value), None)


def _forms(region: Mapping[str, Any]) -> Iterator[tuple[str, list[Entity]]]:
    text: Entity = next(({"text": region[name]} for name in _STRINGS if isinstance(region.get(name), str)), {})
    for form, start, end in ((OWN, "start", "end"), (OFFSETS, "start_offset", "end_offset")):
        placed = _placed(region.get(start), region.get(end), region.get("label"))
        if placed is not None:
            yield form, [placed | text]
    labels = region.get("labels")
    if isinstance(labels, list):
        each = [_placed(region.get("start"), region.get("end"), label) for label in labels]
        if None not in each:
            yield LABEL_LISTS, [placed | text for placed in each if placed is not None]
    placed = _placed_by_others(region)
    if placed is not None:
        yield OTHERS, [placed | text]


def _placed_by_others(region: Mapping[str, Any]) -> Entity | None:
    """An entity under names that other programs have, in any case, with its end or its length."""
    values = {name.lower().replace("_", ""): value for name, value in region.items()}
    label = next((values[name] for name in _LABELS if isinstance(values.get(name), str)), None)
    for start, end in _PLACES:
        placed = _placed(*_numbers(values.get(start), values.get(end)), label)
        if placed is not None:
            return placed | ({"end": placed["start"] + placed["end"]} if end == "length" else {})
    return None


def _numbers(start: object, end: object) -> tuple[object, object]:
    """A place that is text as numbers."""
    both = isinstance(start, str) and isinstance(end, str)
    return (whole_number(str(start)), whole_number(str(end))) if both else (start, end)


def _placed(start: object, end: object, label: object) -> Entity | None:
    """An entity of what can be its place and its label; class numbers are labels by their digits."""
    start, end, label = as_whole(start), as_whole(end), as_whole(label)
    places = [each for each in (start, end) if isinstance(each, int) and not isinstance(each, bool)]
    number = isinstance(label, int) and not isinstance(label, bool)
    if len(places) < 2 or not (number or isinstance(label, str)):
        return None
    return {"start": start, "end": end, "label": str(label)}
