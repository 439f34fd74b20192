"""What an exported student is asked, and how: its folder, and prompt_template.json in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scd_lightning.analysis.confidence.measured import CONFIDENCE, Confidence, read_confidence
from scd_lightning.analysis.run.model_card import PROMPT
from scd_lightning.data.prompts import choose_template
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, ModelError, words_of
from scd_lightning.models.foreign import read_json
from scd_lightning.run_folder.names import BEST, RESULTS, STUDENT
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.tasks.task import Task

# What rows without labels are called, as messages and rows without ids of their own have it.
INPUT = "input"
_QA_FIELDS = {
    "choice": ("question", "choices"),
    "yes_no": ("question",),
    "extractive": ("question", "context"),
}
# The tasks' own settings, which no file may add to.
_OWN = {"match", "ordered", "format", "no_answer", "english"}
# What the data had told, as labels had.
_LEARNT = {"english"}
_NEEDED: Mapping[str, type] = {
    "kind": str,
    "language": str,
    "template": str,
    "labels": list,
    "settings": dict,
    "primary_metric": str,
    "max_length": int,
    "max_new_tokens": int,
    "vocabulary": int,
}


@dataclass(frozen=True)
class Form:
    """How a student is asked.

    Attributes:
        task: The task, which knows what train's rows had taught it, and no rows.
        max_new_tokens: Most tokens of a generated answer.
        vocabulary: From the first on, how many of the tokenizer's tokens answers consist of.
        fields: What a row must have.
        labels: Those that it has learnt; none of a task that is not about labels.
        primary_metric: What the run went by.
    """

    task: Task
    max_new_tokens: int
    vocabulary: int
    fields: tuple[str, ...]
    labels: tuple[str, ...]
    primary_metric: str

    def sample(self, row: Row, *, labelled: bool = False) -> Sample:
        """A row as a sample.

        Args:
            row: The row.
            labelled: Whether it has a label, which it is measured by; else whatever it has for one is not read.

        Raises:
            DataError: It lacks a field, or one is of another type than it should be.
        """
        if not labelled:
            row = replace(row, values={**row.values, **(self.task.placeholders or {})})
        self.task.check(row, INPUT)
        return self.task.sample(row)

    def values(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        """What a caller has given for a row, column by column: a text is that of the only field.

        Raises:
            ConfigError: It is a text, and a row needs several fields.
        """
        if not isinstance(given, str):
            return dict(given)
        if len(self.fields) > 1:
            fields = ", ".join(f'"{name}": ...' for name in self.fields)
            raise ConfigError(
                "This student is not asked a text alone",
                where="texts",
                got=repr(given[:80]),
                expected=f"{{{fields}}}",
                remedy="give it a row with these fields, from a file or as a dictionary",
            )
        return {self.fields[0]: given}


def find_student(path: str | Path, where: str) -> Path:
    """The folder of an exported student: itself, or in that of its run.

    Args:
        path: Either.
        where: The argument that named it, for messages.

    Raises:
        ModelError: It is neither.
    """
    folder = Path(path).expanduser()
    for each in (folder, folder / STUDENT):
        if (each / PROMPT).is_file():
            return each
    what, remedy = "This is not the folder of a student", "name a run's folder, or the folder student/ in it"
    if not folder.is_dir():
        what = "There is no such folder"
    elif (folder / RESULTS).is_file():
        what = "This run has left no student"
        remedy = "run its command again, with the phases distill, evaluate and report"
    elif runs := sorted(found.parent for found in folder.glob(f"*/{STUDENT}")):
        runs.sort(key=lambda run: run.name != BEST)
        what, remedy = "This is the folder of several runs", f"name one of them, such as {runs[0]}"
    elif (folder / "config.json").is_file():
        what = "This model does not say how it is asked"
        remedy = f"put the {PROMPT} of its run beside config.json"
    raise ModelError(what, where=where, got=path, expected=f"a folder with {PROMPT}", remedy=remedy)


def read_form(folder: Path) -> Form:
    """How the student of a folder is asked.

    Raises:
        ModelError: The file can't be used.
    """
    file = folder / PROMPT
    content = read_json(file)
    for name, kind in _NEEDED.items():
        if not isinstance(content.get(name), kind):
            got = type(content[name]).__name__ if name in content else "nothing"
            raise ModelError(
                f"{PROMPT} can't be used", where=f"{name} in {file}", got=got, expected=kind.__name__, remedy=_AGAIN
            )
    task = _task(content, file)
    task.recall(content)
    try:
        choose_template(task.prompt, task.language, content["template"])
    except ConfigError as error:
        raise ModelError(f"{PROMPT} can't be used ({error.what})", where=file, got=error.got, remedy=_AGAIN) from error
    fields = _QA_FIELDS.get(content["kind"], ("text",))
    labels, metric = tuple(content["labels"]), content["primary_metric"]
    return Form(task, content["max_new_tokens"], content["vocabulary"], fields, labels, metric)


def confidence_in(folder: Path) -> Confidence | None:
    """What is known of how far a student's probabilities can be relied on; None where it was not measured.

    Raises:
        ModelError: The file can't be used.
    """
    file = folder / CONFIDENCE
    if not file.is_file():
        return None
    try:
        return read_confidence(read_json(file))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{CONFIDENCE} can't be used", where=file, got=words_of(error), expected="what a run has measured",
            remedy="take the file of its run, or delete it: answers are then without confidence",
        ) from error  # fmt: skip


_AGAIN = "export the student again, or take the file of its run"


def _task(content: Mapping[str, Any], file: Path) -> Task:
    kind, settings = content["kind"], _settings(content, file)
    if kind == NER.prompt.kind:
        return NER(DataSource(), **settings)
    if kind == Classification.prompt.kind:
        return Classification(DataSource(), labels=_texts(content["labels"], file), **settings)
    if kind in _QA_FIELDS:
        return QA(DataSource(), **{**settings, "format": kind})
    raise ModelError(
        "The student does a task that is none of this package's",
        where=f"kind in {file}",
        got=kind,
        expected=f"{NER.prompt.kind}, {Classification.prompt.kind}, {', '.join(_QA_FIELDS)}",
        remedy="ask it by the code in its model card",
    )


def _settings(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    own = content["settings"]
    if unknown := sorted(own.keys() - _OWN):
        raise ModelError(f"{PROMPT} can't be used", where=f"settings in {file}", got=", ".join(unknown), remedy=_AGAIN)
    given = {name: value for name, value in own.items() if name not in _LEARNT}
    return {name: content[name] for name in ("language", "template", "max_length", "max_new_tokens")} | given


def _texts(labels: Sequence[Any], file: Path) -> list[str]:
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ModelError(
            f"{PROMPT} can't be used", where=f"labels in {file}", got=labels, expected="a list of texts", remedy=_AGAIN
        )
    return list(labels)
