"""Which answered texts a student learns from, as training samples behind those with labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.answer import ANSWERS, VALIDATION
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.store.artifacts import Artifact
from scd_lightning.training.data_module import with_answers

# The share of kept answers that has to be right on validation, with unlabelled.keep=confident.
PRECISION = 0.9


@dataclass(frozen=True)
class Kept:
    """The answers that are learnt from.

    Attributes:
        answers: Position among the texts -> answer.
        threshold: The probability from which on they were kept; None where that was not asked for.
    """

    answers: Mapping[int, str]
    threshold: float | None = None


def with_texts(job: PreparedJob, made: Mapping[str, Artifact]) -> PreparedJob:
    """The job with the kept texts among its training samples; the job itself where none were answered.

    Raises:
        ConfigError: None is kept.
    """
    if "answers" not in made:
        return job
    kept = keep(read_rows(made["answers"].folder / ANSWERS), read_rows(made["answers"].folder / VALIDATION), job)
    return replace(job, data=with_answers(job.data, job.tokenizer, kept.answers))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file that the phase `answer` has left."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keep(rows: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]], job: PreparedJob) -> Kept:
    """Chooses among answered texts.

    Args:
        rows: Those of answers.jsonl.
        validation: Those of validation.jsonl.
        job: The run, for its `unlabelled.keep`.

    Raises:
        ConfigError: None is left.
    """
    readable = {index: row for index, row in enumerate(rows) if not row["malformed"]}
    threshold = None
    if job.unlabelled.keep == "confident":
        threshold = sure_from(validation, PRECISION)
        readable = {i: row for i, row in readable.items() if threshold is not None and row["probability"] >= threshold}
    elif job.unlabelled.keep == "agreed":
        readable = {index: row for index, row in readable.items() if row["agreed"]}
    if not readable:
        malformed = sum(row["malformed"] for row in rows)
        raise ConfigError(
            "None of the teacher's answers to texts without labels can be learnt from",
            where=f"unlabelled.keep={job.unlabelled.keep}",
            got=f"{len(rows)} answers, {malformed} of them malformed"
            + ("" if threshold is None else f", none as probable as {threshold:.3f}"),
            expected="some",
            remedy="give the teacher more epochs or rows, keep=all, or leave the texts out",
        )
    return Kept({index: row["answer"] for index, row in readable.items()}, threshold)


def sure_from(validation: Sequence[Mapping[str, Any]], precision: float) -> float | None:
    """The lowest probability from which on answers are right often enough; None where there is none.

    Args:
        validation: "probability" and "right" of each answer.
        precision: The share that has to be right.
    """
    ordered = sorted(validation, key=lambda row: -row["probability"])
    threshold, count, right = None, 0, 0
    for probability, group in groupby(ordered, key=lambda row: row["probability"]):
        for row in group:  # Equal probabilities stand or fall together.
            count, right = count + 1, right + row["right"]
        if right >= precision * count:
            threshold = probability
    return threshold
