"""Whole distillations, signals and probes included, beside their floor and beside other frameworks' trainings."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.jobs import Plan, prepare
from benchmarks.process import fresh
from benchmarks.referee import whole_run
from benchmarks.rows import divergences
from benchmarks.settings import PEERS, Settings
from benchmarks.workload import Case, Shape

CASE = Case("runs", 32000, 96, 32, 8, 128, Shape(256, 4, 4, 4, 704), Shape(512, 8, 8, 8, 1408), samples=128)
QUICK_CASE = replace(CASE, vocab_size=4000, samples=16)
# Where the ratio to the floor is a target, the run of median ratio counts.
REPEATS = {"td": 3, "scd_aw": 3, "cd": 1}
_CLOCKS = ("seconds", "cpu_seconds")


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One row a run of ours, "td cached" to "cd live", and one a peer; each in a process of its own.

    Returns:
        Of all: "name", "seconds", "cpu_seconds", "peak_memory_bytes", "steps"; of ours: what `run_once.run` and
        `run_once.parts` say, "floor" {"seconds", "cpu_seconds"}, "distinct" checkpoints, "repeats" and, over these,
        "floor_ratios"; and the "plan" and the "case".
    """
    case = replace(QUICK_CASE if settings.quick else CASE, dtype="bfloat16" if settings.device == "cuda" else "float32")
    folder = workload.make(case, settings.folder / "runs")
    plan = Plan(str(folder), "td", "cached", device=settings.device)
    if settings.quick:
        plan = replace(plan, stages=2, stage_epochs=1, probe=4)
    prepare(plan)
    rows = []
    for method, peer in zip(REPEATS, (*PEERS, None), strict=True):
        repeats = 1 if settings.quick else REPEATS[method]
        rows.append(_ours(settings, replace(plan, method=method), repeats))
        rows.append(_ours(settings, replace(plan, method=method, teacher="live"), 1))
        if peer is not None and not settings.alone:
            rows.append(_peers(settings, peer, plan))
    return [row | {"case": asdict(case)} for row in rows]


def _ours(settings: Settings, plan: Plan, repeats: int) -> dict[str, Any]:
    _say(f"{plan.method} {plan.teacher}")
    order = {"plans": [asdict(plan)], "parts": True}
    runs = [_with_floor(plan, fresh(settings, "benchmarks.run_once", order)[0]) for _ in range(repeats)]
    runs.sort(key=_ratio)
    return runs[len(runs) // 2] | {"repeats": repeats, "floor_ratios": [_ratio(run) for run in runs]}


def _ratio(run: dict[str, Any]) -> float:
    return float(run["seconds"] / run["floor"]["seconds"])


def _with_floor(plan: Plan, run: dict[str, Any]) -> dict[str, Any]:
    distinct = len(set(run["checkpoints"]))
    floors = {clock: run_floor(plan, run["steps"], distinct, _of(clock, run["parts"])) for clock in _CLOCKS}
    about = {"name": f"{plan.method} {plan.teacher}", "plan": asdict(plan), "distinct": distinct, "floor": floors}
    return about | run


def _of(clock: str, parts: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: part[clock] for name, part in parts.items()}


def run_floor(plan: Plan, steps: int, distinct: int, parts: dict[str, float]) -> float:
    """What a whole run can't do without.

    Args:
        plan: The run.
        steps: Its optimizer steps.
        distinct: How many different checkpoints teach.
        parts: What each part takes, see `run_once.parts`.

    Returns:
        The student's steps at the floor of a cached one, a teacher's pass over the samples for each distinct
        checkpoint, and where the schedule is scored, a pass over the probe set of each checkpoint, once, and of the
        student at each stage, and for each stage's divergence from each checkpoint the teacher's head and one pass
        over the vocabulary.
    """
    step = parts["sft_step"] + parts["head"] + parts["vocabulary_pass"]
    floor = steps * step + distinct * parts["teacher_samples"]
    if plan.method.startswith("scd"):
        floor += plan.checkpoints * parts["teacher_probe"] + plan.stages * parts["student_probe"]
    return floor + divergences(asdict(plan), parts)


def _peers(settings: Settings, peer: str, plan: Plan) -> dict[str, Any]:
    _say(peer)
    run = whole_run(settings, peer, Path(plan.folder), plan.stages * plan.stage_epochs)
    return {"name": peer, "peak_memory_bytes": run.pop("peak_bytes")} | run


def _say(what: str) -> None:
    print(f"   {what}", file=sys.stderr, flush=True)
