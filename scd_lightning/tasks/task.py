"""What a task is: how its rows are read, prompted, answered, judged and measured. A task overrides what differs.

No framework is needed to declare one, or to check its settings.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from scd_lightning.config.checks import require_at_least, require_one_of
from scd_lightning.data.chat import is_argument
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.learnable import examine
from scd_lightning.data.normal_form import NFC, NormalForm
from scd_lightning.data.prompts import LANGUAGES, Prompt, choose_template, detect_language
from scd_lightning.data.rows import Row, free_texts
from scd_lightning.data.samples import Cut, Sample, unseen_labels
from scd_lightning.data.sources import DataSource
from scd_lightning.data.splits import SPLITS
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.measures import ByLabel, Measure
from scd_lightning.tasks.task_contract import check_offer, check_sample, check_scoring
from scd_lightning.tasks.task_data import TaskData

# What samples and scores of every task depend on, besides its own settings.
_OF_ALL_TASKS = ("task", "template", "primary_metric", "max_length", "max_new_tokens", "validation", "evaluation_batch")


class Task(ABC):
    """A task and its settings.

    Args:
        data: Where the rows come from.
        primary_metric: The metric that picks the best weights, one of `metric_names` (higher is better);
            None for the task's default.
        language: Language of the prompt: "auto", "en" or "ja".
        template: A prompt template of the user's own, or None.
        system: What the system's turn of a chat template says, or None: then it has none, or the model's own.
        chat_template_kwargs: What a chat template is told besides, such as {"enable_thinking": False}.
        max_length: Most tokens of prompt and answer together.
        max_new_tokens: Most tokens of a generated answer; None: as many as the longest one of train has.
        validation: "teacher_forced" reads answers off one pass over the gold ones, "task" really generates them.
        evaluation_batch: Samples of one evaluation batch.
        name: The data set's name in results and reports; None: the task's. It changes no numbers.
    """

    # What results call it, and what the hub calls such tasks.
    task: ClassVar[str]
    hub_task: ClassVar[str | None] = None
    # What a model is sure of or not: an "answer", or an "entity" of it.
    unit: ClassVar[Literal["answer", "entity"]] = "answer"
    # What counts as the same text in an answer: that of the tokenizer, once one has encoded the samples.
    normal_form: NormalForm = NFC

    def __init__(
        self,
        data: DataSource,
        primary_metric: str | None = None,
        *,
        language: Literal["auto", "en", "ja"] = "auto",
        template: str | None = None,
        system: str | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        max_length: int = 512,
        max_new_tokens: int | None = None,
        validation: Literal["teacher_forced", "task"] = "teacher_forced",
        evaluation_batch: int = 32,
        name: str | None = None,
    ) -> None:
        counts = {"max_length": max_length, "max_new_tokens": max_new_tokens, "evaluation_batch": evaluation_batch}
        require_at_least(1, **{f"task.{setting}": count for setting, count in counts.items()})
        require_one_of(("auto", *LANGUAGES), **{"task.language": language})
        require_one_of(("teacher_forced", "task"), **{"task.validation": validation})
        self.source = data
        self.primary_metric = primary_metric
        self.language: str = language
        self.template = template
        self.system = system
        self.chat_template_kwargs = {str(name): value for name, value in (chat_template_kwargs or {}).items()}
        if odd := [name for name in self.chat_template_kwargs if not is_argument(name)]:
            expected = "names of a chat template's own, such as enable_thinking"
            where = "task.chat_template_kwargs"
            raise ConfigError("A chat template can't be told that", where=where, got=odd[0], expected=expected)
        self.max_length = max_length
        self.max_new_tokens = max_new_tokens
        self.validation = validation
        self.evaluation_batch = evaluation_batch
        self.name = name or self.task

    # What a task defines. All but the first two may ask for what `learn` has learnt. Neither is shown a row that models
    # are chosen or judged by: nothing of those may shape what is trained.

    def checker(self, rows: Sequence[Row]) -> Callable[[Row, str], object]:
        """Given train's rows, unchecked: what raises a DataError for a row of a split that can't be a sample."""
        return self.check

    def check(self, row: Row, split: str) -> None:  # noqa: B027
        """Raises a DataError where a row can't be a sample; any row can unless a task says otherwise."""

    @abstractmethod
    def learn(self, rows: Sequence[Row]) -> None:
        """Learns what train's rows together say, such as the label set."""

    @property
    @abstractmethod
    def prompt(self) -> Prompt:
        """The prompt's wording."""

    @abstractmethod
    def sample(self, row: Row) -> Sample:
        """Turns a row that was checked into a sample."""

    @property
    def placeholders(self) -> Mapping[str, Any] | None:
        """Column of a label -> what stands there in rows without, never learnt or scored; None: it has no such rows."""
        return None

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The columns whose values are a closed set of answers, so that they tell what kind a row is."""
        return ()

    def written_labels(self, row: Row) -> Sequence[object] | None:
        """The labels of a row as it has them, where the task is about a set of labels; else None."""
        return None

    def doubts(self, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
        """What is doubtful of samples, a sentence each; raises a DataError where nothing can be learnt of them."""
        return examine(samples, self.written_labels)

    def completion(self, sample: Sample) -> str:
        """The gold answer as a model should write it, once `normal_form` is known."""
        return sample.completion

    def retarget(self, sample: Sample, cut: Cut) -> tuple[str, int]:
        """The completion that a cut text supports, and how many parts of the gold answer it lost."""
        return sample.completion, 0

    def parts(self, sample: Sample) -> int:
        """How many parts of its gold answer `retarget` might find lost."""
        return 0

    @property
    @abstractmethod
    def chooses(self) -> bool:
        """Whether answers are chosen among candidates; else they are generated."""

    @abstractmethod
    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Holds an answer (a candidate's index, or text) against the gold one."""

    def unit_probabilities(
        self, sample: Sample, judged: Judgement, whole: float, lines: Sequence[float]
    ) -> list[float]:
        """How probable each unit of an answer is: the answer itself, unless a task says otherwise.

        Args:
            sample: The sample.
            judged: The answer, judged.
            whole: The probability of the answer.
            lines: Of each of its lines, where it was generated.
        """
        return [whole]

    def units_right(self, sample: Sample, judged: Judgement) -> list[bool]:
        """Which units of an answer are right, in the order of their probabilities."""
        return [judged.score == 1 and not judged.malformed]

    def describe(self, sample: Sample) -> dict[str, Any]:
        """A sample for people, reports and measures."""
        return sample.describe()

    @classmethod
    @abstractmethod
    def measures(cls, settings: Mapping[str, Any]) -> dict[str, Measure]:
        """The metrics by name, as results list them.

        Args:
            settings: As `settings` gives them, or as results have saved them.
        """

    @classmethod
    def by_label(cls, settings: Mapping[str, Any], primary_metric: str) -> ByLabel | None:
        """How answers count label by label; None where they have no labels.

        Args:
            settings: As results have saved them; empty where a run saved none.
            primary_metric: The run's.
        """
        return None

    @classmethod
    def answer_note(cls, form: Mapping[str, Any]) -> str:
        """What a model card says of how answers are written, or of their candidates; "" for what goes for any task.

        Args:
            form: The prompt's "kind", and what `answer_format` gives, as prompt_template.json has them.
        """
        return ""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics that may be the primary one, the default first."""
        return tuple(name for name in self.measures(self.settings()) if name != "malformed")

    def settings(self) -> dict[str, Any]:
        """The task's own settings that change samples or scores, JSON values; "labels" are those that were learnt."""
        return {}

    def answer_format(self, sample: Sample) -> dict[str, Any]:
        """What a program needs to know of the answers: "candidates" or None, "labels", and the word for "none"."""
        return {"candidates": sample.candidates and list(sample.candidates), "labels": [], "none": None}

    def recall(self, form: Mapping[str, Any]) -> None:  # noqa: B027
        """Takes up what `learn` had learnt where `answer_format` gave this: a student is asked without its data."""

    # What follows from it.

    def settings_for(self, samples: Iterable[Sample]) -> dict[str, Any]:
        """The settings, behind their labels all others that samples have: what measures of these samples take."""
        settings = self.settings()
        if "labels" in settings:
            answers = {(*sample.labels, *(sample.candidates or ())) for sample in samples}
            unseen = set[str]().union(*answers) - set(settings["labels"])
            settings["labels"] = (*settings["labels"], *sorted(unseen))
        return settings

    def read(self) -> TaskData:
        """Reads and checks all rows.

        Raises:
            DataError: A file or a row can't be used.
            ConfigError: A setting does not fit the data.
        """
        task = copy.copy(self)  # What it learns is of these rows.
        source = self.source.read(self.task, task.checker)
        source.bad_rows.check_kinds(source.as_read, (*task.answer_columns, *source.answers))
        task.learn(source.rows["train"])
        check_offer(task)
        if task.language == "auto":
            task.language = detect_language(free_texts(source.rows["train"]))
        task.template = choose_template(task.prompt, task.language, self.template)
        task.primary_metric = self.primary_metric or task.metric_names[0]
        require_one_of(task.metric_names, **{"task.primary_metric": task.primary_metric})
        texts = self.source.read_texts(self.task, source, task.placeholders, task.check)
        rows = source.rows if texts is None else source.rows | {UNLABELLED: texts.rows}
        samples = task.samples(rows)
        check_scoring(task, samples["train"][0])
        doubts = [*source.notes, *(texts.notes if texts else ()), *task._doubts(samples, source.whole)]
        description = {
            "name": self.name,
            **source.description,
            "kind": task.prompt.kind,
            "language": task.language,
            "unseen_labels": unseen_labels(samples),
            "settings": task.settings_for(sample for split in SPLITS for sample in samples[split]),
        }
        identity = {name: getattr(task, name) for name in _OF_ALL_TASKS} | task.settings()
        return TaskData(
            task=task,
            samples=samples,
            bad_rows=source.bad_rows,
            identity=identity,
            about=description,
            doubts=doubts,
            unlabelled=None if texts is None else texts.facts,
        )

    def samples(self, rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Sample]]:
        """The samples of checked rows, by split."""
        return {
            split: [replace(check_sample(self, self.sample(row)), row=row) for row in rows[split]] for split in rows
        }

    def _doubts(self, samples: Mapping[str, Sequence[Sample]], whole: Mapping[str, Sequence[Row]] | None) -> list[str]:
        try:
            return self.doubts(samples)
        except DataError as error:
            if whole is None:
                raise
            self.doubts(self.samples(whole))  # Of all rows it is an error.
            return [f"{error.what}: {error.got}. It is so of the rows that task.data.max_samples draws, not of all."]
