"""Part 5: where distillation pays: NER with few and many labels, and with wrong ones, without looking for a ground."""

from collections.abc import Iterator
from functools import lru_cache, partial

from benchmarks.evidence import tuning
from benchmarks.evidence.blocks import Block, Run
from benchmarks.evidence.grounds import Ground, Sizes, embedded
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.tuning import SFT

NOISE = (0.0, 0.02, 0.1)
DISTILLED = ("td", "scd_aw")


def labels(sizes: Sizes) -> tuple[int, int, int]:
    """How many training rows are tried.

    >>> labels(Sizes())
    (150, 600, 3600)
    """
    return sizes.train // 4, sizes.train, 6 * sizes.train


def cells(sizes: Sizes) -> Iterator[tuple[int, float]]:
    """All pairs of a number of labels and a share of wrong ones."""
    return ((rows, noise) for rows in labels(sizes) for noise in NOISE)


def named(method: str, rows: int, noise: float) -> str:
    """Name of a run.

    >>> named("td", 150, 0.02)
    'td, 150 labels, 2 % wrong'
    """
    return f"{method}, {rows} labels, {100 * noise:g} % wrong"


@lru_cache
def blocks(study: Study) -> list[Block]:
    """A block for each draw."""
    task = study.tasks[0]
    return [Block(5, "where", task, draw, "test", partial(_runs, study, task)) for draw in study.few]


def _runs(study: Study, task: str, rates: Rates) -> list[Run]:
    """All methods have the rates that were chosen for them at the middle cell."""
    ground, anchor = embedded(task, study.sizes, tuning=False), tuning.best(study, rates, task, SFT)
    runs = []
    for rows, noise in cells(study.sizes):
        cell = _cell(ground, study.sizes, rows, noise)
        runs.append(cell.fine_tuned(named(SFT, rows, noise), anchor))
        for method in DISTILLED:
            rate = tuning.best(study, rates, task, method)
            runs.append(cell.distilled(named(method, rows, noise), rate, anchor, method))
    return runs


def _cell(ground: Ground, sizes: Sizes, rows: int, noise: float) -> Ground:
    """As many samples as the demo's ground has, however few the rows; twice as many where rows are more."""
    times = 2 if rows > sizes.train else 1
    epochs = max(1, round(times * sizes.teacher_samples / rows))
    return ground.with_(
        f"task.data.synthetic.train={rows}",
        f"task.data.synthetic.label_noise={noise:g}",
        f"teacher.epochs={epochs}",
        f"budget.samples={times * sizes.samples}",
    )
