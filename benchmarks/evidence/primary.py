"""The primary comparisons: two a task, named before anything was measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmarks.evidence import tuning
from benchmarks.evidence.contrasts import LEVEL, Contrast, contrast, holm
from benchmarks.evidence.found import Found, Values, without
from benchmarks.evidence.rates import NotChosen
from benchmarks.evidence.study import TASKS
from benchmarks.evidence.tables import listed, table
from benchmarks.evidence.texts_part import named
from benchmarks.evidence.tuning import SFT, WITH_TEXTS
from scd_lightning.analysis.formatting import number

METHOD = "scd_aw"
# Both kinds on each of the three tasks.
FAMILY = 2 * len(TASKS)
_LEVEL = 1 - (1 - LEVEL) / FAMILY


@dataclass(frozen=True)
class Primary:
    """A primary comparison.

    Attributes:
        task: The task.
        name: What is compared.
        contrast: On all draws that are there; None where nothing is.
        later: Without the draws that the demo has shown before.
        planned: On how many draws it is to be measured.
        adjusted: Holm's probability, over all that there are to be; 1 where nothing is measured.
    """

    task: str
    name: str
    contrast: Contrast | None
    later: Contrast | None
    planned: int
    adjusted: float = 1.0

    @property
    def verdict(self) -> str:
        """What may be said of it: "above", "below", "not told apart" or "not measured"."""
        if self.contrast is None:
            return "not measured"
        if self.adjusted >= 1 - LEVEL:
            return "not told apart"
        return "above" if self.contrast.mean > 0 else "below"


def primaries(found: Found) -> list[Primary]:
    """All of them, with Holm's rule over all that there are to be."""
    every = [each for task in found.study.tasks for each in (_method(found, task), _texts(found, task))]
    adjusted = holm([1.0 if each.contrast is None else each.contrast.p for each in every], FAMILY)
    return [
        Primary(each.task, each.name, each.contrast, each.later, each.planned, p)
        for each, p in zip(every, adjusted, strict=True)
    ]


def _method(found: Found, task: str) -> Primary:
    values = [found.values(2, "main", task, run) for run in (METHOD, SFT)]
    return _primary(found, task, f"{METHOD} - {SFT}, without texts", *values)


def _texts(found: Found, task: str) -> Primary:
    best = best_with_texts(found, task)
    if best is None:
        return Primary(task, "the best method with texts - its teacher", None, None, len(found.study.shown))
    run = named(best, found.study.sizes.texts[0])
    values = [found.values(6, "texts", task, run, role) for role in ("student", "teacher")]
    return _primary(found, task, f"{run} - its teacher", *values)


def _primary(found: Found, task: str, name: str, ours: Values, theirs: Values) -> Primary:
    few = found.study.few
    later = contrast(without(ours, few), without(theirs, few), _LEVEL)
    return Primary(task, name, contrast(ours, theirs, _LEVEL), later, len(found.study.shown))


def best_with_texts(found: Found, task: str) -> str | None:
    """The method with the highest mean on validation of the tuning draws, at its best rate; None while some miss."""
    try:
        reached: Mapping[str, float] = {
            method: max(map(fmean, tuning.tried(found.study, found.rates, task, method, texts_too=True).values()))
            for method in WITH_TEXTS
        }
    except NotChosen:
        return None
    return max(reached, key=lambda method: reached[method])


def primary_table(found: Found) -> str:
    """The comparisons, with and without the draws that the demo has shown before."""
    few = listed(found.study.few)
    head = [
        "task",
        "difference",
        f"mean ({100 * _LEVEL:.1f} % interval)",
        "Holm's p",
        f"without draws {few}",
        "verdict",
    ]
    rows = [
        [
            TASKS[each.task],
            each.name.replace("_", r"\_"),
            "–" if each.contrast is None else str(each.contrast),
            number(None if each.contrast is None else each.adjusted),
            "–" if each.later is None else str(each.later),
            each.verdict,
        ]
        for each in primaries(found)
    ]
    return table(head, rows, text=2)
