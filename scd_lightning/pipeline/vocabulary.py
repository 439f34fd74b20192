"""One vocabulary for teacher and student, cut to the tokens that the texts to learn from need."""

import copy
from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedTokenizerFast

from scd_lightning.analysis.run.report_words import vocabulary_words
from scd_lightning.batch import TokenizedSample
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.existing.agreement import check_tokenizers
from scd_lightning.models.foreign import read_json
from scd_lightning.models.hub import fetch_config
from scd_lightning.models.loading import brings_code
from scd_lightning.models.trimming import (
    SETTING,
    check_byte_level,
    check_plain_vocabulary,
    trim_tokenizer,
)
from scd_lightning.pipeline.imports import Imports
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.model_folders import Vocabulary
from scd_lightning.progress import say
from scd_lightning.tasks.task_data import TaskData
from scd_lightning.training.data_module import EncodedData, encode

# Of what results say of the data.
VOCABULARY = "vocabulary"
_LEARNT, _JUDGED = ("train", UNLABELLED), ("validation", "test")


def check_can_trim(job: Job) -> None:
    """Refuses models whose vocabulary can't be cut, by their configurations alone.

    Raises:
        ScdError: They have none of their own, are stored quantized, or bring code.
    """
    pretrained = [spec for spec in (job.teacher, job.student) if spec.pretrained]
    if not pretrained:
        raise ConfigError(
            "The vocabulary of models from scratch is made for the task's texts, and can't be cut to them",
            where=SETTING,
            got="neither teacher nor student is pretrained",
            remedy="teacher.trim_vocabulary=false; teacher.vocab_size and student.vocab_size make a smaller one",
        )
    for spec in pretrained:
        if spec.path is None:  # In a GGUF file.
            continue
        where = f"{spec.role}.path"
        check_plain_vocabulary(read_json(fetch_config(spec.path, spec.revision, where)), where)
        if spec.trust_remote_code and brings_code(spec):
            raise ModelError(
                "What a model's own code takes its vocabulary for is not known, so that it can't be cut",
                where=f"{SETTING}, {where}",
                got=spec.path,
                expected="a model of an architecture that transformers has",
                remedy="teacher.trim_vocabulary=false",
            )


def trim_vocabulary(
    data: TaskData, tokenizer: PreTrainedTokenizerFast, imports: Imports
) -> tuple[Vocabulary, EncodedData]:
    """Finds the tokens that train and the texts without labels need; encodes all texts by these.

    Args:
        data: The samples.
        tokenizer: The one of teacher and student.
        imports: Models that were tuned elsewhere.

    Raises:
        ModelError: The tokenizer is none that can be cut, or existing models have another one.
    """
    check_byte_level(tokenizer)
    needed: set[int] = set()
    # Which rows are left out is decided, and noted, once: by the tokenizer that is used.
    whole = encode(replace(data, bad_rows=copy.deepcopy(data.bad_rows)), tokenizer, needed)
    trimmed, kept = trim_tokenizer(tokenizer, needed)
    for models, role in ((imports.trajectory, "teacher"), ([imports.anchor] if imports.anchor else [], "student")):
        check_tokenizers(
            models, trimmed, role, remedy="teacher.trim_vocabulary=false, where it was tuned with the whole vocabulary"
        )
    encoded, vocabulary = encode(data, trimmed), Vocabulary(trimmed, kept, len(tokenizer))
    _check_unchanged(whole, encoded, kept)
    facts = {
        "tokens": len(trimmed),
        "of": len(tokenizer),
        "split_otherwise": {split: split_otherwise(whole, encoded, kept, split) for split in _JUDGED},
    }
    return vocabulary, replace(encoded, lengths={**encoded.lengths, VOCABULARY: facts})


def _check_unchanged(whole: EncodedData, trimmed: EncodedData, kept: Sequence[int]) -> None:
    """Holds what models learn from against what the whole tokenizer made of it."""
    for split in _LEARNT:
        if split in whole.tokenized and (share := split_otherwise(whole, trimmed, kept, split)):
            raise ModelError(
                "The tokenizer splits texts by more than its merges, so that its vocabulary can't be cut",
                where=SETTING,
                got=f"{share:.1%} of the {split} texts split otherwise than by the whole vocabulary",
                expected="none",
                remedy="teacher.trim_vocabulary=false",
            )


def split_otherwise(whole: EncodedData, trimmed: EncodedData, kept: Sequence[int], split: str) -> float:
    """The share of a split's samples of which prompt, gold answer or a candidate has other tokens than before.

    Args:
        whole: As the whole vocabulary has them.
        trimmed: As a part of it has them.
        kept: By new id each token's old one.
        split: The split.
    """
    before = {whole.samples[split][each.index].id: each for each in whole.tokenized[split]}
    seen: dict[tuple[int, int], bool] = {}

    def alike(one: TokenizedSample | None, other: TokenizedSample) -> bool:
        if one is None:  # It was too long for the whole vocabulary.
            return False
        # Samples share their candidates.
        pair = id(one.candidate_ids), id(other.candidate_ids)
        if pair not in seen:
            old = other.candidate_ids and [[kept[token] for token in ids] for ids in other.candidate_ids]
            seen[pair] = one.candidate_ids == old
        parts = ((one.prompt_ids, other.prompt_ids), (one.completion_ids, other.completion_ids))
        return seen[pair] and all(was == [kept[token] for token in now] for was, now in parts)

    samples = trimmed.tokenized[split]
    same = sum(alike(before.get(trimmed.samples[split][each.index].id), each) for each in samples)
    return 1 - same / len(samples) if samples else 0.0


def tell_of_vocabulary(job: PreparedJob) -> None:
    """Says what was cut, and what that does to other texts; for the process that speaks for the job, once prepared."""
    if words := vocabulary_words(job.data.description):
        say(f"  vocabulary: {words}")
