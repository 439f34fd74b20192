"""One data module for all tasks: read, validate, encode, batch, judge. A task overrides only what differs."""

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from torchmetrics import Metric

from scd_lightning.data.batching import BatchPlan, PlanSampler
from scd_lightning.data.collate import Batch, Slot, TokenizedSample, collate
from scd_lightning.data.encoding import Encoder
from scd_lightning.data.prompts import LANGUAGES, choose_template, detect_language, render
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.data.splits import SPLITS
from scd_lightning.errors import ConfigError
from scd_lightning.metrics.judgement import Judgement

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_TEXT_FIELDS = ("text", "question", "context")


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
        max_new_tokens: Most tokens of a generated answer; None: as many as the longest gold one has.
        validation: "teacher_forced" reads answers off one pass over the gold ones, "task" really generates them.
        evaluation_batch: Samples of one evaluation batch.

    Attributes:
        samples: Split -> samples, after `read`.
        tokenized: Split -> token ids, after `encode`.
        digest: Hash of the rows' content and of every setting that changes samples, after `read`; no paths.
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
    ) -> None:
        super().__init__()
        _check_numbers(max_length=max_length, max_new_tokens=max_new_tokens, evaluation_batch=evaluation_batch)
        check_choice("language", language, ("auto", *LANGUAGES))
        check_choice("validation", validation, ("teacher_forced", "task"))
        self.source = data
        self.primary_metric = primary_metric
        self.language = language
        self.template = template
        self.max_length = max_length
        self.max_new_tokens = max_new_tokens
        self.validation = validation
        self.evaluation_batch = evaluation_batch
        self.samples: dict[str, list[Sample]] = {}
        self.tokenized: dict[str, list[TokenizedSample]] = {}
        self.description: dict[str, Any] = {}
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

    @abstractmethod
    def _prepare(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Learns what all rows together say, such as the label set."""

    @abstractmethod
    def _sample(self, row: Row) -> Sample:
        """Turns a row into a sample; raises DataError where it can't."""

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
        source = self.source.read(self.task)
        self._prepare(source.rows)
        if self.language == "auto":
            self.language = detect_language(_texts(source.rows["train"]))
        self.template = choose_template(self.kind, self.language, self.template)
        self.primary_metric = self.primary_metric or self.metric_names[0]
        check_choice("primary_metric", self.primary_metric, self.metric_names)
        self.samples = {split: [self._sample(row) for row in source.rows[split]] for split in SPLITS}
        self.digest = self._hash()
        self.description = {
            "digest": self.digest,
            "sizes": {split: len(samples) for split, samples in self.samples.items()},
            "split": source.split,
            "overlap": source.overlap,
            "language": self.language,
            "unseen_labels": self._unseen_labels(),
        }

    def _hash(self) -> str:
        settings = {
            "task": self.task,
            "template": self.template,
            "primary_metric": self.primary_metric,
            "max_length": self.max_length,
            "max_new_tokens": self.max_new_tokens,
            "validation": self.validation,
            "evaluation_batch": self.evaluation_batch,
            **self._settings(),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for split in SPLITS:
            digest.update(f"\n{split}\n".encode())
            for sample in self.samples[split]:
                digest.update(json.dumps(asdict(sample), sort_keys=True).encode())
        return digest.hexdigest()

    def _unseen_labels(self) -> dict[str, int]:
        """Labels of the test split that train lacks, with their counts; warns where there are any."""
        known = {label for sample in self.samples["train"] for label in sample.labels}
        counts = Counter(label for sample in self.samples["test"] for label in sample.labels if label not in known)
        if counts:
            named = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))
            warnings.warn(f"The test split has labels that train lacks, which can't be learnt: {named}.", stacklevel=3)
        return dict(sorted(counts.items()))

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
        encoder = Encoder(tokenizer, self._template, self.max_length, self._retarget)
        encoded = {split: encoder.encode(self.samples[split], split) for split in SPLITS}
        self.tokenized = {split: part.samples for split, part in encoded.items()}
        self._pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.description["cut"] = {split: part.cut for split, part in encoded.items()}
        self.description["dropped"] = {split: part.dropped for split, part in encoded.items()}
        self.description["lengths"] = {split: _lengths(part.samples) for split, part in encoded.items()}
        if self.max_new_tokens is None:
            seen = [*self.tokenized["train"], *self.tokenized["validation"]]
            self.max_new_tokens = max(len(sample.completion_ids) for sample in seen)

    # Loaders.

    def set_batching(self, global_batch: int, micro_batches: int, seed: int) -> None:
        """Sets how training samples are batched.

        Args:
            global_batch: Samples of one optimizer step, over all processes and micro-batches.
            micro_batches: Forward passes of one process for one optimizer step.
            seed: Seed of the order.
        """
        _check_numbers(global_batch=global_batch, micro_batches=micro_batches)
        self._batching = {"global_batch": global_batch, "micro_batches": micro_batches, "seed": seed}

    def train_dataloader(self) -> DataLoader[Batch]:
        """This process's micro-batches of the training split, in the epoch's order."""
        samples = self.tokenized["train"]
        lengths, completions = _plan_lengths(samples)
        sampler = PlanSampler(lengths, completions, shuffle=True, **self._place(), **self._batching)
        return self._loader(samples, sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        """This process's batches of the validation split."""
        return self.evaluation_loader("validation", **self._place())

    def evaluation_loader(
        self, split: str, rank: int = 0, world_size: int = 1, indices: Sequence[int] | None = None
    ) -> DataLoader[Batch]:
        """Batches of a split in a fixed order, longest first.

        Args:
            split: "train", "validation" or "test".
            rank: This process.
            world_size: Number of processes.
            indices: Positions in the split to go through; None for all.
        """
        samples = self.tokenized[split]
        chosen = list(range(len(samples)) if indices is None else indices)
        lengths, completions = _plan_lengths([samples[i] for i in chosen])
        plan = BatchPlan(lengths, completions, self.evaluation_batch * world_size, seed=0, epoch=0, shuffle=False)
        batches = [[replace(slot, index=chosen[slot.index]) for slot in slots] for slots in plan.shard(rank, world_size)]
        return self._loader(samples, batches)

    def _place(self) -> dict[str, int]:
        if self.trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}

    def _loader(
        self, samples: Sequence[TokenizedSample], batches: PlanSampler | list[list[Slot]]
    ) -> DataLoader[Batch]:
        return DataLoader(_Slots(samples), batch_sampler=batches, collate_fn=partial(_collate, pad_id=self._pad_id))

    # Judging.

    def judge(self, split: str, index: int, answer: str | int) -> Judgement:
        """Holds an answer against the gold one.

        Args:
            split: "train", "validation" or "test".
            index: The sample's position there.
            answer: A candidate's index, or the answer as text.
        """
        return self._judge(self.samples[split][index], answer)


