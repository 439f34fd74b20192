"""Named entity recognition as generated text: one "label: text" line per entity."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scd_lightning.data.checks import check_choice
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.module import DomainDataModule
from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.tasks.entity_lines import align, one_line, parse_entities, write_entities
from scd_lightning.tasks.entity_metric import Entity, EntityMetric, span_counts, string_counts


class NERDataModule(DomainDataModule):
    """Rows {"text", "entities": [{"start", "end", "label", "text"}]}; offsets in characters, end exclusive.

    Args:
        data: Where the rows come from.
        match: What a hit is: "spans" the same place, "strings" the same string, wherever and however often.
        primary_metric: None for "f1" or "string_f1", by `match`.
        **settings: As in `DomainDataModule`.
    """

    task = "ner"
    kind = "ner"
    answer_kind: Literal["generate"] = "generate"

    def __init__(
        self,
        data: DataSource,
        match: Literal["spans", "strings"] = "spans",
        primary_metric: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(data, primary_metric, **settings)
        check_choice("match", match, ("spans", "strings"))
        self.match = match
        self.labels: list[str] = []
        self.known_labels: list[str] = []

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Those on spans and on string sets, by `match` which first."""
        names = ("f1", "precision", "recall")
        strings = tuple(f"string_{name}" for name in names)
        return (*names, *strings) if self.match == "spans" else (*strings, *names)

    def _settings(self) -> dict[str, Any]:
        return {"match": self.match}

    def _check(self, row: Row, split: str) -> None:
        read_entities(row)

    def _prepare(self, rows: Mapping[str, Sequence[Row]]) -> None:
        found = {split: {entity.label for row in rows[split] for entity in read_entities(row)} for split in rows}
        self.labels = sorted(found["train"])
        self.known_labels = sorted(set.union(*found.values()))

    def _sample(self, row: Row) -> Sample:
        entities = read_entities(row)
        return Sample(
            id=row.id,
            fields={"text": row.string("text"), "labels": ", ".join(self.labels)},
            cuttable=("text",),
            completion=write_entities(entities, self.language),
            gold=entities,
            labels=tuple(entity.label for entity in entities),
        )

    def _retarget(self, sample: Sample, cut: Cut) -> tuple[str, int]:
        length = len(sample.fields[cut.field])
        visible = [entity for entity in sample.gold if cut.shows(entity.start, entity.end, length)]
        return write_entities(visible, self.language), len(sample.gold) - len(visible)

    def _judge(self, sample: Sample, answer: str | int) -> Judgement:
        pairs, malformed = parse_entities(str(answer), self.known_labels)
        predicted = align(pairs, sample.fields["text"])
        counts = span_counts if self.match == "spans" else string_counts
        score = counts(predicted, sample.gold).f1
        return Judgement(sample.id, str(answer), sample.completion, score, malformed, predicted, sample.gold)

    def describe(self, split: str, index: int) -> dict[str, Any]:
        """As elsewhere, with "entities": the gold ones as [label, text, start, end]; offsets are those of "input"."""
        gold = self.samples[split][index].gold
        return super().describe(split, index) | {"entities": [[*vars(entity).values()] for entity in gold]}

    def build_metric(self) -> EntityMetric:
        """Micro precision, recall and F1 on spans and on string sets."""
        return EntityMetric()


def read_entities(row: Row) -> list[Entity]:
    """A row's entities by place, white space at their ends trimmed.

    Raises:
        DataError: An entity lacks a field, is out of range or is not what the text has there.
    """
    text = row.string("text")
    entities = row.require("entities", 'a list of {"start", "end", "label", "text"}, maybe empty')
    if not isinstance(entities, list):
        raise row.error("entities", "has the wrong type", repr(entities), "a list")
    found = [_read_entity(row, text, f"entities[{i}]", entity) for i, entity in enumerate(entities)]
    return sorted(found, key=lambda entity: (entity.start, entity.end, entity.label))


def _read_entity(row: Row, text: str, field: str, entity: object) -> Entity:
    if not isinstance(entity, dict) or not {"start", "end", "label"} <= set(entity):
        raise row.error(field, "lacks a field", repr(entity), 'an object with "start", "end" and "label"')
    start, end = (row.integer(f"{field}.{name}", entity[name]) for name in ("start", "end"))
    if not 0 <= start < end <= len(text):
        raise row.error(field, "has a span out of range", f"{start} to {end}", f"0 <= start < end <= {len(text)}")
    surface = text[start:end]
    if entity.get("text") not in (None, surface):
        raise row.error(
            f"{field}.text", "is not what the text has there", repr(entity["text"]), shorten(repr(surface)),
            "give offsets in characters (not bytes), end exclusive",
        )  # fmt: skip
    row.check_string(f"{field}.text", surface)
    start += len(surface) - len(surface.lstrip())
    surface = surface.strip()
    label = row.check_string(f"{field}.label", entity["label"])
    return Entity(one_line(label).strip(), one_line(surface), start, start + len(surface))
