"""What a sweep cost: what runs share counts once for the sweep, and for each run that needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scd_lightning.analysis.comparison.compare import Setting
from scd_lightning.analysis.comparison.comparison_rows import Row
from scd_lightning.analysis.comparison.sweep_runs import SweepRun


@dataclass(frozen=True)
class StageCost:
    """A pipeline stage over all runs.

    Attributes:
        stage: Its name.
        by_row: Mean seconds of one run, for each row, as if the run had made everything itself; None: not needed.
        once: Seconds for all runs, where what several of them share counts once.
        made: Number of things that were made.
    """

    stage: str
    by_row: list[float | None]
    once: float
    made: int


def stage_costs(setting: Setting) -> list[StageCost]:
    """Lists the stages in their order, and the total last; empty where no costs were saved."""
    stages = list(dict.fromkeys(stage for run in setting.runs for stage in run.record.costs))
    costs = [_stage(setting, stage) for stage in stages]
    if not costs:
        return []
    totals = [sum(cost.by_row[index] or 0 for cost in costs) for index in range(len(setting.rows))]
    return [*costs, StageCost("total", [*totals], sum(cost.once for cost in costs), sum(cost.made for cost in costs))]


def _stage(setting: Setting, stage: str) -> StageCost:
    parts: dict[str, float] = {}
    for run in setting.runs:
        parts |= _parts(run, stage)
    return StageCost(stage, [_mean(row, stage) for row in setting.rows], sum(parts.values()), len(parts))


def _mean(row: Row, stage: str) -> float | None:
    found = [run.record.costs[stage].get("seconds", 0) for run in row.runs if stage in run.record.costs]
    return fmean(found) if found else None


def _parts(run: SweepRun, stage: str) -> dict[str, float]:
    """Seconds of each artifact that a stage of a run made or reused, by the artifact's name.

    A run that does not name its artifacts shares them with none: what it says it reused was made by another run.
    """
    cost = run.record.costs.get(stage)
    if cost is None:
        return {}
    if "artifacts" in cost:
        return cost["artifacts"]
    return {} if cost.get("reused") else {str(run.folder): cost.get("seconds", 0)}


def shared_seconds(settings: Sequence[Setting]) -> float:
    """Seconds of the whole sweep, over all its tables."""
    parts: dict[str, float] = {}
    for setting in settings:
        for run in setting.runs:
            for stage in run.record.costs:
                parts |= {f"{stage} {name}": seconds for name, seconds in _parts(run, stage).items()}
    return sum(parts.values())
