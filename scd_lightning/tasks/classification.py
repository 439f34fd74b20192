"""Text classification: the answer is the label's text, chosen among all labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from scd_lightning.data.converters.labels import merging
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.rows import AS_TEXT, Row, typed
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.data.spelling import alike, as_name
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.choices import ByChoice, choice_measures, judge_choice
from scd_lightning.tasks.measures import ByLabel, Measure
from scd_lightning.tasks.task import Task


class Classification(Task):
    """Rows {"text", "label"}.

    Args:
        data: Where the rows come from.
        labels: All labels in order; None for those of train, sorted.
        ordered: Whether the labels stand in an order of degree; needs `labels`, and weighs kappa.
        primary_metric: None for "accuracy"; or "macro_f1", "kappa".
        **settings: As in `Task`.
    """

    task = "classification"
    hub_task = "text-classification"
    prompt = Prompt(
        "classification",
        {"en": "{text}\nClass:\n", "ja": "{text}\n分類:\n"},
        frozenset({"text"}),
        frozenset({"labels"}),
    )
    chooses = True

    def __init__(
        self,
        data: DataSource,
        labels: Sequence[str] | None = None,
        ordered: bool = False,
        primary_metric: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(data, primary_metric, **settings)
        if ordered and labels is None:
            raise ConfigError(
                "ordered needs the labels in their order",
                where="task.labels",
                got=None,
                expected="a list of labels from least to most",
                remedy="pass task.labels=[low,medium,high]",
            )
        self.given_labels = None if labels is None else _given(labels)
        self.ordered = ordered
        self.candidates: tuple[str, ...] = ()

    @classmethod
    def measures(cls, settings: Mapping[str, Any]) -> dict[str, Measure]:
        """Accuracy, macro F1 and kappa over the labels."""
        return choice_measures(settings)

    @classmethod
    @override
    def by_label(cls, settings: Mapping[str, Any], primary_metric: str) -> ByLabel:
        return ByChoice(tuple(settings.get("labels", ())))

    def settings(self) -> dict[str, Any]:
        """The labels, and whether they are ordered."""
        return {"labels": self.candidates, "ordered": self.ordered}

    def check(self, row: Row, split: str) -> None:
        """A row needs a text and a label; in train, one of those given."""
        row.string("text")
        label = read_label(row)
        # In other splits such a row is an answer that no model can give: it is scored, and said.
        if self.given_labels is not None and split == "train" and label not in self.given_labels:
            expected = f"one of task.labels: {', '.join(self.given_labels)}"
            # All of them at once: a converter for one label would be in the place of that for another.
            ours = [[each] for each in self.given_labels]
            remedy = f"write it as there; {merging(ours)}" if alike([*self.given_labels, label]) else None
            raise row.error("label", "is not among the labels", label, expected, remedy)

    def learn(self, rows: Sequence[Row]) -> None:
        """The candidates: the labels."""
        self.candidates = tuple(self.given_labels or sorted({read_label(row) for row in rows}))

    def sample(self, row: Row) -> Sample:
        """The text; the answer is the label."""
        label = read_label(row)
        return Sample(
            id=row.id,
            fields={"text": row.string("text"), "labels": ", ".join(self.candidates)},
            cuttable=("text",),
            completion=label,
            gold=label,
            labels=(label,),
            candidates=self.candidates,
        )

    answer_columns = ("label",)

    @override
    def written_labels(self, row: Row) -> list[object]:
        return [row.values["label"]]

    @property
    @override
    def placeholders(self) -> Mapping[str, Any]:
        return {"label": self.candidates[0]}

    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Holds the chosen label against the gold one."""
        return judge_choice(sample, answer, self.normal_form)

    def answer_format(self, sample: Sample) -> dict[str, Any]:
        """The label set is the same for each sample."""
        return super().answer_format(sample) | {"labels": list(self.candidates)}

    @override
    def recall(self, form: Mapping[str, Any]) -> None:
        self.candidates = tuple(form["labels"])


def read_label(row: Row) -> str:
    """A row's label as text on one line; whole numbers, true and false are taken as text.

    Raises:
        DataError: It is missing, empty or something else.
    """
    expected = "a non-empty string, a whole number, true or false"
    value = row.require("label", expected)
    name = as_name(row.check_string("label", value) if isinstance(value, str) else value)
    if name is None:
        raise row.error("label", "has the wrong type", typed(value), expected, AS_TEXT)
    return name


def _given(labels: Sequence[object]) -> list[str]:
    """The labels of the setting as those of rows are read."""
    if not labels:
        expected = "the names of the labels, or null to take those of train"
        raise ConfigError("There are no labels to choose among", where="task.labels", got="[]", expected=expected)
    names = [as_name(label) for label in labels]
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        got, expected = labels[names.index(None)], "text, whole numbers, true or false"
        raise ConfigError("A label can't be used", where="task.labels", got=repr(got), expected=expected)
    if twice := [label for label, count in Counter(known).items() if count > 1]:
        where, expected = "task.labels", "each label once"
        raise ConfigError("A label is named twice", where=where, got=", ".join(twice), expected=expected)
    return known
