"""A data module of given token ids: nothing is read, rendered or tokenized, the rest is the package's own."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torchmetrics import MeanMetric, Metric

from scd_lightning.batch import TokenizedSample
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.module import DomainDataModule
from scd_lightning.data.rows import Row
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource


class TokenData(DomainDataModule):
    """Samples of equal lengths, of which the first ones stand for the validation split too.

    Args:
        ids: [S, prompt + completion].
        prompt: Prompt tokens of a sample.
        validation: Samples of the validation split.
        evaluation_batch: Samples of a batch that nothing is trained on.
    """

    task = "benchmark"
    kind = "benchmark"
    answer_kind: Literal["choice", "generate"] = "generate"
    metric_names = ("exact_match",)

    def __init__(self, ids: Sequence[list[int]], prompt: int, validation: int = 1, evaluation_batch: int = 8) -> None:
        super().__init__(DataSource(), self.metric_names[0], evaluation_batch=evaluation_batch)
        encoded = [TokenizedSample(index, row[:prompt], row[prompt:]) for index, row in enumerate(ids)]
        samples = [Sample(str(index), {}, (), "", None, ()) for index in range(len(ids))]
        sizes = {"train": len(ids), "validation": validation, "test": 1}
        self.tokenized = {split: encoded[:size] for split, size in sizes.items()}
        self.samples = {split: samples[:size] for split, size in sizes.items()}
        self.digest = "benchmark"
        self._pad_id = 0

    def build_metric(self) -> Metric:
        """Not needed: validation reads answers off one pass over the gold ones."""
        return MeanMetric()

    def _prepare(self, rows: Mapping[str, Sequence[Row]]) -> None:
        raise NotImplementedError

    def _sample(self, row: Row) -> Sample:
        raise NotImplementedError

    def _judge(self, sample: Sample, answer: str | int) -> Judgement:
        raise NotImplementedError
