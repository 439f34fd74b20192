"""Named entity recognition as generated text: one "label: text" line per entity."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from typing_extensions import override

from scd_lightning.config.checks import require_one_of
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.data.spelling import spelled
from scd_lightning.tasks.entity_doubts import cut_ends, splits_without_entities
from scd_lightning.tasks.entity_lines import NONE, EntityLines, one_line, readable
from scd_lightning.tasks.entity_scores import (
    EntitiesByLabel,
    Entity,
    Match,
    count_entities,
    entity_keys,
    entity_measures,
    entity_rows,
)
from scd_lightning.tasks.markdown_text import code
from scd_lightning.tasks.measures import ByLabel, LabelKey, Measure
from scd_lightning.tasks.task import Task

# What a card says of answers in which places are told by their number.
_NUMBERS = (
    "`label: text [2]` means the second place at which the input has that text, overlapping ones counted; without a "
    "number it is the first free one behind the entity before. "
)


class NER(Task):
    """Rows {"text", "entities": [{"start", "end", "label", "text"}]}; offsets in characters, end exclusive.

    Args:
        data: Where the rows come from.
        match: What a hit is: "spans" the same place, "strings" the same string, wherever and however often.
        primary_metric: None for "f1" or "string_f1", by `match`.
        **settings: As in `Task`.
    """

    task = "ner"
    hub_task = "token-classification"
    unit = "entity"
    prompt = Prompt(
        "ner",
        {"en": "{text}\nEntities:\n", "ja": "{text}\n固有表現:\n"},
        frozenset({"text"}),
        frozenset({"labels"}),
    )
    chooses = False

    def __init__(
        self,
        data: DataSource,
        match: Literal["spans", "strings"] = "spans",
        primary_metric: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(data, primary_metric, **settings)
        require_one_of(("spans", "strings"), **{"task.match": match})
        self.match: Match = match
        self.labels: list[str] = []
        self.numbered = False

    @classmethod
    def measures(cls, settings: Mapping[str, Any]) -> dict[str, Measure]:
        """Micro precision, recall and F1 on spans and on string sets."""
        return entity_measures()

    @classmethod
    @override
    def by_label(cls, settings: Mapping[str, Any], primary_metric: str) -> ByLabel:
        strings = settings.get("match") == "strings" or primary_metric.startswith("string_")
        return EntitiesByLabel("strings" if strings else "spans")

    @classmethod
    @override
    def answer_note(cls, form: Mapping[str, Any]) -> str:
        labels, none = ", ".join(map(code, form["labels"])), code(form["none"])
        form_of_lines = f"It writes one entity a line as `label: text`, and {none} where there is none."
        return f"{form_of_lines} {_NUMBERS if form.get('numbered') else ''}Labels: {labels}."

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Those on spans and on string sets, by `match` which first."""
        names = ("f1", "precision", "recall")
        strings = tuple(f"string_{name}" for name in names)
        return (*names, *strings) if self.match == "spans" else (*strings, *names)

    def settings(self) -> dict[str, Any]:
        """Whether spans or strings are matched."""
        return {"match": self.match}

    def check(self, row: Row, split: str) -> None:
        """A row needs a text and a list of entities in it."""
        read_entities(row)

    def learn(self, rows: Sequence[Row]) -> None:
        """The labels, and whether any answer needs numbers to tell places apart."""
        entities = [read_entities(row) for row in rows]
        self.labels = sorted({entity.label for each in entities for entity in each})
        self.numbered = any(map(self._needs_numbers, rows, entities))

    def sample(self, row: Row) -> Sample:
        """The text; the answer is a line for each entity."""
        entities = read_entities(row)
        return Sample(
            id=row.id,
            fields={"text": row.string("text"), "labels": ", ".join(self.labels)},
            cuttable=("text",),
            completion=self._write(entities, row.string("text"), entities),
            gold=entities,
            labels=tuple(entity.label for entity in entities),
        )

    @property
    @override
    def placeholders(self) -> Mapping[str, Any]:
        return {"entities": []}

    answer_columns = ("entities",)

    @override
    def written_labels(self, row: Row) -> list[object]:
        return [entity["label"] for entity in row.values["entities"]]

    @override
    def doubts(self, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
        return [*super().doubts(samples), *splits_without_entities(samples), *cut_ends(samples)]

    @override
    def completion(self, sample: Sample) -> str:
        return self._write(sample.gold, sample.fields["text"], sample.gold)

    def retarget(self, sample: Sample, cut: Cut) -> tuple[str, int]:
        """Entities that are cut away leave the completion; what is matched as a string may stand elsewhere too."""
        length = len(sample.fields[cut.field])
        visible = [entity for entity in sample.gold if cut.shows(entity.start, entity.end, length)]
        # It is judged in the whole text, so what tells places apart is told of the whole text.
        completion = self._write(visible, sample.fields["text"], sample.gold)
        return completion, len(self._keys(sample.gold) - self._keys(visible))

    def parts(self, sample: Sample) -> int:
        """Its entities, as they are matched."""
        return len(self._keys(sample.gold))

    def _needs_numbers(self, row: Row, entities: Sequence[Entity]) -> bool:
        lines = self._lines(row.string("text"), entities)
        lines.write(entities, self.match)
        return lines.numbered

    def _write(self, entities: Sequence[Entity], text: str, gold: Sequence[Entity]) -> str:
        return "\n".join(self._lines(text, gold).write(entities, self.match)) or NONE[self.language]

    def _lines(self, text: str, gold: Sequence[Entity]) -> EntityLines:
        return EntityLines(text, self._known(gold), self.normal_form)

    def _known(self, gold: Sequence[Entity]) -> list[str]:
        # A gold label that train lacks is understood as well: no model that was tuned here knows it, but one may.
        return [*self.labels, *(entity.label for entity in gold)]

    def _keys(self, entities: Sequence[Entity]) -> set[LabelKey]:
        return set(entity_keys(entity_rows(entities), self.match))

    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Reads the lines and finds their entities in the text."""
        entities, malformed = self._lines(sample.fields["text"], sample.gold).read(str(answer))
        found = entity_rows(entities)
        score = count_entities(found, entity_rows(sample.gold), self.match).f1
        return Judgement(sample.id, str(answer), sample.completion, score, malformed, {"entities": found})

    @override
    def unit_probabilities(
        self, sample: Sample, judged: Judgement, whole: float, lines: Sequence[float]
    ) -> list[float]:
        found = readable(judged.answer, self._known(sample.gold), self.normal_form)
        # Blank lines at the ends have no entity, and no place among those.
        blank = len(judged.answer.split("\n")) - len(judged.answer.lstrip().split("\n"))
        own = lines[blank : blank + len(found)]
        if len(own) < len(found):  # A tokenizer that writes line breaks otherwise.
            own = [whole] * len(found)
        return [probability for probability, is_entity in zip(own, found, strict=True) if is_entity]

    @override
    def units_right(self, sample: Sample, judged: Judgement) -> list[bool]:
        gold = self._keys(sample.gold)
        keys = (entity_keys([entity], self.match)[0] for entity in judged.facts["entities"])
        return [key in gold for key in keys]

    def describe(self, sample: Sample) -> dict[str, Any]:
        """As elsewhere, with "entities": the gold ones as [label, text, start, end]; offsets are those of "input"."""
        return super().describe(sample) | {"entities": entity_rows(sample.gold)}

    def answer_format(self, sample: Sample) -> dict[str, Any]:
        """Entities are written with their labels, and none of them by a word; "numbered" where some have numbers."""
        numbered = {"numbered": True} if self.numbered else {}
        return super().answer_format(sample) | {"labels": self.labels, "none": NONE[self.language], **numbered}

    @override
    def recall(self, form: Mapping[str, Any]) -> None:
        self.labels, self.numbered = list(form["labels"]), bool(form.get("numbered"))


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
    # One that is listed twice, as where two people have marked it, is one.
    return sorted(set(found), key=lambda entity: (entity.start, entity.end, entity.label))


_OFFSETS = "give offsets in characters (not bytes or UTF-16 units), end exclusive"


def _read_entity(row: Row, text: str, field: str, entity: object) -> Entity:
    if not isinstance(entity, dict) or not {"start", "end", "label"} <= set(entity):
        raise row.error(field, "lacks a field", repr(entity), 'an object with "start", "end" and "label"')
    start, end = (row.integer(f"{field}.{name}", entity[name]) for name in ("start", "end"))
    if not 0 <= start < end <= len(text):
        expected = f"0 <= start < end <= {len(text)}"
        remedy = f"correct or remove this row, or {_OFFSETS}"
        raise row.error(field, "has a span out of range", f"{start} to {end}", expected, remedy)
    surface = text[start:end]
    if entity.get("text") not in (None, surface):
        raise row.error(
            f"{field}.text", "is not what the text has there", repr(entity["text"]), shorten(repr(surface)),
            _OFFSETS,
        )  # fmt: skip
    row.check_string(f"{field}.text", surface)
    start += len(surface) - len(surface.lstrip())
    surface = surface.strip()
    label = spelled(row.check_string(f"{field}.label", entity["label"]))
    return Entity(label, one_line(surface), start, start + len(surface))
