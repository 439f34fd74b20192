"""Phase: the teacher answers the texts without labels, once, and says how sure it is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.results import AnswersResult
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import write_text
from scd_lightning.training.costs import Meter
from scd_lightning.training.predictor import Prediction

ANSWERS, VALIDATION = "answers.jsonl", "validation.jsonl"
# With unlabelled.keep=agreed: so many of the last checkpoints have to give the same answer.
AGREEING = 3


def answer_texts(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Has the teacher's best checkpoint answer the texts, and the validation split, by which its sureness is judged.

    Args:
        job: The run, with texts without labels.
        folder: Where answers.jsonl goes, a row a text with its answer, the answer's probability, whether it can't be
            read and, where that is asked for, whether the last checkpoints agree; and validation.jsonl, with the
            probability of each validation answer and whether it is right.
        made: The teacher.

    Returns:
        An `AnswersResult`, and the costs.
    """
    meter, model = Meter(), job.build(job.teacher)
    store, best = CheckpointStore(made["teacher"].folder / TRAJECTORY), made["teacher"].result.best
    found = _answers(job, model, store, best, UNLABELLED, folder, meter)
    validation = _answers(job, model, store, best, "validation", folder, meter)
    agreed: Sequence[bool | None] = [None] * len(found)
    if job.unlabelled.keep == "agreed":
        others = [index for index in range(store.count)[-AGREEING:] if index != best]
        passes = [_answers(job, model, store, index, UNLABELLED, folder, meter) for index in others]
        agreed = [len({each.answer for each in of_text}) == 1 for of_text in zip(found, *passes, strict=True)]
    rows = [_row(job, each) | {"agreed": alike} for each, alike in zip(found, agreed, strict=True)]
    if distributed.rank() == 0:
        _write(folder / ANSWERS, rows)
        _write(folder / VALIDATION, [_checked(job, each) for each in validation])
    result = AnswersResult(len(rows), sum(row["malformed"] for row in rows))
    return Outcome(result, meter.read() | {"samples": len(rows)})


def _answers(
    job: PreparedJob, model: CausalLM, store: CheckpointStore, index: int, split: str, folder: Path, meter: Meter
) -> list[Prediction]:
    store.load_into(model, index)
    return predict(job, model, split, folder, store.digest(index), meter, losses=False)


def _row(job: PreparedJob, prediction: Prediction) -> dict[str, Any]:
    assert prediction.answer is not None
    judged = job.data.judge(UNLABELLED, prediction.index, prediction.answer)
    return {
        "id": judged.id,
        "answer": judged.answer,
        "probability": prediction.probability,
        "malformed": judged.malformed,
    }


def _checked(job: PreparedJob, prediction: Prediction) -> dict[str, Any]:
    assert prediction.answer is not None
    judged = job.data.judge("validation", prediction.index, prediction.answer)
    return {"probability": prediction.probability, "right": judged.score == 1 and not judged.malformed}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
