"""A task's measures as one torchmetrics metric."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from scd_lightning.tasks.measures import Measure, Row
from scd_lightning.training.sums import EXACT, ExactMetric


class TaskMetric(ExactMetric):
    """Adds up what samples add to the sums of measures; exact over batches and processes.

    Args:
        measures: The measures by name.
    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        super().__init__()
        self.measures = dict(measures)
        for name, measure in self.measures.items():
            self.add_state(f"sums_of_{name}", torch.zeros(measure.width, dtype=EXACT), dist_reduce_fx="sum")

    @override
    def update(self, rows: Sequence[Row], samples: Sequence[Row]) -> None:
        """Takes judged answers, as `Judgement.row` has them, and their samples, as `Task.describe` has them."""
        for name, measure in self.measures.items():
            columns = measure.columns(rows, samples)
            assert columns is not None, f"{name} lacks something of an answer or a sample"
            state = getattr(self, f"sums_of_{name}")
            state += torch.from_numpy(columns.sum(0)).to(state)

    @override
    def compute(self) -> dict[str, Tensor]:
        """The metrics by name, float32 scalars."""
        sums = {name: getattr(self, f"sums_of_{name}").double().cpu().numpy()[None] for name in self.measures}
        return {name: torch.tensor(each.value(sums[name])[0]).float() for name, each in self.measures.items()}
