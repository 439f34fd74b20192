"""Phase: the teacher answers the texts without labels, once, and says how sure it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.predict import predict
from scd_lightning.pipeline.results import AnswersResult
from scd_lightning.pipeline.teacher_sft import TRAJECTORY
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import write_json_lines
from scd_lightning.training.costs import Meter
from scd_lightning.training.predictor import Prediction

ANSWERS, VALIDATION = "answers.jsonl", "validation.jsonl"
# With unlabelled.keep=agreed: so many of the last checkpoints have to give the same answer.
AGREEING = 3


def answer_texts(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Has the teacher's best checkpoint answer the texts, and the validation split, by which its sureness is judged.

    Args:
        job: The run, with texts without labels.
        folder: Where answers.jsonl and validation.jsonl go: a row a sample with the answer, its probability, whether it
            can't be read, whether it is whole, whether the last checkpoints agree, where that is asked for, and on
            validation whether it is right.
        made: The teacher.

    Returns:
        An `AnswersResult`, and the costs.
    """
    meter, model = Meter(), job.build(job.teacher)
    store, best = CheckpointStore(made["teacher"].folder / TRAJECTORY), made["teacher"].result.best
    asked = [best]
    if job.unlabelled.keep == "agreed":
        asked += [index for index in range(store.count)[-AGREEING:] if index != best]
    # Checkpoint by checkpoint: each is loaded once.
    found: dict[str, list[list[Prediction]]] = {UNLABELLED: [], "validation": []}
    for index in asked:
        store.load_into(model, index)
        asks: dict[str, Any] = {"losses": False, "probabilities": index == best}
        for split, passes in found.items():
            passes.append(predict(job, model, split, folder, store.digest(index), meter, **asks))
    rows, checked = (_rows(job, split, passes) for split, passes in found.items())
    if distributed.rank() == 0:
        write_json_lines(folder / ANSWERS, rows)
        write_json_lines(folder / VALIDATION, checked)
    result = AnswersResult(len(rows), sum(row["malformed"] for row in rows))
    return Outcome(result, meter.read() | {"samples": len(rows)})


def _rows(job: PreparedJob, split: str, passes: Sequence[Sequence[Prediction]]) -> list[dict[str, Any]]:
    """Of each sample, what the first pass has answered, and whether the others have answered the same."""
    rows = []
    for of_sample in zip(*passes, strict=True):
        first = of_sample[0]
        assert first.answer is not None
        judged = job.data.judge(split, first.index, first.answer)
        row = {
            "id": judged.id,
            "answer": judged.answer,
            "probability": first.probability,
            "malformed": judged.malformed,
            "ended": first.ended,
        }
        row["agreed"] = len({each.answer for each in of_sample}) == 1 if len(passes) > 1 else None
        if split != UNLABELLED:
            row["right"] = judged.score == 1 and not judged.malformed and first.ended
        rows.append(row)
    return rows
