"""One data module for all tasks: read, validate, encode, batch, judge. A task overrides only what differs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lightning import LightningDataModule
from torch.utils.data import DataLoader
from torchmetrics import Metric

from scd_lightning.data.bad_rows import STRICT
from scd_lightning.data.batch_size import BatchSize
from scd_lightning.data.batching import PlanSampler
from scd_lightning.data.checks import check_choice, check_numbers
from scd_lightning.data.collate import TokenizedSample
from scd_lightning.data.encoding import Encoder
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.loaders import SlotLoader, TrainLoader, fixed_batches, length_statistics, plan_lengths
from scd_lightning.data.prompts import LANGUAGES, choose_template, detect_language, render
from scd_lightning.data.rows import Row, free_texts
from scd_lightning.data.samples import Cut, Sample, content_digest, unseen_labels
from scd_lightning.data.sources import DataSource
from scd_lightning.data.splits import SPLITS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class DomainDataModule(LightningDataModule, ABC):
    """A task's data, from rows to token batches, and the judge of its answers.

    `read` comes first (needs no tokenizer), then `encode`, then the loaders; `set_batching` before the training ones.

    Args:
        data: Where the rows come from.
        primary_metric: The metric that picks the best weights, one of `metric_names` (higher is better);
            None for the task's default, known after `read`.
        language: Language of the prompt: "auto", "en" or "ja".
        template: A prompt template of the user's own, or None.
        max_length: Most tokens of prompt and answer together.
        max_new_tokens: Most tokens of a generated answer; None: as many as the longest one of train has.
        validation: "teacher_forced" reads answers off one pass over the gold ones, "task" really generates them.
        evaluation_batch: Samples of one evaluation batch.
        name: The data set's name in results and reports; None: the task's. It changes no numbers.

    Attributes:
        samples: Split -> samples, after `read`.
        tokenized: Split -> token ids, after `encode`.
        digest: Hash of the samples' content and of every setting that changes samples, after `read`; no paths.
        description: What results.json says of the data.
    """

    task: ClassVar[str]

    def __init__(
        self,
        data: DataSource,
        primary_metric: str | None = None,
        *,
        language: Literal["auto", "en", "ja"] = "auto",
        template: str | None = None,
        max_length: int = 512,
        max_new_tokens: int | None = None,
        validation: Literal["teacher_forced", "task"] = "teacher_forced",
        evaluation_batch: int = 32,
        name: str | None = None,
    ) -> None:
        super().__init__()
        check_numbers(max_length=max_length, max_new_tokens=max_new_tokens, evaluation_batch=evaluation_batch)
        check_choice("language", language, ("auto", *LANGUAGES))
        check_choice("validation", validation, ("teacher_forced", "task"))
        self.source = data
        self.primary_metric = primary_metric
        self.language: str = language
        self.template = template
        self.max_length = max_length
        self.max_new_tokens = max_new_tokens
        self.validation = validation
        self.evaluation_batch = evaluation_batch
        self.name = name or self.task
        self.samples: dict[str, list[Sample]] = {}
        self.tokenized: dict[str, list[TokenizedSample]] = {}
        self.description: dict[str, Any] = {}
        self._bad_rows = STRICT
        self.digest = ""

    # What a task defines.

    @property
    @abstractmethod
    def kind(self) -> str:
        """The kind of prompt, known after `read`; see `prompts.choose_template`."""

    @property
    @abstractmethod
    def answer_kind(self) -> Literal["choice", "generate"]:
        """Whether answers are chosen among candidates or generated, known after `read`."""

    @property
    @abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """Metrics that may be the primary one, the default first; known after `read`."""

    def _checker(self, rows: Mapping[str, Sequence[Row]]) -> Callable[[Row, str], object]:
        """Given all rows, unchecked: what raises a DataError for a row of a split that can't be a sample."""
        return self._check

    def _check(self, row: Row, split: str) -> None:  # noqa: B027
        """Raises a DataError where a row can't be a sample; any row can unless a task says otherwise."""

    @abstractmethod
    def _prepare(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Learns what all rows together say, such as the label set."""

    @abstractmethod
    def _sample(self, row: Row) -> Sample:
        """Turns a row that was checked into a sample."""

    @abstractmethod
    def _judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Holds an answer (a candidate's index, or text) against the gold one."""

    @abstractmethod
    def build_metric(self) -> Metric:
        """A metric with update(judgements) and compute() -> {name: value}; exact when summed over processes."""

    def _settings(self) -> dict[str, Any]:
        """The task's own settings that change samples or scores."""
        return {}

    def _retarget(self, sample: Sample, cut: Cut) -> tuple[str, int]:
        """The completion that a cut text supports, and how many parts of the gold answer it lost."""
        return sample.completion, 0

    # Reading.

    def read(self) -> None:
        """Reads and validates everything; does nothing the second time.

        Raises:
            DataError: A file or a row can't be used.
            ConfigError: A setting does not fit the data.
        """
        if self.samples:
            return
        source = self.source.read(self.task, self._checker)
        self._prepare(source.rows)
        if self.language == "auto":
            self.language = detect_language(free_texts(source.rows["train"]))
        self.template = choose_template(self.kind, self.language, self.template)
        self.primary_metric = self.primary_metric or self.metric_names[0]
        check_choice("primary_metric", self.primary_metric, self.metric_names)
        self.samples = {split: [replace(self._sample(row), row=row) for row in source.rows[split]] for split in SPLITS}
        self._bad_rows, self._identity = source.bad_rows, self._settings_of_samples()
        self.description = {
            "name": self.name,
            **source.description,
            "kind": self.kind,
            "language": self.language,
            "unseen_labels": unseen_labels(self.samples),
            "settings": self._settings(),
        }
        self._describe_samples()

    def _settings_of_samples(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "template": self.template,
            "primary_metric": self.primary_metric,
            "max_length": self.max_length,
            "max_new_tokens": self.max_new_tokens,
            "validation": self.validation,
            "evaluation_batch": self.evaluation_batch,
            **self._settings(),
        }

    def _describe_samples(self) -> None:
        self.digest = content_digest(self._identity, self.samples)
        sizes = {split: len(samples) for split, samples in self.samples.items()}
        self.description |= {"digest": self.digest, "sizes": sizes, "rejected": self._bad_rows.counts}

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """The rows that were left out, each with its place and the reason; of too long ones known after `encode`."""
        return self._bad_rows.records

    def texts(self) -> list[str]:
        """Prompts with their completions, and the candidates, of the training split: what a tokenizer is trained on."""
        train = self.samples["train"]
        candidates = sorted({candidate for sample in train for candidate in sample.candidates or ()})
        return [render(self._template, sample.fields) + sample.completion for sample in train] + candidates

    @property
    def _template(self) -> str:
        assert self.template is not None, "read() comes first"
        return self.template

    # Encoding.

    def encode(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        """Turns the samples into token ids.

        Args:
            tokenizer: The student's tokenizer, which the teacher shares.

        Raises:
            DataError: A sample is too long even without its free text.
            ModelError: The tokenizer can't be used.
        """
        encoder = Encoder(tokenizer, self._template, self.max_length, self._retarget, self._bad_rows)
        encoded = {"train": encoder.encode(self.samples["train"], "train")}
        if self.max_new_tokens is None:
            self.max_new_tokens = max(len(sample.completion_ids) for sample in encoded["train"].samples)
        # What a model sees of an evaluated sample must not tell how long its gold answer is.
        for split in ("validation", "test"):
            encoded[split] = encoder.encode(self.samples[split], split, answer_room=self.max_new_tokens)
        self.tokenized = {split: part.samples for split, part in encoded.items()}
        if any(len(part.kept) < len(self.samples[split]) for split, part in encoded.items()):
            self.samples = {split: [self.samples[split][i] for i in part.kept] for split, part in encoded.items()}
            self._describe_samples()
        # No completion token sees padding, so any id will do; a pad token that the student's side added may be none of
        # the teacher's.
        self._pad_id = tokenizer.eos_token_id
        self.description["cut"] = {split: part.cut for split, part in encoded.items()}
        self.description["dropped"] = {split: part.dropped for split, part in encoded.items()}
        self.description["lengths"] = {split: length_statistics(part.samples) for split, part in encoded.items()}

    # Loaders.

    def set_batching(self, size: BatchSize, micro_batches: int, seed: int) -> None:
        """Sets how training samples are batched.

        Args:
            size: How much one optimizer step holds, over all processes and micro-batches.
            micro_batches: Forward passes of one process for one optimizer step.
            seed: Seed of the order.
        """
        check_numbers(micro_batches=micro_batches)
        self._batching = (size, micro_batches, seed)

    def train_sampler(self) -> PlanSampler:
        """What this process trains on, in every epoch; after `encode` and `set_batching`."""
        size, micro_batches, seed = self._batching
        lengths, completions = plan_lengths(self.tokenized["train"])
        return PlanSampler(lengths, completions, size, seed, True, *self._place, micro_batches)

    def train_dataloader(self) -> DataLoader[Any]:
        """This process's micro-batches of the training split, in the epoch's order; yields `Batch`."""
        return TrainLoader(self.tokenized["train"], self.train_sampler(), self._pad_id)

    def val_dataloader(self) -> DataLoader[Any]:
        """This process's batches of the validation split; yields `Batch`."""
        return self.evaluation_loader("validation", *self._place)

    def evaluation_loader(
        self,
        split: str,
        rank: int = 0,
        world_size: int = 1,
        indices: Sequence[int] | None = None,
        done: Collection[int] = (),
    ) -> DataLoader[Any]:
        """Batches of a split in a fixed order, longest first; yields `Batch`.

        Args:
            split: "train", "validation" or "test".
            rank: This process.
            world_size: Number of processes.
            indices: Positions in the split to go through; None for all.
            done: As in `fixed_batches`.
        """
        samples = self.tokenized[split]
        chosen = range(len(samples)) if indices is None else indices
        batches = fixed_batches(samples, chosen, self.evaluation_batch, rank, world_size, done)
        return SlotLoader(samples, batches, self._pad_id)

    @property
    def _place(self) -> tuple[int, int]:
        """This process and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    # Judging.

    def judge(self, split: str, index: int, answer: str | int) -> Judgement:
        """Holds an answer against the gold one.

        Args:
            split: "train", "validation" or "test".
            index: The sample's position there.
            answer: A candidate's index, or the answer as text.
        """
        return self._judge(self.samples[split][index], answer)

    def describe(self, split: str, index: int) -> dict[str, Any]:
        """A sample for people and reports, as `Sample.describe` has it."""
        return self.samples[split][index].describe()
