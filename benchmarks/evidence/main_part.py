"""Part 2: all methods on the embedded tasks, at the rates of part 1, on the test split of the shown draws."""

from functools import lru_cache, partial

from benchmarks.evidence import tuning
from benchmarks.evidence.blocks import Block, Run
from benchmarks.evidence.grounds import embedded
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.tuning import SFT, SFT_TOTAL

DISTILLED = ("td", "cd", "scd", "td_aw", "cd_aw", "scd_aw")
# Distillation that starts from the anchor, at the rate of the same method from the base model.
FROM_ANCHOR = {"td_from_anchor": "td", "scd_aw_from_anchor": "scd_aw"}


@lru_cache
def blocks(study: Study) -> list[Block]:
    """A block for each task and draw; all tasks of a draw before the next draw."""
    return [
        Block(2, "main", task, draw, "test", partial(_runs, study, task))
        for draw in study.shown
        for task in study.tasks
    ]


def _runs(study: Study, task: str, rates: Rates) -> list[Run]:
    ground = embedded(task, study.sizes, tuning=False)
    rate = partial(tuning.best, study, rates, task)
    anchor = rate(SFT)
    distilled = [ground.distilled(name, rate(name), anchor) for name in DISTILLED]
    distilled += [ground.distilled(name, rate(method), anchor) for name, method in FROM_ANCHOR.items()]
    total = tuning.at_total(ground, study).fine_tuned(SFT_TOTAL, rate(SFT_TOTAL))
    return [ground.fine_tuned(SFT, anchor), *distilled, total]
