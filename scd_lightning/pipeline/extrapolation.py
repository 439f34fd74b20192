"""What a full run would take, told by a run of a few samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Volume:
    """How much work a run is.

    Attributes:
        train: Training samples.
        test: Test samples.
        epochs: Stage -> epochs of its training.
        epoch_steps: Stage -> optimizer steps of an epoch of its training.
    """

    train: int
    test: int
    epochs: Mapping[str, int]
    epoch_steps: Mapping[str, int]

    def samples(self, stage: str) -> int:
        """Samples that pass through a model in a pipeline stage, repetitions counted."""
        return self.test if stage == "evaluate" else self.train * self.epochs[stage]

    def steps(self, stage: str) -> int:
        """Optimizer steps of a stage."""
        return self.epoch_steps[stage] * self.epochs[stage]


def extrapolate(
    costs: Mapping[str, Mapping[str, Any]], step_seconds: Mapping[str, float], small: Volume, full: Volume
) -> dict[str, tuple[float, float]]:
    """Seconds of each pipeline stage of a full run, between two bounds.

    Args:
        costs: Stage -> its costs in the small run.
        step_seconds: Stage -> seconds of an optimizer step; stages that were reused have none.
        small: The work of the small run.
        full: The work of the full one.

    Returns:
        Stage -> (its steps alone, everything that the small run took scaled by the samples, start-up included).

    >>> small, full = (Volume(n, n // 4, {"distill": e}, {"distill": n // 8}) for n, e in ((32, 2), (3200, 8)))
    >>> extrapolate({"distill": {"seconds": 9.0}, "evaluate": {"seconds": 2.0}}, {"distill": 0.5}, small, full)
    {'distill': (1600.0, 3600.0), 'evaluate': (0.0, 200.0)}
    """
    bounds = {}
    for stage, cost in costs.items():
        low = step_seconds[stage] * full.steps(stage) if stage in step_seconds else 0.0
        bounds[stage] = low, max(low, cost["seconds"] * full.samples(stage) / small.samples(stage))
    return bounds


def sentence(bounds: Mapping[str, tuple[float, float]]) -> str:
    """The estimate in a line for people."""
    low, high = (sum(pair[i] for pair in bounds.values()) for i in (0, 1))
    stages = ", ".join(f"{stage} {_between(*pair)}" for stage, pair in bounds.items())
    return (
        f"A full run would take {_between(low, high)} on this machine ({stages}). This is rough: the lower figure "
        "counts the steps of the trainings that ran here, the upper one lets loading, validation and start-up grow "
        "with the samples."
    )


def _between(low: float, high: float) -> str:
    if duration(low) == duration(high):
        return duration(low)
    return f"{duration(low)} to {duration(high)}" if low else f"up to {duration(high)}"


def duration(seconds: float) -> str:
    """A time to the precision that a rough estimate has.

    >>> duration(20), duration(400), duration(9000), duration(400000)
    ('20 s', '7 min', '2.5 h', '4.6 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
