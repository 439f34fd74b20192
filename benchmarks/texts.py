"""Texts without labels: a distillation step on them beside one on rows with labels, and what answering them takes."""

from dataclasses import asdict, replace
from typing import Any

from benchmarks import steps
from benchmarks.process import fresh
from benchmarks.rows import spread
from benchmarks.settings import Settings
from benchmarks.steps import UNITS, WARM_UP

CONTENDERS = ("cached", "texts")
CASE = replace(steps.SMALL_CASE, name="texts", steps=41)
# Texts, rounds, and the training rows and epochs of the teacher that answers: enough that it ends its answers.
_ORDER = {"texts": 1500, "rounds": 11, "rows": 600, "epochs": 6}
_QUICK_ORDER = {"texts": 40, "rounds": 1, "rows": 32, "epochs": 1}


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Two rows, "step" and "answer", each with "seconds" and "cpu_seconds": what was timed -> {median, min, max}.

    Of a step: "cached", on rows with labels, and "texts"; "case", and "losses_apart", the largest difference between
    their losses, which are of the same numbers. Of the phase: see `answering.rounds`.
    """
    order = {"device": settings.device} | (_QUICK_ORDER if settings.quick else _ORDER)
    return [_step(settings), {"name": "answer"} | fresh(settings, "benchmarks.answering", order)]


def _step(settings: Settings) -> dict[str, Any]:
    case = replace(CASE, steps=4) if settings.quick else CASE
    reports = steps.take_turns(settings, case, CONTENDERS)
    times = {
        unit: {name: spread([report[unit] for report in of[WARM_UP:]]) for name, of in reports.items()}
        for unit in UNITS
    }
    pairs = zip(*(reports[name] for name in CONTENDERS), strict=True)
    apart = max(abs(one["loss"] - other["loss"]) for one, other in pairs)
    return {"name": "step", "case": asdict(case), **times, "losses_apart": apart}
