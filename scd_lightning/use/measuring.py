"""A student measured on rows with labels that came later than its run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scd_lightning.analysis.bootstrap import central_range
from scd_lightning.analysis.run.label_scores import LabelScores, scores_of_labels
from scd_lightning.analysis.statistics import Statistic
from scd_lightning.errors import DataError
from scd_lightning.use.form import Form
from scd_lightning.use.student import Judged

MODEL = "student"


@dataclass(frozen=True)
class Measured:
    """A metric, and the range in which it lies with 95 % over draws of such rows.

    Attributes:
        value: The metric.
        low: The range's lower end.
        high: Its upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What rows with labels say of a student.

    Attributes:
        rows: How many were answered.
        metrics: Metric -> its value; the primary one first.
        labels: What is said of each label; empty for tasks without.
        unknown: Label that the student has never learnt -> how many rows it is the answer to.
    """

    rows: int
    metrics: dict[str, Measured]
    labels: list[LabelScores]
    unknown: dict[str, int]


def measure(form: Form, judged: Sequence[Judged]) -> Report:
    """Metrics by the rows that could be used.

    Args:
        form: How the student is asked.
        judged: Its answers.

    Raises:
        DataError: No row could be used.
    """
    pairs = [(each.sample, each.judgement) for each in judged if each.sample is not None and each.judgement is not None]
    if not pairs:
        raise DataError(
            "No row could be used",
            where="--file",
            got=judged[0].given.error if judged else "no rows",
            expected="rows of the student's task, with their labels",
        )
    task, primary = form.task, form.primary_metric
    settings = task.settings_for(sample for sample, _ in pairs)
    rows = [judgement.row() for _, judgement in pairs]
    samples = [task.describe(sample) for sample, _ in pairs]
    measures = task.measures(settings)
    metrics = {}
    for name in dict.fromkeys([primary, *measures]):
        columns = measures[name].columns(rows, samples)
        assert columns is not None
        found = Statistic(measures[name], columns)
        metrics[name] = Measured(found.value, *central_range(found.resampled))
    by_label = task.by_label(settings, primary)
    labels = [] if by_label is None else scores_of_labels(by_label, {MODEL: rows}, samples)
    unknown = Counter(label for sample, _ in pairs for label in set(sample.labels) - set(form.labels))
    return Report(len(rows), metrics, labels, dict(unknown))
