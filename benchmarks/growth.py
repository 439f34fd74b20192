"""How a run's cost grows with the trajectory's length N, a stage's epochs T, the samples S and the vocabulary V."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import workload
from benchmarks.jobs import Plan, prepare
from benchmarks.process import fresh
from benchmarks.settings import Settings
from benchmarks.workload import Case, Shape

CASE = Case("growth", 8000, 96, 32, 8, 64, Shape(192, 4, 3, 3, 512), Shape(384, 8, 6, 6, 1024), samples=64)


@dataclass(frozen=True)
class Point:
    """What is varied, one letter at a time.

    Attributes:
        N: Checkpoints of the trajectory.
        T: Epochs of a stage.
        S: Training samples.
        V: Size of the vocabulary.
    """

    N: int = 4
    T: int = 2
    S: int = 64
    V: int = 8000


SERIES: dict[str, tuple[int, ...]] = {"N": (2, 4, 8), "T": (1, 2, 4), "S": (32, 64, 128), "V": (4000, 8000, 32000)}
QUICK_BASE = Point(N=2, T=1, S=16, V=4000)
QUICK_SERIES: dict[str, tuple[int, ...]] = {"N": (2, 4), "T": (1, 2), "S": (16, 32), "V": (4000, 8000)}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a point and teacher source: the point's letters, "teacher", "case", and what `run_once.run` says."""
    base, series = (QUICK_BASE, QUICK_SERIES) if settings.quick else (Point(), SERIES)
    points = list(dict.fromkeys(replace(base, **{name: value}) for name in series for value in series[name]))
    places = [(point, plan) for point in points for plan in _plans(settings, point)]
    plans = [asdict(plan) for _, plan in places]
    # The first run of a process makes what all later ones use again.
    runs = fresh(settings, "benchmarks.run_once", {"plans": [plans[0], *plans], "parts": False})[1:]
    return [
        asdict(point) | {"teacher": plan.teacher, "case": asdict(CASE)} | run
        for (point, plan), run in zip(places, runs, strict=True)
    ]


def _plans(settings: Settings, point: Point) -> list[Plan]:
    folder = settings.folder / f"growth-{point.S}-{point.V}"
    if not folder.exists():
        workload.make(replace(CASE, vocab_size=point.V, samples=point.S), folder)
    stages = 2 if settings.quick else 4
    plan = Plan(str(folder), "scd_aw", "cached", stages, point.T, checkpoints=point.N, device=settings.device)
    prepare(plan)
    return [plan, replace(plan, teacher="live")]
