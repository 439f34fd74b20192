"""A student in fewer bits, in a folder of its own, held against the student that was evaluated."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from transformers import PreTrainedModel

from scd_lightning.data.rows import Row
from scd_lightning.errors import ConfigError
from scd_lightning.models.lower_precision import Precision, write_lower
from scd_lightning.store.making import made_whole
from scd_lightning.store.manifest import write_text
from scd_lightning.store.ownership import MARK
from scd_lightning.tasks.markdown_text import code
from scd_lightning.use.measuring import measure
from scd_lightning.use.student import Judged, Student

CARD = "README.md"
# Of what is not copied: weights and what describes them are written anew.
_WEIGHTS = ("config.json", "model.safetensors.index.json", CARD, MARK)
# Answers that differ, of which the card shows some.
_SHOWN = 5


@dataclass(frozen=True)
class Change:
    """An answer that is another one now.

    Attributes:
        id: The row's id.
        before: What was answered.
        after: What is answered.
    """

    id: str
    before: str
    after: str


@dataclass(frozen=True)
class Held:
    """A student in fewer bits against the one that it was made of, on the same rows.

    Attributes:
        rows: How many could be asked.
        changes: The answers that differ.
        metric: The task's primary metric.
        values: Before and after; None where rows have no labels.
    """

    rows: int
    changes: Sequence[Change]
    metric: str
    values: tuple[float, float] | None

    def sentence(self) -> str:
        """It in words."""
        said = f"{len(self.changes):,} of {self.rows:,} answers are others than the evaluated student's"
        if self.values is None:
            return said
        return f"{said}; {self.metric} {self.values[0]:.3f} -> {self.values[1]:.3f}"


def check_target(folder: Path, where: str) -> None:
    """Makes sure that a folder can be made.

    Raises:
        ConfigError: Something is there, or its parent is not.
    """
    if os.path.lexists(folder) or not folder.absolute().parent.is_dir():
        got = f"{folder}, which is there" if os.path.lexists(folder) else f"{folder}, in a folder that is not there"
        raise ConfigError("The student can't be written there", where=where, got=got, expected="a folder to be made")


def export_in(student: Student, precision: Precision, folder: Path) -> None:
    """Writes the student: weights in fewer bits, and all else as it is; the one in memory is of no further use.

    Args:
        student: The student.
        precision: What its weights become.
        folder: Where to; it gets its name when it is whole.
    """
    with made_whole(folder) as made:
        write_lower(cast(PreTrainedModel, student.model.model), precision, made)
        for file in student.folder.iterdir():
            if file.is_file() and file.suffix != ".safetensors" and file.name not in _WEIGHTS:
                shutil.copyfile(file, made / file.name)


def hold_against(
    student: Student, rows: Sequence[Row], before: Sequence[str | None], batch: int, *, labelled: bool
) -> Held:
    """Asks the student in fewer bits, and compares.

    Args:
        student: It, as it was loaded from its folder.
        rows: The rows.
        before: What was answered to each; None where it can't be asked.
        batch: How many rows are asked at once.
        labelled: Whether rows have labels.
    """
    metric = student.form.primary_metric
    judged: list[Judged] = []
    if labelled:
        judged = [each for part in student.judge(rows, batch) for each in part]
        given = [each.given for each in judged]
    else:
        given = [each for part in student.answer(rows, batch, probabilities=False) for each in part]
    pairs = [(old, new) for old, new in zip(before, given, strict=True) if old is not None and new.answer is not None]
    changes = [Change(new.id, old, new.answer or "") for old, new in pairs if old != new.answer]
    values = None
    if labelled:
        asked = [each for each in judged if each.sample is not None]
        task = student.form.task
        old_ones = [
            Judged(each.given, each.sample, task.judge(each.sample, _as_chosen(each, old)))
            for each, old in zip(judged, before, strict=True)
            if each.sample is not None and old is not None
        ]
        after = measure(student.form, asked).metrics[metric].value
        values = (measure(student.form, old_ones).metrics[metric].value, after)
    return Held(len(pairs), changes, metric, values)


def _as_chosen(judged: Judged, answer: str) -> str | int:
    """An answer as it is judged: that of a sample with candidates by its place."""
    assert judged.sample is not None
    candidates = judged.sample.candidates
    return answer if candidates is None else list(candidates).index(answer)


def write_card(student: Student, precision: Precision, held: Held | None, source: Path) -> None:
    """Writes the card of the student that this one was made of, and what became of its weights.

    Args:
        student: The student in fewer bits.
        precision: What its weights are.
        held: How it answers; None where that was not measured.
        source: Folder of the other one.
    """
    card = source / CARD
    lines = ["## These weights", "", f"They are those of the student above, as {code(precision)}."]
    if precision == "int8":
        lines += ["Linear layers have integers of 8 bits, and a scale for each output channel (compressed-tensors);"]
        lines += ["the rest is bfloat16. transformers reads them with `pip install compressed-tensors`."]
    if held is None:
        lines += ["It was not measured how answers differ."]
    else:
        lines += ["", f"{held.sentence()[0].upper()}{held.sentence()[1:]}."]
        rows = [f"| {code(c.id)} | {code(c.before)} | {code(c.after)} |" for c in held.changes[:_SHOWN]]
        lines += ["", "| row | before | now |", "| --- | --- | --- |", *rows] if rows else []
    before = card.read_text(encoding="utf-8").rstrip() if card.is_file() else ""
    write_text(student.folder / CARD, f"{before}\n\n" * bool(before) + "\n".join(lines) + "\n")
