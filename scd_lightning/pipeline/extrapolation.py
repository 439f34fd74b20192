"""What a full run would take, told by a run of a few samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Volume:
    """How much work a run is.

    Attributes:
        samples: Phase -> samples that pass through a model in it, repetitions counted.
        steps: Phase -> optimizer steps of its training.
    """

    samples: Mapping[str, int]
    steps: Mapping[str, int]


def extrapolate(
    costs: Mapping[str, Mapping[str, Any]], step_seconds: Mapping[str, float], small: Volume, full: Volume
) -> dict[str, tuple[float, float]]:
    """Seconds of each phase of a full run, between two bounds.

    Args:
        costs: Phase -> its costs in the small run.
        step_seconds: Phase -> seconds of an optimizer step; phases that were reused have none.
        small: The work of the small run.
        full: The work of the full one.

    Returns:
        Phase -> (its steps alone, everything that the small run took scaled by the samples, start-up included).

    >>> small = Volume({"distill": 64, "evaluate": 8}, {"distill": 8})
    >>> full = Volume({"distill": 25600, "evaluate": 800}, {"distill": 3200})
    >>> extrapolate({"distill": {"seconds": 9.0}, "evaluate": {"seconds": 2.0}}, {"distill": 0.5}, small, full)
    {'distill': (1600.0, 3600.0), 'evaluate': (0.0, 200.0)}
    """
    bounds = {}
    for phase, cost in costs.items():
        low = step_seconds[phase] * full.steps[phase] if phase in step_seconds else 0.0
        bounds[phase] = low, max(low, cost["seconds"] * full.samples[phase] / small.samples[phase])
    return bounds


def sentence(bounds: Mapping[str, tuple[float, float]]) -> str:
    """The estimate in a line for people."""
    low, high = (sum(pair[i] for pair in bounds.values()) for i in (0, 1))
    phases = ", ".join(f"{phase} {_between(*pair)}" for phase, pair in bounds.items())
    return (
        f"A full run would take {_between(low, high)} on this machine ({phases}). This is rough: the lower figure "
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
