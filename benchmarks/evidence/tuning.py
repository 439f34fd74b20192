"""Part 1: learning rates, on the validation split of the tuning draws. No test row is read by a model here."""

from functools import lru_cache, partial

from benchmarks.evidence.blocks import Block, Make, Run
from benchmarks.evidence.grounds import Ground, embedded
from benchmarks.evidence.rates import Rates, at
from benchmarks.evidence.study import Study

# Fine-tuning at the operations of an anchor and a distillation together.
SFT, SFT_TOTAL = "sft", "sft_total"
# What is tried at each rate, and whose rate the others have: that of the one with or without the adaptive weight.
METHODS = ("td", "scd_aw")
RATE_OF = {"cd": "td", "scd": "td", "scheduled_forward": "td", "td_aw": "scd_aw", "cd_aw": "scd_aw"}
WITH_TEXTS = ("pl", "td", "scheduled_forward")


def blocks(study: Study) -> list[Block]:
    """All of the part, in the order in which they need one another: anchors first."""
    kinds = (fine_tuning, distillation, texts)
    return [block for kind in kinds for task in study.tasks for block in kind(study, task)]


@lru_cache
def fine_tuning(study: Study, task: str) -> tuple[Block, ...]:
    """Fine-tuning alone, at the students' budget and at the total operations, each at each rate."""
    return _blocks(study, task, "sft", partial(_fine_tuning, study, task))


@lru_cache
def distillation(study: Study, task: str) -> tuple[Block, ...]:
    """`METHODS` at each rate; the anchor, where one is needed, is fine-tuning at its own best rate."""
    return _blocks(study, task, "methods", partial(_distillation, study, task))


@lru_cache
def texts(study: Study, task: str) -> tuple[Block, ...]:
    """What learns from texts without labels, at each rate."""
    return _blocks(study, task, "texts", partial(_texts, study, task))


def _blocks(study: Study, task: str, kind: str, make: Make) -> tuple[Block, ...]:
    return tuple(Block(1, kind, task, draw, "validation", make) for draw in study.tuning)


def _fine_tuning(study: Study, task: str, rates: Rates) -> list[Run]:
    ground = embedded(task, study.sizes, tuning=True)
    total = at_total(ground, study)
    return [
        each.fine_tuned(at(name, rate), rate)
        for name, each in ((SFT, ground), (SFT_TOTAL, total))
        for rate in study.grid
    ]


def at_total(ground: Ground, study: Study) -> Ground:
    """The ground with the epochs of the total operations."""
    return ground.with_(f"budget.stage_epochs={study.sizes.total_stage_epochs}")


def _distillation(study: Study, task: str, rates: Rates) -> list[Run]:
    ground, anchor = embedded(task, study.sizes, tuning=True), best(study, rates, task, SFT)
    return [ground.distilled(at(name, rate), rate, anchor, name) for name in METHODS for rate in study.grid]


def _texts(study: Study, task: str, rates: Rates) -> list[Run]:
    ground, anchor = embedded(task, study.sizes, tuning=True), best(study, rates, task, SFT)
    ground = with_texts(ground, study, study.sizes.texts[0])
    return [ground.distilled(at(name, rate), rate, anchor, name) for name in WITH_TEXTS for rate in study.grid]


def with_texts(ground: Ground, study: Study, texts: int) -> Ground:
    """The ground with texts without labels, at as many samples as without."""
    return ground.with_(f"budget.samples={study.sizes.samples}", f"task.data.synthetic.unlabelled={texts}")


def best(study: Study, rates: Rates, task: str, method: str, texts_too: bool = False) -> float:
    """The rate that was chosen for a method, or for the one whose rate it has, by `RATE_OF`.

    Args:
        study: What is run.
        rates: Chooses.
        task: The task.
        method: The method.
        texts_too: Whether it learns from texts without labels.

    Raises:
        NotChosen: Not all of its blocks are there.
    """
    tried_as = method if texts_too else RATE_OF.get(method, method)
    return rates.best(_tried_in(study, task, tried_as, texts_too), tried_as, study.grid)


def tried(study: Study, rates: Rates, task: str, method: str, texts_too: bool = False) -> dict[float, list[float]]:
    """Rate -> the validation metric on each tuning draw, of a method that was tried itself; else as `best`."""
    return rates.tried(_tried_in(study, task, method, texts_too), method, study.grid)


def _tried_in(study: Study, task: str, method: str, texts_too: bool) -> tuple[Block, ...]:
    if texts_too:
        return texts(study, task)
    return fine_tuning(study, task) if method in (SFT, SFT_TOTAL) else distillation(study, task)
