"""Part 6: texts without labels, which the teacher answers, on the test split of the shown draws."""

from functools import lru_cache, partial

from benchmarks.evidence import tuning
from benchmarks.evidence.blocks import Block, Run
from benchmarks.evidence.grounds import Ground, embedded, teacher_rate
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.tuning import SFT, WITH_TEXTS

WITHOUT = ("td", "scheduled_forward")
AGAIN = "teacher again"


def named(method: str, texts: int) -> str:
    """Name of a run.

    >>> named("pl", 3000), named("sft", 0)
    ('pl, 3000 texts', 'sft')
    """
    return f"{method}, {texts} texts" if texts else method


@lru_cache
def blocks(study: Study) -> list[Block]:
    """A block for each task and draw."""
    return [
        Block(6, "texts", task, draw, "test", partial(_runs, study, task, draw in study.few))
        for draw in study.shown
        for task in study.tasks
    ]


def _runs(study: Study, task: str, all_numbers: bool, rates: Rates) -> list[Run]:
    ground = embedded(task, study.sizes, tuning=False).with_(f"budget.samples={study.sizes.samples}")
    anchor = tuning.best(study, rates, task, SFT)
    chosen, *others = study.sizes.texts
    runs = [ground.fine_tuned(SFT, anchor)]
    runs += [ground.distilled(name, tuning.best(study, rates, task, name), anchor) for name in WITHOUT]
    for texts in (chosen, *(others if all_numbers else ())):
        with_texts = tuning.with_texts(ground, study, texts)
        for name in WITH_TEXTS:
            rate = tuning.best(study, rates, task, name, texts_too=True)
            runs.append(with_texts.distilled(named(name, texts), rate, anchor, name))
    return [*runs, _again(tuning.with_texts(ground, study, chosen), study, task)]


def _again(ground: Ground, study: Study, task: str) -> Run:
    """A teacher trained anew on the rows and on the first one's answers, at that one's rate, batch and samples."""
    # To the product it is a student, of the teacher's size.
    again = ground.with_(
        "student.path=scd_lightning:models/embedded/teacher",
        "budget.stages=1",
        "budget.global_batch=16",
        f"budget.samples={study.sizes.teacher_samples}",
    )
    rate = teacher_rate(task)
    return again.distilled(AGAIN, rate, rate, "pl")