class _Slots(Dataset[tuple[TokenizedSample, Slot]]):
    """A split that is asked for by slot, so that a slot's weight and counts reach the batch."""

    def __init__(self, samples: Sequence[TokenizedSample]) -> None:
        self.samples = samples

    def __getitem__(self, slot: Slot) -> tuple[TokenizedSample, Slot]:
        return self.samples[slot.index], slot

    def __len__(self) -> int:
        return len(self.samples)


def _collate(pairs: Sequence[tuple[TokenizedSample, Slot]], pad_id: int) -> Batch:
    return collate([sample for sample, _ in pairs], [slot for _, slot in pairs], pad_id)


def _texts(rows: Iterable[Row]) -> Iterator[str]:
    values = (row.values.get(field) for row in rows for field in _TEXT_FIELDS)
    return (value for value in values if isinstance(value, str))


def _plan_lengths(samples: Sequence[TokenizedSample]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(len(sample) for sample in samples), tuple(len(sample.completion_ids) for sample in samples)


def _lengths(samples: Sequence[TokenizedSample]) -> dict[str, float]:
    lengths, completions = _plan_lengths(samples)
    return {
        "mean": round(sum(lengths) / len(lengths), 1),
        "max": max(lengths),
        "completion_mean": round(sum(completions) / len(completions), 1),
        "completion_max": max(completions),
    }


def _check_numbers(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 1:
            raise ConfigError(f"{name} is too small", where=f"task.{name}", got=value, expected="at least 1")


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises ConfigError where an option is not one of those allowed."""
    if value not in allowed:
        raise ConfigError(f"{name} is unknown", where=f"task.{name}", got=value, expected=f"one of {', '.join(allowed)}")
