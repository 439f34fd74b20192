"""A task's samples as token ids, and Lightning's data module of them."""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast
from typing_extensions import override

from scd_lightning.batch import TokenizedSample
from scd_lightning.config.batch_size import BatchSize
from scd_lightning.config.checks import require_at_least
from scd_lightning.data.batching import BatchPlan, PlanSampler
from scd_lightning.data.chat import date_of
from scd_lightning.data.encoding import Encoder, border_doubts
from scd_lightning.data.learnable import cut_doubts, recall_left
from scd_lightning.data.loaders import SlotLoader, TrainLoader, fixed_batches, length_statistics, plan_lengths
from scd_lightning.data.normal_form import NFC, normal_form_of
from scd_lightning.data.samples import Sample, content_digests
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.tasks.task import Task
from scd_lightning.tasks.task_data import TaskData


@dataclass(kw_only=True)
class EncodedData(TaskData):
    """A task's samples as token ids.

    Attributes:
        tokenized: Split -> token ids, in the order of `samples`.
        max_new_tokens: Most tokens of a generated answer.
        pad_id: Fills batches up: no completion token sees padding, so any id of the models' will do.
        lost: Split -> how many parts of its gold answer each sample lost as its text was cut.
        lengths: What is said of them: by split, samples that were "cut", parts of gold answers that were "dropped",
            and statistics of the "lengths"; where any were dropped, also the "recall_left"; the "prompt_date" that the
            chat template writes, if it does; where some gold answers can't be reached, the "reachable" primary metric.
    """

    tokenized: dict[str, list[TokenizedSample]]
    max_new_tokens: int
    pad_id: int
    lost: Mapping[str, Sequence[int]]
    lengths: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.description |= self.lengths

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
        batches = fixed_batches(samples, chosen, self.task.evaluation_batch, rank, world_size, done)
        return SlotLoader(samples, batches, self.pad_id)


def encode(data: TaskData, tokenizer: PreTrainedTokenizerFast, noted: set[int] | None = None) -> EncodedData:
    """Turns samples into token ids.

    Args:
        data: The samples.
        tokenizer: The student's tokenizer, which the teacher shares.
        noted: Where the ids go that encoding train and the texts without labels takes: `Encoder.noted`.

    Raises:
        DataError: A sample is too long even without its free text.
        ModelError: The tokenizer can't be used.
    """
    task = copy.copy(data.task)
    task.normal_form = normal_form_of(tokenizer)
    if task.normal_form is not NFC:
        data = replace(data, samples={split: _in_form(task, of_split) for split, of_split in data.samples.items()})
    learnt, judged = (
        Encoder(tokenizer, data.template, task.max_length, task.retarget, data.bad_rows, notes)
        for notes in (noted, None)
    )
    parts = {"train": learnt.encode(data.samples["train"], "train")}
    longest = max(len(sample.completion_ids) for sample in parts["train"].samples)
    max_new_tokens = longest if task.max_new_tokens is None else task.max_new_tokens
    # What a model sees of an evaluated sample must not tell how long its gold answer is.
    for split in [each for each in data.samples if each != "train"]:
        encoder = learnt if split == UNLABELLED else judged
        parts[split] = encoder.encode(data.samples[split], split, answer_room=max_new_tokens)
    values = {each.name: getattr(data, each.name) for each in fields(data)} | {"task": task}
    date = date_of(tokenizer.chat_template)
    if any(len(part.kept) < len(data.samples[split]) for split, part in parts.items()):
        rows = {split: [sample.row for sample in samples if sample.row] for split, samples in data.samples.items()}
        data.bad_rows.check_kinds(rows, task.answer_columns)
        values["samples"] = {split: [data.samples[split][i] for i in part.kept] for split, part in parts.items()}
        values["digest"] = ""
    # Texts without labels have placeholders, of which nothing can be lost.
    dropped = {split: part.dropped * (split != UNLABELLED) for split, part in parts.items()}
    left = recall_left(dropped, values["samples"], task.parts)
    values["doubts"] = [*data.doubts, *border_doubts(parts["train"]), *cut_doubts(dropped, left, task.max_length)]
    return EncodedData(
        **values,
        tokenized={split: part.samples for split, part in parts.items()},
        max_new_tokens=max_new_tokens,
        # A pad token that the student's side added may be none of the teacher's.
        pad_id=tokenizer.eos_token_id,
        lost={split: part.lost for split, part in parts.items()},
        lengths={
            "cut": {split: part.cut for split, part in parts.items()},
            "dropped": dropped,
            "lengths": {split: length_statistics(part.samples) for split, part in parts.items()},
            **({"recall_left": left} if left else {}),
            **({"prompt_date": date} if date else {}),
        },
    )


