"""Question answering: multiple choice, yes/no/maybe, or extractive."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from typing_extensions import override

from scd_lightning.config.checks import require_one_of
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.rows import Row, free_texts
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.answer_texts import are_english, exact_match, token_f1
from scd_lightning.tasks.choices import ByChoice, choice_measures, judge_choice
from scd_lightning.tasks.entity_lines import one_line
from scd_lightning.tasks.measures import ByLabel, Mean, Measure, Ratio
from scd_lightning.tasks.measures import Row as MeasuredRow
from scd_lightning.tasks.qa_doubts import answer_doubts, choice_doubts, choice_looks, stands_in
from scd_lightning.tasks.qa_rows import (
    LETTERS,
    YES_NO,
    check_closed,
    closed_words,
    detect_format,
    read_answers,
    read_choices,
    read_closed,
    read_index,
)
from scd_lightning.tasks.task import Task

_TEXTS = ("context", "question")
# Those of extractive answers that may be the primary one, the default first.
_TEXT_METRICS = ("token_f1", "exact_match")
# By the format of their answers.
PROMPTS = {
    "choice": Prompt(
        "choice",
        {
            "en": "{context}\nQuestion: {question}\n{choices}\nAnswer:\n",
            "ja": "{context}\n質問: {question}\n{choices}\n答え:\n",
        },
        frozenset({"question", "choices"}),
        frozenset({"context"}),
    ),
    "yes_no": Prompt(
        "yes_no",
        {
            "en": "{context}\nQuestion: {question}\nAnswer ({labels}):\n",
            "ja": "{context}\n質問: {question}\n答え（{labels}）:\n",
        },
        frozenset({"question"}),
        frozenset({"context", "labels"}),
    ),
    "extractive": Prompt(
        "extractive",
        {
            "en": "{context}\nQuestion: {question}\nAnswer:\n",
            "ja": "{context}\n質問: {question}\n答え:\n",
        },
        frozenset({"question", "context"}),
    ),
}


class ExactMatch(Ratio):
    """The share of answers that are equal to a gold one; rows say so where their score does not."""

    of_row = ("correct",)

    def sums(self, row: MeasuredRow, sample: MeasuredRow) -> tuple[float, float]:
        """Whether it is, and 1."""
        return float(row.get("exact", row["correct"] == 1)), 1.0


class QA(Task):
    """Rows {"question", "choices", "answer": index, "context"?} or {"question", "context", "answer": text}.

    Multiple choice is answered by a letter, yes-no questions by such a word, extractive ones by generated text;
    an extractive row's "answer" may be a list of strings, any of which will do (the first one is learnt).

    Args:
        data: Where the rows come from.
        format: "choice", "yes_no", "extractive", or "auto" to tell them by the rows.
        ordered: Whether the choices stand in an order of degree; kappa is linear-weighted then.
        primary_metric: None for "accuracy", or "token_f1" of extractive answers.
        no_answer: What answers an extractive question that has no answer in its context; None: all have one.
        **settings: As in `Task`.
    """

    task = "qa"
    hub_task = "question-answering"

    def __init__(
        self,
        data: DataSource,
        format: Literal["auto", "choice", "yes_no", "extractive"] = "auto",
        ordered: bool = False,
        primary_metric: str | None = None,
        no_answer: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(data, primary_metric, **settings)
        require_one_of(("auto", *PROMPTS), **{"task.format": format})
        if no_answer is not None and not no_answer.strip():
            raise ConfigError(
                "An answer that says that there is none has to say something",
                where="task.no_answer",
                got=repr(no_answer),
                expected="words such as 'no answer', or null",
            )
        self.format, self.ordered = format, ordered
        self.no_answer = None if no_answer is None else one_line(no_answer).strip()
        self.labels: tuple[str, ...] = ()
        self.words: tuple[str, ...] = YES_NO
        self.english = True

    @property
    def prompt(self) -> Prompt:
        """That of the format."""
        return PROMPTS[self.format]

    @property
    def chooses(self) -> bool:
        """Extractive answers are generated."""
        return self.format != "extractive"

    @classmethod
    def measures(cls, settings: Mapping[str, Any]) -> dict[str, Measure]:
        """Exact match and token F1 of extractive answers; accuracy, macro F1 and kappa of the others."""
        if settings["format"] != "extractive":
            return choice_measures(settings)
        return {"exact_match": ExactMatch(), "token_f1": Mean("correct"), "malformed": Mean("malformed")}

    @classmethod
    @override
    def by_label(cls, settings: Mapping[str, Any], primary_metric: str) -> ByLabel | None:
        # Not by the format, which old results lack.
        return None if primary_metric in _TEXT_METRICS else ByChoice(tuple(settings.get("labels", ())))

    @classmethod
    @override
    def answer_note(cls, form: Mapping[str, Any]) -> str:
        return "there are as many letters as choices" if form["kind"] == "choice" else ""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics of the format; the first one is the default."""
        return _TEXT_METRICS if self.format == "extractive" else super().metric_names

    def settings(self) -> dict[str, Any]:
        """The format, as it is or was found out, and the labels; whether extractive answers are held to be English."""
        of_texts = {"english": self.english, "no_answer": self.no_answer} if self.format == "extractive" else {}
        return {"format": self.format, "ordered": self.ordered, "labels": self.labels} | of_texts

    def checker(self, rows: Sequence[Row]) -> Callable[[Row, str], object]:
        """The rows tell the format."""
        if self.format == "auto":
            self.format = detect_format(rows)
        if self.format == "yes_no":
            self.words = closed_words(rows)
        if self.no_answer is not None and self.format != "extractive":
            raise ConfigError(
                "Only an extractive question may have no answer",
                where="task.no_answer",
                got=f"{self.no_answer!r}, and questions of the form {self.format}",
                expected="null, or extractive answers",
            )
        return self.check

    def check(self, row: Row, split: str) -> None:
        """A row needs a question, and an answer of the format."""
        row.string("question")
        row.optional_string("context")
        if self.format == "choice":
            read_index(row, len(read_choices(row)))
        elif self.format == "yes_no":
            check_closed(row, split, self.words)
        else:
            row.string("context")
            read_answers(row, self.no_answer)

    def learn(self, rows: Sequence[Row]) -> None:
        """The letters, or the words for yes, no and maybe, that occur; or whether texts are English."""
        if self.format == "choice":
            self.labels = tuple(LETTERS[: max(len(read_choices(row)) for row in rows)])
        elif self.format == "yes_no":
            found = {read_closed(row) for row in rows}
            self.labels = tuple(word for word in self.words if word in found)
        else:
            self.english = are_english(free_texts(rows))

    def sample(self, row: Row) -> Sample:
        """Context and question; the answer is a letter, a word or a text."""
        fields = {"question": row.string("question"), "context": row.optional_string("context")}
        if self.format == "choice":
            return self._choice(row, fields)
        if self.format == "yes_no":
            answer = read_closed(row)
            fields["labels"] = ", ".join(self.labels)
            return Sample(row.id, fields, _TEXTS, answer, answer, (answer,), self.labels)
        answers = read_answers(row, self.no_answer)
        return Sample(row.id, fields, _TEXTS, one_line(answers[0]).strip(), answers, ())

    def _choice(self, row: Row, fields: dict[str, str]) -> Sample:
        choices = read_choices(row)
        letters = tuple(LETTERS[: len(choices)])
        listed = zip(letters, choices, strict=True)
        fields["choices"] = "\n".join(f"{letter}. {one_line(choice).strip()}" for letter, choice in listed)
        gold = letters[read_index(row, len(choices))]
        return Sample(row.id, fields, _TEXTS, gold, gold, (gold,), letters)

    @property
    @override
    def answer_columns(self) -> tuple[str, ...]:
        return () if self.format == "extractive" else ("answer",)

    @override
    def written_labels(self, row: Row) -> list[object] | None:
        # Words that are compared in lower case; letters are no labels, but places among a row's choices.
        return [] if self.format == "yes_no" else None

    @override
    def doubts(self, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
        of_answers = partial(answer_doubts, no_answer=self.no_answer)
        by_format: dict[str, Callable[..., Iterable[str]]] = {"choice": choice_doubts, "extractive": of_answers}
        of_format = by_format.get(self.format)
        return [*super().doubts(samples), *(of_format(samples) if of_format else ())]

    def retarget(self, sample: Sample, cut: Cut) -> tuple[str, int]:
        """The answer stays; it is lost where only the part of the context that is cut away has it."""
        text = cut.apply(sample.fields[cut.field])
        return sample.completion, int(cut.field == "context" and self.parts(sample) and not stands_in(sample, text))

    def parts(self, sample: Sample) -> int:
        """One where an answer can be copied from the context."""
        return int(self.format == "extractive" and stands_in(sample, sample.fields["context"]))

    @property
    @override
    def placeholders(self) -> Mapping[str, Any]:
        return {"answer": {"choice": 0, "yes_no": (self.labels or self.words)[0]}.get(self.format, "?")}

    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Holds a choice against the right one, and a text against each that will do."""
        if sample.candidates is not None:
            judged = judge_choice(sample, answer, self.normal_form)
            return _as_gold(sample, judged) if self.format == "choice" else judged
        text = str(answer).strip()
        said, golds = self.normal_form(text), [self.normal_form(gold) for gold in sample.gold]
        score = token_f1(said, golds, english=self.english)
        exact = exact_match(said, golds, english=self.english)
        facts = {} if exact == (score == 1) else {"exact": exact}
        return Judgement(sample.id, text, sample.completion, score, not text, facts)

    def answer_format(self, sample: Sample) -> dict[str, Any]:
        """Samples may have fewer letters than there are in all."""
        labels = list(self.labels)
        candidates = {"candidates": labels} if self.format == "choice" else {}
        return super().answer_format(sample) | {"labels": labels} | candidates

    @override
    def recall(self, form: Mapping[str, Any]) -> None:
        self.labels, self.english = tuple(form["labels"]), form.get("settings", {}).get("english", True)


def _as_gold(sample: Sample, judged: Judgement) -> Judgement:
    """A choice that looks the same as the right one counts as that one."""
    looks = choice_looks(sample)
    same = not judged.malformed and looks[judged.answer] == looks[sample.gold]
    return replace(judged, answer=sample.gold, score=1.0) if same else judged
