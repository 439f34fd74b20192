"""Text classification: the answer is the label's text, chosen among all labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
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
        self.given_labels = None if labels is None else [str(label) for label in labels]
        if twice := [label for label, count in Counter(self.given_labels or ()).items() if count > 1]:
            where, expected = "task.labels", "each label once"
            raise ConfigError("A label is named twice", where=where, got=", ".join(twice), expected=expected)
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
            raise row.error("label", "is not among the labels", label, expected)

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

    @property
    @override
    def placeholders(self) -> Mapping[str, Any]:
        return {"label": self.candidates[0]}

    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Holds the chosen label against the gold one."""
        return judge_choice(sample, answer)

    def answer_format(self, sample: Sample) -> dict[str, Any]:
        """The label set is the same for each sample."""
        return super().answer_format(sample) | {"labels": list(self.candidates)}


def read_label(row: Row) -> str:
    """A row's label as text on one line; whole numbers are taken as text.

    Raises:
        DataError: It is missing, empty or something else.
    """
    value = row.require("label", "a non-empty string or an integer")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return " ".join(row.check_string("label", value).split())
