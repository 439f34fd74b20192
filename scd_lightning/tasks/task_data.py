"""A task's samples, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scd_lightning.data.bad_rows import BadRows
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import render
from scd_lightning.data.samples import Sample, content_digests
from scd_lightning.data.splits import SPLITS
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.tasks.measures import Measure

if TYPE_CHECKING:
    from scd_lightning.tasks.task import Task


@dataclass(kw_only=True)
class TaskData:
    """A task's samples, read and checked.

    Attributes:
        task: The task, with what these rows have taught it, and nothing left open.
        samples: Split -> samples; texts without labels, where there are some, are a split "unlabelled" of their own,
            whose gold answers are placeholders.
        bad_rows: What became of rows that are no samples.
        identity: The settings that the samples and their scores depend on.
        about: What is said of the data besides their sizes.
        doubts: What a user is warned of, a sentence each.
        digest: Hash of the content of the labelled samples and of `identity`; no paths.
        digests: The same of each split alone: what reads one of them does not depend on the others.
        unlabelled: What is said of the texts without labels; None where there are none.
    """

    task: "Task"
    samples: dict[str, list[Sample]]
    bad_rows: BadRows
    identity: Mapping[str, Any]
    about: Mapping[str, Any]
    doubts: Sequence[str] = ()
    digest: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    unlabelled: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.digest:
            self.digest, self.digests = content_digests(self.identity, self.samples)
        sizes = {split: len(self.samples[split]) for split in SPLITS}
        # What results.json says of the data.
        self.description = {**self.about, "digest": self.digest, "sizes": sizes, "rejected": self.bad_rows.counts}
        if self.doubts:
            self.description["warnings"] = list(self.doubts)

    @property
    def texts_digest(self) -> str:
        """Hash of the content of the texts without labels; how they are asked is in `digest`."""
        return content_digests({}, self.samples, [UNLABELLED])[0]

    @property
    def split_digests(self) -> dict[str, str]:
        """Hash of the content of each split, texts without labels among them."""
        texts = {UNLABELLED: self.texts_digest} if UNLABELLED in self.samples else {}
        return {**self.digests, **texts}

    @property
    def primary_metric(self) -> str:
        """The metric that picks the best weights."""
        assert self.task.primary_metric is not None
        return self.task.primary_metric

    @property
    def validation_metric(self) -> str:
        """What a validation measures, by name."""
        return self.primary_metric if self.task.validation == "task" else "exact match"

    @property
    def template(self) -> str:
        """The prompt's template."""
        assert self.task.template is not None
        return self.task.template

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """The rows that were left out, each with its place and the reason; of too long ones known once encoded."""
        return self.bad_rows.records

    @property
    def measures(self) -> dict[str, Measure]:
        """The metrics by name, as results list them, over the labels of all splits."""
        return self.task.measures(self.description["settings"])

    @property
    def validation_measures(self) -> dict[str, Measure]:
        """The same for validation while models are trained, over the labels of train and validation alone."""
        seen = (sample for split in ("train", "validation") for sample in self.samples[split])
        return self.task.measures(self.task.settings_for(seen))

    def texts(self) -> list[str]:
        """Prompts with their completions, and the candidates, of the training split: what a tokenizer is trained on."""
        train = self.samples["train"]
        candidates = sorted({candidate for sample in train for candidate in sample.candidates or ()})
        return [render(self.template, sample.fields) + sample.completion for sample in train] + candidates

    def judge(self, split: str, index: int, answer: str | int) -> Judgement:
        """Holds an answer against the gold one.

        Args:
            split: "train", "validation" or "test".
            index: The sample's position there.
            answer: A candidate's index, or the answer as text.
        """
        return self.task.judge(self.samples[split][index], answer)

    def describe(self, split: str, index: int) -> dict[str, Any]:
        """A sample for people, reports and measures."""
        return self.task.describe(self.samples[split][index])
