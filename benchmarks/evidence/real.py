"""Parts 3 and 4: real data with a pretrained pair; and the texts without labels of banking77, which belong to part 6.

Each draw cuts its training rows anew; the test split is whole. A draw has two blocks: one in which fine-tuning and
traditional distillation try their rates on validation, and one that shows the methods on test.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

from benchmarks.evidence.blocks import DATA, Block, Make, Run
from benchmarks.evidence.grounds import Ground
from benchmarks.evidence.rates import Rates, at
from benchmarks.evidence.study import Study
from benchmarks.evidence.tuning import SFT, WITH_TEXTS

DISTILLED = ("td", "scd", "td_aw", "scd_aw")
GRID = (3e-4, 6e-4, 1.2e-3)
ROWS, TEXT_ROWS, TEXTS = 1000, 300, 3000


@dataclass(frozen=True)
class RealSet:
    """A real data set.

    Attributes:
        part: Part of the evidence.
        task: Its kind of task.
        folder: Where it lies in the folder of the real data sets.
        settings: What the task needs beside it.
    """

    part: int
    task: str
    folder: str
    settings: tuple[str, ...]


BANKING77 = RealSet(3, "classification", "banking77", ("task.language=en", "task.data.allow_overlap=true"))
NCBI = RealSet(4, "ner", "ncbi_disease_sent", ("task.language=en", "task.data.allow_overlap=true"))


def blocks_of(real: RealSet, study: Study) -> list[Block]:
    """The blocks of one set: rates first."""
    return [*rate_blocks(real, study), *method_blocks(real, study)]


@lru_cache
def rate_blocks(real: RealSet, study: Study) -> tuple[Block, ...]:
    """Where rates are tried, a block a draw."""
    return tuple(_block(real, "rates", draw, "validation", partial(_rates, real, draw)) for draw in study.real)


@lru_cache
def method_blocks(real: RealSet, study: Study) -> tuple[Block, ...]:
    """Where methods are shown, a block a draw."""
    return tuple(_block(real, "methods", draw, "test", partial(_methods, real, study, draw)) for draw in study.real)


@lru_cache
def text_blocks(study: Study) -> tuple[Block, ...]:
    """Those with texts without labels, of banking77."""
    make = partial(_with_texts, BANKING77, study)
    return tuple(_block(BANKING77, "texts", draw, "test", partial(make, draw), part=6) for draw in study.real)


def _block(real: RealSet, kind: str, draw: int, split: str, make: Make, part: int = 0) -> Block:
    return Block(part or real.part, kind, real.folder, draw, split, make, real.folder)


def ground(real: RealSet, draw: int, rows: int = ROWS) -> Ground:
    """SmolLM2 with the vocabulary of the task, and its thinned copy, on so many rows of train."""
    return Ground(
        (
            f"task={real.task}",
            f"task.data.path='{DATA}/{real.folder}'",
            f"task.name={real.folder}",
            *real.settings,
            f"task.data.split_seed={draw}",
            f"task.data.max_samples={{train: {rows}}}",
            "teacher=smollm2_trimmed",
            "teacher.epochs=3",
            "teacher.checkpoints=4",
            "teacher.global_batch=16",
            "teacher.optimizer.lr=2e-4",
            "student=smollm2_small",
            "student.heal_epochs=2",
            "budget.stages=4",
            "budget.stage_epochs=3",
            "budget.global_batch=16",
        )
    )


def best(real: RealSet, study: Study, rates: Rates, method: str) -> float:
    """The rate of fine-tuning or of traditional distillation, the mean over the draws' validation splits deciding."""
    return rates.best(rate_blocks(real, study), method, GRID)


def _rates(real: RealSet, draw: int, rates: Rates) -> list[Run]:
    base = ground(real, draw)
    runs = [base.fine_tuned(at(SFT, rate), rate) for rate in GRID]
    # Its weighting asks no anchor: whose rate is the middle one here plays no part.
    return runs + [base.distilled(at("td", rate), rate, GRID[1], "td") for rate in GRID]


def _methods(real: RealSet, study: Study, draw: int, rates: Rates) -> list[Run]:
    base = ground(real, draw)
    anchor, distilled = (best(real, study, rates, method) for method in (SFT, "td"))
    return [base.fine_tuned(SFT, anchor), *(base.distilled(name, distilled, anchor) for name in DISTILLED)]


def _with_texts(real: RealSet, study: Study, draw: int, rates: Rates) -> list[Run]:
    base = ground(real, draw, TEXT_ROWS).with_("budget.samples=12000")
    anchor, distilled = (best(real, study, rates, method) for method in (SFT, "td"))
    # Rows of train that were not drawn, without their labels.
    texts = base.with_(
        f"task.data.unlabelled='{DATA}/{real.folder}/train.jsonl'",
        f"task.data.max_samples={{train: {TEXT_ROWS}, unlabelled: {TEXTS}}}",
    )
    runs = [
        base.fine_tuned(SFT, anchor),
        *(base.distilled(name, distilled, anchor) for name in ("td", "scheduled_forward")),
    ]
    for name in WITH_TEXTS:
        rate = anchor if name == "pl" else distilled
        runs.append(texts.distilled(f"{name}, {TEXTS} texts", rate, anchor, name))
    return runs
