"""A sample of a task, and what is left of it where it is too long."""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scd_lightning.data.rows import Row, shorten
from scd_lightning.data.splits import SPLITS

CUT_MARK = "…"
# What tells samples apart, in the order in which a reader wants it.
_SHOWN_FIELDS = ("context", "text", "question", "choices")


@dataclass(frozen=True)
class Sample:
    """One prompt and its gold answer.

    Attributes:
        id: The row's id, unique in its split.
        fields: What fills the template.
        cuttable: Fields of free text that may be cut where the sample is too long.
        completion: The gold answer as a model should write it.
        gold: The gold answer as the task's scoring wants it; whole, whatever is cut.
        labels: Labels that occur in the gold answer.
        candidates: All answers of a choice task, or None where answers are generated.
        row: The row that it was made of, for messages; no part of what it is.
    """

    id: str
    fields: Mapping[str, str]
    cuttable: tuple[str, ...]
    completion: str
    gold: Any
    labels: tuple[str, ...]
    candidates: tuple[str, ...] | None = None
    row: Row | None = field(default=None, compare=False, repr=False)

    def place(self, split: str) -> str:
        """Where a message says that it is: split and id, after the file and line where it has these."""
        named = f"{split}, id {shorten(self.id)}"
        return named if self.row is None else f"{self.row.where} ({named})"

    def describe(self) -> dict[str, Any]:
        """{"id", "input": the free text and the choices, "labels": those of the gold answer}."""
        parts = [self.fields[name] for name in _SHOWN_FIELDS if self.fields.get(name)]
        return {"id": self.id, "input": "\n\n".join(parts), "labels": list(self.labels)}


@dataclass(frozen=True)
class Cut:
    """What is left of a free text: its first `head` and its last `tail` characters."""

    field: str
    head: int
    tail: int

    def apply(self, text: str) -> str:
        """The text with a mark where characters are left out."""
        return text[: self.head] + CUT_MARK + text[len(text) - self.tail :] if self.head or self.tail else ""

    def shows(self, start: int, end: int, length: int) -> bool:
        """Whether the characters from `start` to `end` of a text of `length` are still there."""
        return end <= self.head or start >= length - self.tail


def content_digests(
    settings: Mapping[str, Any], samples: Mapping[str, Sequence[Sample]], splits: Sequence[str] = SPLITS
) -> tuple[str, dict[str, str]]:
    """Hash of samples and of the settings that made them, over all splits and for each alone; no paths.

    Args:
        settings: JSON values.
        samples: Split -> samples.
        splits: Those that count.
    """
    head = json.dumps(settings, sort_keys=True).encode()
    whole, parts = hashlib.sha256(head), {split: hashlib.sha256(head) for split in splits}
    for split, part in parts.items():
        for digest in (whole, part):
            digest.update(f"\n{split}\n".encode())
        for sample in samples[split]:
            content = {name: value for name, value in vars(sample).items() if name != "row"}
            # Not `asdict` of the sample: that would copy each one's candidates, of which there may be thousands.
            line = json.dumps(content, sort_keys=True, default=asdict).encode()
            for digest in (whole, part):
                digest.update(line)
    return whole.hexdigest(), {split: part.hexdigest() for split, part in parts.items()}


def unseen_labels(samples: Mapping[str, Sequence[Sample]]) -> dict[str, int]:
    """Labels of the test split that train lacks, with their counts; warns where there are any."""
    known = {label for sample in samples["train"] for label in sample.labels}
    counts = Counter(label for sample in samples["test"] for label in sample.labels if label not in known)
    if counts:
        named = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))
        warnings.warn(f"The test split has labels that train lacks, which can't be learnt: {named}.", stacklevel=3)
    return dict(sorted(counts.items()))
