"""Which answered texts a student learns from, as training samples behind those with labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from scd_lightning.analysis.proportion import wilson
from scd_lightning.batch import TokenizedSample
from scd_lightning.data.samples import Sample
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError
from scd_lightning.pipeline.answer import ANSWERS, VALIDATION
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.store.artifacts import Artifact
from scd_lightning.store.manifest import read_json_lines
from scd_lightning.training.data_module import EncodedData, encode_answers, with_answers

# The share of kept answers that has to be right on validation, with unlabelled.keep=confident.
PRECISION = 0.9
# Points of the curve of precision against the share that is kept.
_POINTS = 20
Rows = Sequence[Mapping[str, Any]]


def with_texts(job: PreparedJob, made: Mapping[str, Artifact]) -> PreparedJob:
    """The job of a student: with the kept texts among its training samples, and the budget in epochs over all of them.

    Raises:
        ConfigError: Texts were answered, and none is kept.
    """
    if "answers" in made:
        job = replace(job, data=_with_answers(job, made["answers"]))
    return replace(job, budget=job.budget.on(len(job.data.samples["train"])))


@dataclass(frozen=True)
class Answered:
    """The answers to texts without labels, and which of them are learnt from.

    Attributes:
        rows: Those of answers.jsonl.
        validation: Those of validation.jsonl.
        lowest: The probability from which on answers are kept, as `threshold` gives it.
        kept: For each text whether its answer is.
        passed: For each validation sample whether its answer would be.
        samples: The texts whose answers are learnt from, with these.
    """

    rows: Rows
    validation: Rows
    lowest: float | None
    kept: Sequence[bool]
    passed: Sequence[bool]
    samples: Sequence[tuple[Sample, TokenizedSample]]


def read_answers(job: PreparedJob, answers: Artifact) -> Answered:
    """Reads what the phase `answer` has made, and chooses by the run's `unlabelled.keep`."""
    rows, validation = (read_json_lines(answers.folder / name) for name in (ANSWERS, VALIDATION))
    rule = job.unlabelled.keep
    lowest = threshold(rule, validation)
    by_rule = keep(rule, rows, lowest)
    samples = encode_answers(
        job.data, job.tokenizer, {index: row["answer"] for index, row in enumerate(rows) if by_rule[index]}
    )
    kept = [index in samples for index in range(len(rows))]
    return Answered(rows, validation, lowest, kept, keep(rule, validation, lowest), list(samples.values()))


def _with_answers(job: PreparedJob, answers: Artifact) -> EncodedData:
    found, rule = read_answers(job, answers), job.unlabelled.keep
    if not found.samples:
        other = "" if rule == "all" else "pass unlabelled.keep=all, "
        cut = sum(not row["ended"] for row in found.rows)
        raise ConfigError(
            "None of the teacher's answers to texts without labels can be learnt from",
            where=f"unlabelled.keep={rule}",
            got=f"{answers.result.answered} answers, {answers.result.malformed} of them malformed"
            + (f", {cut} without an end after task.max_new_tokens={job.data.max_new_tokens}" if cut else ""),
            expected="some",
            remedy=f"{other}give the teacher more epochs or rows, or leave the texts out",
        )
    return with_answers(job.data, found.samples)


def threshold(rule: str, validation: Rows) -> float | None:
    """The probability from which on answers are kept; None where that does not matter.

    Args:
        rule: As `unlabelled.keep`.
        validation: Rows of validation.jsonl.
    """
    return sure_from(validation, PRECISION) if rule == "confident" else None


def keep(rule: str, rows: Rows, lowest: float | None) -> list[bool]:
    """Which answers are learnt from: none that can't be read, or that has no end.

    Args:
        rule: As `unlabelled.keep`.
        rows: Rows of answers.jsonl or of validation.jsonl.
        lowest: As `threshold` gives it.
    """
    whole = [row["ended"] and not row["malformed"] for row in rows]
    if rule == "confident":
        sure = [lowest is not None and row["probability"] >= lowest for row in rows]
    else:
        sure = [rule == "all" or bool(row["agreed"]) for row in rows]
    return [one and other for one, other in zip(whole, sure, strict=True)]


def sure_from(validation: Rows, precision: float) -> float | None:
    """The lowest probability from which on answers are right often enough; None where there is none.

    Args:
        validation: "probability" and "right" of each answer.
        precision: The share that has to be right.
    """
    found = [probability for _, share, probability in precision_curve(validation) if share >= precision]
    return found[-1] if found else None


def precision_curve(validation: Rows) -> list[tuple[float, float, float]]:
    """Share kept, share of those that is right, and lowest probability kept, for every such probability, falling.

    Args:
        validation: "probability" and "right" of each answer.
    """
    ordered = sorted(validation, key=lambda row: -row["probability"])
    curve, count, right = [], 0, 0
    for probability, group in groupby(ordered, key=lambda row: row["probability"]):
        for row in group:  # Equal probabilities stand or fall together.
            count, right = count + 1, right + row["right"]
        curve.append((count / len(ordered), right / count, probability))
    return curve


def text_facts(job: PreparedJob, answers: Artifact, found: Answered) -> dict[str, Any]:
    """What results.json says of the texts.

    Returns:
        What was read and left out; "texts", "answered", "malformed", "kept" and the settings that decided; the
        "threshold" and the "precision" that validation lets expect of what was kept, with its 95 % interval; on
        validation, the "curve" of precision against share kept; "labels" of kept answers and of train.
    """
    right = [row["right"] for row, passed in zip(found.validation, found.passed, strict=True) if passed]
    curve, settings = precision_curve(found.validation), job.unlabelled
    return {
        **(job.data.unlabelled or {}),
        **{"texts": len(found.rows), "answered": answers.result.answered, "malformed": answers.result.malformed},
        **{"keep": settings.keep, "from": settings.source, "weight": settings.weight},
        **{"kept": sum(found.kept), "threshold": found.lowest, "precision": _precision(right)},
        "curve": [curve[len(curve) * (i + 1) // _POINTS - 1] for i in range(_POINTS)]
        if len(curve) > _POINTS
        else curve,
        "labels": _labels(job, found.rows, found.kept),
    }


def text_rows(job: PreparedJob, found: Answered) -> list[dict[str, Any]]:
    """The rows of predictions/unlabelled.jsonl, one a text."""
    return [
        {
            **{name: row[name] for name in ("id", "answer", "probability", "malformed")},
            **{"kept": kept, "input": job.data.describe(UNLABELLED, index)["input"]},
        }
        for index, (row, kept) in enumerate(zip(found.rows, found.kept, strict=True))
    ]


def _precision(right: Sequence[bool]) -> dict[str, float] | None:
    if not right:
        return None
    low, high = wilson(sum(right), len(right))
    return {"value": sum(right) / len(right), "low": low, "high": high, "of": len(right)}


def _labels(job: PreparedJob, rows: Rows, kept: Sequence[bool]) -> dict[str, dict[str, int]]:
    by_label = job.data.task.by_label(job.data.task.settings(), job.data.primary_metric)
    if by_label is None:
        return {}
    found: Counter[str] = Counter()
    for index, (row, each) in enumerate(zip(rows, kept, strict=True)):
        if each:
            judged = job.data.judge(UNLABELLED, index, row["answer"]).row()
            found.update(label for label, *_ in by_label.answered(judged, job.data.describe(UNLABELLED, index)))
    gold = Counter(label for sample in job.data.samples["train"] for label in sample.labels)
    return {"answers": dict(found.most_common()), "train": dict(gold.most_common())}
