"""The rows of a comparison: each method's mean and spread over seeds, and what it gains on plain fine-tuning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from scd_lightning.analysis.bootstrap import Interval
from scd_lightning.analysis.comparison.grouping import label, short_label, varying
from scd_lightning.analysis.comparison.paired import paired_interval
from scd_lightning.analysis.comparison.shared_answers import Agreement, agreement
from scd_lightning.analysis.comparison.sweep_runs import VALIDATION, SweepRun, metric_path
from scd_lightning.analysis.formatting import number, signed
from scd_lightning.analysis.records import PLAIN
from scd_lightning.analysis.standing import bounds

Pairs = Sequence[tuple[SweepRun, SweepRun]]


@dataclass(frozen=True)
class Estimate:
    """A value over n runs; the spread is the sample standard deviation, None unless the runs are n >= 2 seeds."""

    mean: float
    spread: float | None
    n: int

    def __str__(self) -> str:
        return number(self.mean) + ("" if self.spread is None else f" ±{number(self.spread)}")


@dataclass(frozen=True)
class Margin:
    """A row's student minus another model, in the table's score where samples tell it, else in the primary metric.

    Attributes:
        other: "teacher", "anchor", both each run's own, or the name of the row of plain fine-tuning.
        value: The difference.
        by_run: [n], that of each run of the row.
        interval: Of its mean; None where it can't be told.
    """

    other: str
    value: Estimate
    by_run: list[float]
    interval: Interval | None

    @property
    def side(self) -> int:
        """Where its whole interval lies: 1 above zero, -1 below it, 0 where it holds zero or there is none."""
        return 0 if self.interval is None else self.interval.side

    @property
    def bounds(self) -> str | None:
        """The ends of its interval; None where there is none."""
        return None if self.interval is None else bounds(self.interval)


@dataclass(frozen=True)
class Row:
    """One method's n runs, under the same settings.

    Attributes:
        method: Name of the method.
        settings: Settings that vary over the runs of this table besides method and seed, as overrides; often "".
        short: The same in short, for narrow places.
        n: Number of runs.
        seeds: Their seeds, each once.
        repeated: Whether some seed ran twice: then the runs differ in something that is not recorded.
        values: Mean and spread of what was measured, by name.
        lead: Student minus teacher; None where one of them has no scores.
        gain: Student minus plain fine-tuning; None for plain fine-tuning itself, and where one has no scores.
        agreement: How student and teacher agree, sample by sample; None without predictions.
        runs: The runs themselves, by seed.
    """

    method: str
    settings: str
    short: str
    n: int
    seeds: list[int]
    repeated: bool
    values: dict[str, Estimate]
    lead: Margin | None
    gain: Margin | None
    agreement: Agreement | None
    runs: list[SweepRun]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.method} {self.settings}".strip()

    @property
    def short_name(self) -> str:
        """What narrow tables call it."""
        return f"{self.method} {self.short}".strip()

    def shown(self, name: str) -> str:
        """What was measured, as mean and spread; a dash where it was not."""
        value = self.values.get(name)
        return number(None) if value is None else str(value)


def shown_margin(margin: Margin | None, layout: str) -> str:
    """A difference and its interval in a layout such as "{} ({})"; without an interval the difference alone."""
    value = signed(margin and margin.value.mean)
    return value if margin is None or margin.bounds is None else layout.format(value, margin.bounds)


def preferred(rows: Sequence[Row]) -> Row | None:
    """The row whose student is the best one on the validation split; None where a row has no score there."""
    if not all(VALIDATION in row.values for row in rows):
        return None
    return max(rows, key=lambda row: row.values[VALIDATION].mean, default=None)


def make_rows(runs: Sequence[SweepRun]) -> list[Row]:
    """Groups the runs of a table by method and settings, in the order in which they come."""
    keys = varying(runs)
    groups: dict[tuple[str, str], list[SweepRun]] = {}
    for run in runs:
        groups.setdefault((run.method, label(run, keys)), []).append(run)
    rows = [_row(*name, short_label(same[0], keys), same) for name, same in groups.items()]
    return [row if row.method == PLAIN else replace(row, gain=_gain(row, rows)) for row in rows]


def pair(ours: Row, theirs: Row) -> Pairs:
    """The runs of two rows that have the same seed and data; none where a seed stands for several runs."""
    if ours.repeated or theirs.repeated:
        return []
    by_draw = {(run.seed, run.data): run for run in theirs.runs}
    return [(run, by_draw[run.seed, run.data]) for run in ours.runs if (run.seed, run.data) in by_draw]


def interval_of(pairs: Pairs, our_model: str, their_model: str) -> Interval | None:
    """The interval of a model of the first runs minus one of the second; None where scores are missing."""
    if not pairs or any(our_model not in a.scores or their_model not in b.scores for a, b in pairs):
        return None
    return paired_interval(
        [a.scores[our_model] for a, _ in pairs], [b.scores[their_model] for _, b in pairs], [a.tests for a, _ in pairs]
    )


def estimate(values: Sequence[float], repeated: bool = False) -> Estimate:
    """Mean and spread; none where a seed ran twice, whose difference is no matter of seeds."""
    return Estimate(fmean(values), stdev(values) if len(values) > 1 and not repeated else None, len(values))


def _row(method: str, settings: str, short: str, runs: list[SweepRun]) -> Row:
    runs = sorted(runs, key=lambda run: run.seed)
    seeds = sorted({run.seed for run in runs})
    repeated = len(seeds) < len(runs)
    names = dict.fromkeys(name for run in runs for name in run.values)
    values = {name: estimate([run.values[name] for run in runs if name in run.values], repeated) for name in names}
    lead = _margin("teacher", [(run, run) for run in runs], "teacher", repeated)
    return Row(method, settings, short, len(runs), seeds, repeated, values, lead, None, agreement(runs), runs)


def _gain(row: Row, rows: Sequence[Row]) -> Margin | None:
    """Against the table's plain fine-tuning where it has all of the row's seeds, else against each run's own anchor.

    An anchor is trained with its run's settings, learning rate included. Where methods have settings of their own,
    it's plain fine-tuning with its own that they have to beat.
    """
    other = _fine_tuning(row, rows)
    if other is None:
        return _margin("anchor", [(run, run) for run in row.runs], "anchor", row.repeated)
    return _margin(other.name, pair(row, other), "student", row.repeated)


def _margin(other: str, pairs: Pairs, model: str, repeated: bool) -> Margin | None:
    """The students of the first runs minus a model of the second ones."""
    found = None if repeated else interval_of(pairs, "student", model)
    if found is not None:
        return Margin(other, estimate(found.by_seed), found.by_seed, found)
    metric = pairs[0][0].record.results["primary_metric"]
    ours, theirs = metric_path("student", metric), metric_path(model, metric)
    if any(ours not in a.values or theirs not in b.values for a, b in pairs):
        return None
    by_run = [a.values[ours] - b.values[theirs] for a, b in pairs]
    return Margin(other, estimate(by_run, repeated), by_run, None)


def _fine_tuning(row: Row, rows: Sequence[Row]) -> Row | None:
    """The row of plain fine-tuning with the same budget; of several, the one that validation prefers."""
    equal = [each for each in rows if each.method == PLAIN and _budget(each) == _budget(row)]
    found = [each for each in equal if not row.repeated and len(pair(row, each)) == row.n]
    if len(found) == 1:
        return found[0]
    return preferred(found) or next((each for each in found if each.settings == row.settings), None)


def _budget(row: Row) -> dict[str, object]:
    return {key: value for key, value in row.runs[0].settings.items() if key.startswith("budget.")}
