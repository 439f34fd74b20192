"""What a run's report says of texts without labels: what became of them, and how far the teacher's answers go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scd_lightning.analysis import plots
from scd_lightning.analysis.formatting import count, number, share
from scd_lightning.analysis.records import RunRecord
from scd_lightning.analysis.run.report_figures import Drawing
from scd_lightning.analysis.run.report_words import plain

# The examples of kept answers, and of those left out: so many of the most and of the least probable ones.
MOST, LEAST = 3, 2
# Characters that an example shows of a text and of an answer.
LONGEST_TEXT, LONGEST_ANSWER = 400, 200

Row = Mapping[str, Any]


@dataclass(frozen=True)
class TextsSection:
    """The section.

    Attributes:
        facts: (name, text) of the numbers.
        notes: How to read them.
        drawing: Precision against the share kept; None where the answers to no validation sample are known.
        labels: A row for each label: its name, and count and share of it in kept answers and in train.
        examples: Kept answers and those left out, the most probable ones first; empty where none were saved.
    """

    facts: list[tuple[str, str]]
    notes: list[str]
    drawing: Drawing | None
    labels: list[dict[str, Any]]
    examples: list[dict[str, Any]]


def texts_section(record: RunRecord, rows: Sequence[Row]) -> TextsSection | None:
    """The section; None for runs without such texts, and for those that ended before the teacher answered them.

    Args:
        record: The run.
        rows: Those of predictions/unlabelled.jsonl.
    """
    found = record.results["data"].get("unlabelled")
    if found is None:
        return None
    facts = [(name, text) for name, text in _facts(found, pseudo_labels=not record.schedule) if text]
    drawing = precision_drawing(found, record.results["data"]["sizes"]["validation"])
    return TextsSection(facts, _notes(found), drawing, label_shares(found["labels"]), examples(rows))


def _facts(found: Row, *, pseudo_labels: bool) -> list[tuple[str, str]]:
    kept = f"{count(found['kept'])} of {count(found['texts'])} ({share(found['kept'] / found['texts'])})"
    malformed = f"{count(found['malformed'])} of them malformed ({share(found['malformed'] / found['texts'])})"
    return [
        ("texts", f"{count(found['texts'])}, of {count(found['rows'])} rows as read ({found['source']})"),
        ("left out", f"{count(found['in_train'])} that stand in train, {count(found['twice'])} repetitions"),
        ("labels among them", found["labelled"] and f"{count(found['labelled'])}, not used"),
        ("shared with other splits", plain(found["overlap"])),
        ("answered", f"{count(found['answered'])}, {malformed}"),
        ("kept", f"{kept}: {_rule(found)}"),
        ("expected to be right", _expected(found["precision"])),
        ("in the student's loss", _learnt(found, pseudo_labels=pseudo_labels)),
    ]


def _rule(found: Row) -> str:
    if found["keep"] == "confident" and found["threshold"] is None:
        return "at no probability are enough answers right on validation (unlabelled.keep=confident)"
    rules = {
        "all": "every answer that can be read",
        "agreed": "answers that the teacher's best checkpoint and its last ones give alike",
        "confident": f"answers of probability {number(found['threshold'])} or more, as chosen on validation",
    }
    return f"{rules[found['keep']]} (unlabelled.keep={found['keep']})"


def _expected(precision: Row | None) -> str:
    if precision is None:
        return "not known: by the same rule, no validation answer is kept"
    interval = f"95 % interval {share(precision['low'])} to {share(precision['high'])}"
    return f"{share(precision['value'])} of those kept ({interval}), by {count(precision['of'])} validation samples"


def _learnt(found: Row, *, pseudo_labels: bool) -> str:
    if pseudo_labels:
        return "the answers stand as labels"
    whose = {"stage": "the stage's checkpoint", "best": "the teacher's best checkpoint"}[found["from"]]
    return f"weight {found['weight']:g} for the distribution of {whose}, {1 - found['weight']:g} for the answer itself"


def _notes(found: Row) -> list[str]:
    if found["precision"] is None:
        return []
    notes = ["What is expected holds as far as the texts are like the validation samples."]
    if found["threshold"] is not None:
        notes.append("The threshold was chosen on the same ones, which makes it a little too good.")
    return notes


def precision_drawing(found: Row, samples: int) -> Drawing | None:
    """How right answers are on validation, the surest first, and where those lie that are kept.

    Args:
        found: The content of `data.unlabelled` in results.json.
        samples: Of the validation split.
    """
    curve, precision, threshold = found["curve"], found["precision"], found["threshold"]
    if not curve:
        return None
    kept = precision and (precision["of"] / samples, *(precision[name] for name in ("value", "low", "high")))
    text = "Of the most probable " + ", ".join(f"{share(part)}: {share(right)} right" for part, right, _ in curve) + "."
    if threshold is not None:
        text += f" Kept from probability {number(threshold)} on."
    if kept:
        text += f" Kept on validation: {share(kept[0])}, of which {share(kept[1])} right."
    caption = "The teacher's answers to the validation split: how many are right of the most probable ones."
    return Drawing(plots.precision_plot(curve, kept, threshold), caption, text)


def label_shares(labels: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """How often each label stands in kept answers and in train, in train's order; empty for tasks without labels.

    Args:
        labels: "answers" and "train": label -> count; empty for tasks without.

    >>> label_shares({"answers": {"b": 3}, "train": {"a": 1, "b": 1}})[1]
    {'label': 'b', 'answers': 3, 'train': 1, 'answers_share': 1.0, 'train_share': 0.5}
    """
    sums = {side: max(sum(counts.values()), 1) for side, counts in labels.items()}
    names = dict.fromkeys([*labels.get("train", ()), *labels.get("answers", ())])
    return [
        {"label": name}
        | {side: labels[side].get(name, 0) for side in labels}
        | {f"{side}_share": labels[side].get(name, 0) / sums[side] for side in labels}
        for name in names
    ]


def examples(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A few kept answers and a few of those left out, of either the most and the least probable ones.

    Args:
        rows: Those of predictions/unlabelled.jsonl.
    """
    chosen = []
    for kept in (True, False):
        ordered = sorted((row for row in rows if row["kept"] == kept), key=lambda row: -row["probability"])
        # As many as there are where most and least probable ones overlap.
        chosen += ordered[:MOST] + ordered[max(MOST, len(ordered) - LEAST) :]
    return [_shortened(row) for row in chosen]


def _shortened(row: Row) -> dict[str, Any]:
    return {**row, "input": _cut(row["input"], LONGEST_TEXT), "answer": _cut(row["answer"], LONGEST_ANSWER)}


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest].rstrip()}…"