def _in_form(task: Task, samples: Sequence[Sample]) -> list[Sample]:
    """Samples whose answers tell places apart that differ in the task's normal form alone."""
    return [replace(sample, completion=task.completion(sample)) for sample in samples]


def encode_answers(
    data: EncodedData, tokenizer: PreTrainedTokenizerFast, answers: Mapping[int, str]
) -> dict[int, tuple[Sample, TokenizedSample]]:
    """Texts without labels with the answers that stand for their labels, by their positions among the texts.

    A generated answer that takes more tokens as text than it was generated with may take more than models have room
    for, and is left out.

    Args:
        data: The data, with texts.
        tokenizer: The tokenizer that encoded them.
        answers: Position of a text -> its answer.
    """
    texts = [replace(data.samples[UNLABELLED][index], completion=answer) for index, answer in answers.items()]
    # Cut as when they were answered: the answer is one to what was left of the text.
    encoder = Encoder(tokenizer, data.template, data.task.max_length, lambda sample, cut: (sample.completion, 0))
    encoded = encoder.encode(texts, UNLABELLED, answer_room=data.max_new_tokens).samples
    return {
        index: (text, ids)
        for index, text, ids in zip(answers, texts, encoded, strict=True)
        if data.task.chooses or len(ids.completion_ids) <= data.max_new_tokens
    }


def with_answers(data: EncodedData, answered: Collection[tuple[Sample, TokenizedSample]]) -> EncodedData:
    """Adds texts with answers, as `encode_answers` gives them, to the training samples, behind those with labels."""
    texts = [text for text, _ in answered]
    labelled = data.tokenized["train"]
    moved = [replace(ids, index=len(labelled) + place) for place, (_, ids) in enumerate(answered)]
    digest, _ = content_digests({"train": data.digests["train"]}, {UNLABELLED: texts}, [UNLABELLED])
    return replace(
        data,
        samples=data.samples | {"train": [*data.samples["train"], *texts]},
        tokenized=data.tokenized | {"train": [*labelled, *moved]},
        digests={**data.digests, "train": digest},
    )


@dataclass(frozen=True)
class Batching:
    """How training samples are batched.

    Attributes:
        size: How much one optimizer step holds, over all processes and micro-batches.
        micro_batches: Forward passes of one process for one optimizer step.
        seed: Seed of the order.
    """

    size: BatchSize
    micro_batches: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(1, **{"trainer.micro_batches": self.micro_batches})


class DomainDataModule(LightningDataModule):
    """What a trainer goes through: this process's batches of training and validation samples.

    Args:
        data: The samples.
        batching: How they are trained on; None where nothing is trained.
    """

    def __init__(self, data: EncodedData, batching: Batching | None = None) -> None:
        super().__init__()
        self.data, self.batching = data, batching

    def train_sampler(self) -> PlanSampler:
        """What this process trains on, in every epoch."""
        assert self.batching is not None
        lengths, completions = plan_lengths(self.data.tokenized["train"])
        first = BatchPlan(lengths, completions, self.batching.size, self.batching.seed)
        return PlanSampler(first, *self._place, self.batching.micro_batches)

    @override
    def train_dataloader(self) -> DataLoader[Any]:
        return TrainLoader(self.data.tokenized["train"], self.train_sampler(), self.data.pad_id)

    @override
    def val_dataloader(self) -> DataLoader[Any]:
        return self.data.evaluation_loader("validation", *self._place)

    @property
    def _place(self) -> tuple[int, int]:
        """This process and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
