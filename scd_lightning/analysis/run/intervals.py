"""How sure the metrics of one run are: a paired bootstrap over its test samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scd_lightning.analysis.bootstrap import LEVEL, Interval, central_range, drawn_sums
from scd_lightning.analysis.records import RunRecord, metric_names
from scd_lightning.analysis.statistics import SAMPLE_SCORE, Statistic, sample_score, statistic
from scd_lightning.tasks.measures import Floats

DRAWS = 10_000
# What the report compares: the first minus the second.
PAIRS = (("student", "teacher"), ("student", "anchor"), ("anchor", "teacher"))


@dataclass(frozen=True)
class RunIntervals:
    """Intervals of a run's metrics, wherever the saved rows give the recorded metric.

    Attributes:
        models: Model -> metric -> its interval.
        differences: (model, other) -> metric -> the interval of their difference.
        primary: The metric of the verdict: the task's primary one, or `SAMPLE_SCORE` where that can't be resampled.
        samples: S.
    """

    models: dict[str, dict[str, Interval]] = field(default_factory=dict)
    differences: dict[tuple[str, str], dict[str, Interval]] = field(default_factory=dict)
    primary: str = SAMPLE_SCORE
    samples: int = 0


def run_intervals(record: RunRecord) -> RunIntervals:
    """Resamples the test samples 10,000 times, the same ones for every model and metric, from a fixed seed.

    A metric of the whole set, such as micro F1, is computed anew on each draw from the counts of the samples drawn:
    it is no mean over samples.
    """
    rows = list(record.predictions.values())
    if not rows or not rows[0]:
        return RunIntervals()
    found = {name: _statistics(record, name) for name in record.predictions}
    primary = record.results["primary_metric"]
    if not all(primary in of_model for of_model in found.values()):
        primary = SAMPLE_SCORE
        for name, of_model in found.items():
            of_model[primary] = sample_score(record.predictions[name])
    drawn, samples = _resample(found), len(rows[0])
    whole = {name: {metric: each.value for metric, each in of_model.items()} for name, of_model in found.items()}
    models, differences = {}, {}
    for name, values in drawn.items():
        models[name] = {metric: _interval(whole[name][metric], values[metric], samples) for metric in values}
    for ours, theirs in PAIRS:
        if ours in drawn and theirs in drawn:
            a, b = drawn[ours], drawn[theirs]
            differences[ours, theirs] = {
                metric: _interval(whole[ours][metric] - whole[theirs][metric], a[metric] - b[metric], samples)
                for metric in a
                if metric in b
            }
    return RunIntervals(models, differences, primary, samples)


def _statistics(record: RunRecord, model: str) -> dict[str, Statistic]:
    """The model's metrics that the saved rows reproduce."""
    found = {metric: statistic(record, model, metric) for metric in metric_names(record.results)}
    return {metric: each for metric, each in found.items() if each is not None}


def _resample(found: Mapping[str, Mapping[str, Statistic]]) -> dict[str, dict[str, Floats]]:
    """Model -> metric -> its values [R] under the draws."""
    places = [(name, metric) for name, of_model in found.items() for metric in of_model]
    parts = [found[name][metric] for name, metric in places]
    ends = np.cumsum([part.columns.shape[1] for part in parts])[:-1]
    values: list[list[Floats]] = [[] for _ in parts]
    for sums in drawn_sums(np.hstack([part.columns for part in parts]), DRAWS):
        for kept, part, own in zip(values, parts, np.split(sums, ends, axis=1), strict=True):
            kept.append(part.measure.value(own))
    drawn: dict[str, dict[str, Floats]] = {name: {} for name in found}
    for (name, metric), kept in zip(places, values, strict=True):
        drawn[name][metric] = np.concatenate(kept)
    return drawn


def _interval(value: float, drawn: Floats, samples: int) -> Interval:
    return Interval(value, *central_range(drawn), LEVEL, 1, samples)
