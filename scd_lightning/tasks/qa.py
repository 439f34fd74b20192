"""Question answering: multiple choice, yes/no/maybe, or extractive."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from scd_lightning.data.checks import check_choice
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.module import DomainDataModule
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.tasks.answer_metric import AnswerMetric, token_f1
from scd_lightning.tasks.choice_metric import ChoiceMetric
from scd_lightning.tasks.choices import judge_choice
from scd_lightning.tasks.entity_lines import one_line

YES_NO = ("yes", "no", "maybe")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FORMATS = ("choice", "yes_no", "extractive")


class QADataModule(DomainDataModule):
    """Rows {"question", "choices", "answer": index, "context"?} or {"question", "context", "answer": text}.

    Multiple choice is answered by a letter, yes-no questions by yes, no or maybe, extractive ones by generated text;
    an extractive row's "answer" may be a list of strings, any of which will do (the first one is learnt).

    Args:
        data: Where the rows come from.
        format: "choice", "yes_no", "extractive", or "auto" to tell them by the rows.
        ordered: Whether the choices stand in an order of degree; kappa is linear-weighted then.
        primary_metric: None for "accuracy", or "token_f1" of extractive answers.
        **settings: As in `DomainDataModule`.
    """

    task = "qa"

    def __init__(
        self,
        data: DataSource,
        format: Literal["auto", "choice", "yes_no", "extractive"] = "auto",
        ordered: bool = False,
        primary_metric: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(data, primary_metric, **settings)
        check_choice("format", format, ("auto", *_FORMATS))
        self.format = format
        self.ordered = ordered
        self.labels: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The format, known after `read`."""
        return self.format

    @property
    def answer_kind(self) -> Literal["choice", "generate"]:
        """Extractive answers are generated."""
        return "generate" if self.format == "extractive" else "choice"

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics of the format; the first one is the default."""
        return ("token_f1", "exact_match") if self.format == "extractive" else ("accuracy", "macro_f1", "kappa")

    def _settings(self) -> dict[str, Any]:
        return {"format": self.format, "ordered": self.ordered, "labels": self.labels}

    def _checker(self, rows: Mapping[str, Sequence[Row]]) -> Callable[[Row, str], object]:
        if self.format == "auto":
            self.format = detect_format([row for split in rows.values() for row in split])
        return self._check

    def _check(self, row: Row, split: str) -> None:
        row.string("question")
        row.optional_string("context")
        if self.format == "choice":
            read_index(row, len(read_choices(row)))
        elif self.format == "yes_no":
            read_yes_no(row)
        else:
            row.string("context")
            read_answers(row)

    def _prepare(self, rows: Mapping[str, Sequence[Row]]) -> None:
        everything = [row for split in rows.values() for row in split]
        if self.format == "choice":
            self.labels = tuple(_LETTERS[: max(len(read_choices(row)) for row in everything)])
        elif self.format == "yes_no":
            found = {read_yes_no(row) for row in everything}
            self.labels = tuple(answer for answer in YES_NO if answer in found)

    def _sample(self, row: Row) -> Sample:
        fields = {"question": row.string("question"), "context": row.optional_string("context")}
        if self.format == "choice":
            return self._choice(row, fields)
        if self.format == "yes_no":
            answer = read_yes_no(row)
            fields["labels"] = ", ".join(self.labels)
            return Sample(row.id, fields, _TEXTS, answer, answer, (answer,), self.labels)
        answers = read_answers(row)
        return Sample(row.id, fields, _TEXTS, one_line(answers[0]).strip(), answers, ())

    def _choice(self, row: Row, fields: dict[str, str]) -> Sample:
        choices = read_choices(row)
        letters = tuple(_LETTERS[: len(choices)])
        listed = zip(letters, choices, strict=True)
        fields["choices"] = "\n".join(f"{letter}. {one_line(choice).strip()}" for letter, choice in listed)
        gold = letters[read_index(row, len(choices))]
        return Sample(row.id, fields, _TEXTS, gold, gold, (gold,), letters)

    def _judge(self, sample: Sample, answer: str | int) -> Judgement:
        if sample.candidates is not None:
            return judge_choice(sample, answer)
        text = str(answer).strip()
        score = token_f1(text, sample.gold)
        return Judgement(sample.id, text, sample.completion, score, not text, text, sample.gold)

    def build_metric(self) -> ChoiceMetric | AnswerMetric:
        """Exact match and token F1 of extractive answers; accuracy, macro F1 and kappa of the others."""
        return AnswerMetric() if self.format == "extractive" else ChoiceMetric(self.labels, ordered=self.ordered)


_TEXTS = ("context", "question")


def detect_format(rows: Sequence[Row]) -> Literal["choice", "yes_no", "extractive"]:
    """Tells the format by what the rows hold: choices, or answers of yes, no or maybe, or other answers.

    Most rows decide, so that a row that does not fit the others is an error and not another format.
    """
    if 2 * sum(row.values.get("choices") is not None for row in rows) >= len(rows):
        return "choice"
    answers = [row.values.get("answer") for row in rows]
    closed = sum(isinstance(answer, str) and answer.strip().lower() in YES_NO for answer in answers)
    return "yes_no" if 2 * closed > len(answers) else "extractive"


def read_choices(row: Row) -> list[str]:
    """A row's choices.

    Raises:
        DataError: They are missing, not strings, or not 2 to 26.
    """
    choices = row.strings("choices", row.require("choices", "a list of strings, as other rows have"))
    if not 2 <= len(choices) <= len(_LETTERS):
        raise row.error("choices", "has a wrong number of choices", len(choices), f"2 to {len(_LETTERS)}")
    return choices


def read_index(row: Row, choices: int) -> int:
    """The index of a row's right choice.

    Raises:
        DataError: It is missing, not an integer, or outside the choices.
    """
    answer = row.integer("answer", row.require("answer", "the index of the right choice, from 0"))
    if not 0 <= answer < choices:
        raise row.error("answer", "is outside the choices", answer, f"an index from 0 to {choices - 1}")
    return answer


def read_yes_no(row: Row) -> str:
    """A row's answer among yes, no and maybe, in lower case.

    Raises:
        DataError: It is missing or another.
    """
    answer = row.string("answer").strip().lower()
    if answer not in YES_NO:
        remedy = "correct this row, or pass task.format=extractive"
        raise row.error("answer", "is not among the answers", answer, " or ".join(YES_NO), remedy)
    return answer


def read_answers(row: Row) -> list[str]:
    """The answers of an extractive row, one or several.

    Raises:
        DataError: They are missing, empty or not strings.
    """
    answer = row.require("answer", "a non-empty string, or a list of them")
    return row.strings("answer", answer) if isinstance(answer, list) else [row.check_string("answer", answer)]
