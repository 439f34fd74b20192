"""Data of given token ids: nothing is read, rendered or tokenized, the rest is the package's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from scd_lightning.batch import TokenizedSample
from scd_lightning.data.bad_rows import STRICT
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.tasks.measures import Measure
from scd_lightning.tasks.task import Task
from scd_lightning.training.data_module import EncodedData


class Tokens(Task):
    """Token ids without a meaning; validation reads answers off one pass over the gold ones."""

    task = "benchmark"
    prompt = Prompt("benchmark", {}, frozenset())
    chooses = False

    @classmethod
    def measures(cls, settings: Mapping[str, Any]) -> dict[str, Measure]:
        """None."""
        return {}

    def learn(self, rows: Sequence[Row]) -> None:
        """Nothing is read."""
        raise NotImplementedError

    def sample(self, row: Row) -> Sample:
        """Nothing is read."""
        raise NotImplementedError

    def judge(self, sample: Sample, answer: str | int) -> Judgement:
        """Nothing is answered."""
        raise NotImplementedError


def token_data(ids: Sequence[list[int]], prompt: int, validation: int = 1, evaluation_batch: int = 8) -> EncodedData:
    """Samples of equal lengths, of which the first ones stand for the validation split too.

    Args:
        ids: [S, prompt + completion].
        prompt: Prompt tokens of a sample.
        validation: Samples of the validation split.
        evaluation_batch: Samples of a batch that nothing is trained on.
    """
    encoded = [TokenizedSample(index, row[:prompt], row[prompt:]) for index, row in enumerate(ids)]
    samples = [Sample(str(index), {}, (), "", None, ()) for index in range(len(ids))]
    sizes = {"train": len(ids), "validation": validation, "test": 1}
    return EncodedData(
        task=Tokens(DataSource(), "exact_match", evaluation_batch=evaluation_batch),
        samples={split: samples[:size] for split, size in sizes.items()},
        bad_rows=STRICT,
        identity={},
        about={"settings": {}},
        digest="benchmark",
        digests=dict.fromkeys(sizes, "benchmark"),
        tokenized={split: encoded[:size] for split, size in sizes.items()},
        max_new_tokens=1,
        pad_id=0,
        lost={split: [0] * size for split, size in sizes.items()},
        lengths={},
    )
