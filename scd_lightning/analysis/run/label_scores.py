"""Precision, recall and F1 of each label: classes of a choice task, types of entities."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scd_lightning.analysis.records import RunRecord

Row = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """One model's scores on one label, 0 where undefined."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class LabelScores:
    """One label.

    Attributes:
        label: Its name.
        support: How often it is the gold one (for entities matched as strings: different strings of a sample).
        models: Model -> its scores.
    """

    label: str
    support: int
    models: dict[str, Scores]


def label_scores(record: RunRecord) -> list[LabelScores]:
    """Scores of every label that occurs in gold or answers, in the task's order; empty where a task has none."""
    expected, answered = _events(record)
    if not answered:
        return []
    support = Counter(label for sample in expected for label, *_ in sample)
    said = Counter(label for samples in answered.values() for sample in samples for label, *_ in sample)
    known = list(record.results["data"].get("settings", {}).get("labels") or ())
    order = dict.fromkeys([*known, *(label for label, _ in support.most_common()), *sorted(said)])
    counted = {name: _counts(samples, expected) for name, samples in answered.items()}
    return [
        LabelScores(label, support[label], {name: _scores(label, *counts) for name, counts in counted.items()})
        for label in order
        if support[label] or said[label]
    ]


def entity_key(record: RunRecord, entity: Sequence[Any]) -> tuple[Any, ...]:
    """What makes two entities of a sample the same one: label and place, or label and string, as the task has it."""
    label, text, start, end = entity
    return (label, text) if matches_strings(record) else (label, start, end)


def matches_strings(record: RunRecord) -> bool:
    """Whether entities are matched as strings and not as spans."""
    settings = record.results.get("data", {}).get("settings", {})
    return settings.get("match") == "strings" or record.results["primary_metric"].startswith("string_")


def _events(record: RunRecord) -> tuple[list[list[tuple[Any, ...]]], dict[str, list[list[tuple[Any, ...]]]]]:
    """What was expected and what each model answered, sample by sample, as tuples that start with the label."""
    rows = record.predictions
    if not rows:
        return [], {}
    if record.samples and all("entities" in row for each in (record.samples, *rows.values()) for row in each):
        expected = [_entities(record, sample["entities"]) for sample in record.samples]
        return expected, {
            name: [_entities(record, row["entities"]) for row in of_model] for name, of_model in rows.items()
        }
    if "accuracy" not in record.results["metrics"].get("teacher", {}):
        return [], {}
    gold = [[(row["gold"],)] for row in next(iter(rows.values()))]
    return gold, {
        name: [[] if row["malformed"] else [(row["answer"],)] for row in of_model] for name, of_model in rows.items()
    }


def _entities(record: RunRecord, entities: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The entities of a sample, each once; one that the text does not have is answered each time, and never a hit."""
    keys = [entity_key(record, entity) for entity in entities]
    missing = [key for key in keys if len(key) == 3 and key[1] is None]
    return [*dict.fromkeys(key for key in keys if key not in missing), *missing]


def _counts(
    answered: list[list[tuple[Any, ...]]], expected: list[list[tuple[Any, ...]]]
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    hits: Counter[str] = Counter()
    for ours, gold in zip(answered, expected, strict=True):
        hits.update(key[0] for key in set(ours) & set(gold))
    said, wanted = (Counter(key[0] for sample in side for key in sample) for side in (answered, expected))
    return hits, said, wanted


def _scores(label: str, hits: Counter[str], said: Counter[str], wanted: Counter[str]) -> Scores:
    return Scores(
        hits[label] / max(said[label], 1),
        hits[label] / max(wanted[label], 1),
        2 * hits[label] / max(said[label] + wanted[label], 1),
    )
