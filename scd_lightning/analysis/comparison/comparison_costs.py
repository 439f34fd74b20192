"""What a sweep cost: what runs share counts once for the sweep, and for each run that needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scd_lightning.analysis.comparison.compare import Setting
from scd_lightning.analysis.comparison.sweep_runs import SweepRun


@dataclass(frozen=True)
class PhaseCost:
    """A phase over all runs.

    Attributes:
        phase: Its name.
        by_row: Mean seconds of one run, for each row, as if the run had made everything itself; None: not needed.
        once: Seconds for all runs, where what several of them share counts once.
        made: Number of things that were made.
        samples_by_row: Mean samples that one run's models saw, repetitions counted, for each row; None: not recorded.
    """

    phase: str
    by_row: list[float | None]
    once: float
    made: int
    samples_by_row: list[float | None]


def phase_costs(setting: Setting) -> list[PhaseCost]:
    """Lists the phases in their order, and the total last; empty where no costs were saved."""
    phases = list(dict.fromkeys(phase for run in setting.runs for phase in run.record.costs))
    costs = [_phase(setting, phase) for phase in phases]
    if not costs:
        return []
    totals = [sum(cost.by_row[index] or 0 for cost in costs) for index in range(len(setting.rows))]
    once, made = sum(cost.once for cost in costs), sum(cost.made for cost in costs)
    return [*costs, PhaseCost("total", [*totals], once, made, [None] * len(totals))]


def _phase(setting: Setting, phase: str) -> PhaseCost:
    made = _made(setting.runs, phase)
    needed = [[run.record.costs[phase] for run in row.runs if phase in run.record.costs] for row in setting.rows]
    means = [fmean(cost.get("seconds", 0) for cost in costs) if costs else None for costs in needed]
    samples = [[cost["samples"] for cost in costs if "samples" in cost] for costs in needed]
    return PhaseCost(phase, means, sum(made.values()), len(made), [fmean(each) if each else None for each in samples])


def _made(runs: Sequence[SweepRun], phase: str) -> dict[str, float]:
    """Seconds of each artifact that a phase of some runs made or reused, by the artifact's name.

    A run that does not name its artifacts shares them with none: what it says it reused was made by another run.
    """
    made: dict[str, float] = {}
    for run in runs:
        cost = run.record.costs.get(phase)
        if cost is None:
            continue
        if "artifacts" in cost:
            made |= cost["artifacts"]
        elif not cost.get("reused"):
            made[str(run.folder)] = cost.get("seconds", 0)
    return made


def shared_seconds(settings: Sequence[Setting]) -> float:
    """Seconds of the whole sweep, over all its tables."""
    runs = [run for setting in settings for run in setting.runs]
    phases = dict.fromkeys(phase for run in runs for phase in run.record.costs)
    return sum(seconds for phase in phases for seconds in _made(runs, phase).values())
