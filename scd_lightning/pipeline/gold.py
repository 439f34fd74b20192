"""Before any phase: what a model could score at most, once for equal data."""

from dataclasses import replace
from pathlib import Path

from scd_lightning import distributed
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.keys import gold_key
from scd_lightning.store.artifacts import Outcome
from scd_lightning.training.costs import Meter
from scd_lightning.training.data_module import EncodedData
from scd_lightning.training.gold_answers import gold_doubts, judge_gold


def with_reachable_scores(job: PreparedJob) -> EncodedData:
    """A job's data, and what is to be said of gold answers that no model can reach."""

    def build(folder: Path) -> Outcome:
        meter = Meter()
        found = judge_gold(job.data, job.tokenizer) if distributed.rank() == 0 else {}
        return Outcome(found, meter.read())

    found = job.store.make(gold_key(job), build).result
    if not found:
        return job.data
    highest = {split: each["highest"] for split, each in found.items() if split != "train"}
    return replace(
        job.data,
        doubts=[*job.data.doubts, *gold_doubts(job.data, found)],
        lengths={**job.data.lengths, **({"reachable": highest} if highest else {})},
    )
