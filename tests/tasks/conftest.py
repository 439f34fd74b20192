"""The data's fixtures, as a task is tried on rows; and what its measures are worth."""

import pytest

from scd_lightning.training.sums import TaskMetric
from tests.data.conftest import byte_tokenizer, write_folder  # noqa: F401


@pytest.fixture
def measured():
    """(a task's data, split, [(position in it, answer)]) -> the measures of these answers."""

    def measure(data, split, answers):
        metric = TaskMetric(data.measures)
        rows = [data.judge(split, index, answer).row() for index, answer in answers]
        metric.update(rows, [data.describe(split, index) for index, _ in answers])
        return {name: value.item() for name, value in metric.compute().items()}

    return measure
