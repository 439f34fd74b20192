"""Part 7: one factor at a time from scd_aw, on the validation split of the tuning draws."""

from functools import lru_cache, partial

from benchmarks.evidence import tuning
from benchmarks.evidence.blocks import Block, Run
from benchmarks.evidence.grounds import Ground, embedded
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.tuning import SFT

BASE = "scd_aw"
_VARIANTS = "benchmarks.evidence.variants"
_WEIGHTS = (0.1, 0.3, 0.5, 0.7, 0.9)
_CHECKPOINTS = (2, 8, 16)
# Name of a run -> its method, and what else is another than in scd_aw.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "only KL(best || checkpoint)": ("td_aw",),
    "only KL(student || checkpoint)": (
        BASE,
        f"method.policy._target_={_VARIANTS}.NearestToStudent",
        f"allowed_targets=[{_VARIANTS}]",
    ),
    "weight from the student as it is": (
        BASE,
        f"+callbacks.anchor={{_target_: {_VARIANTS}.StudentAsAnchor, _partial_: true}}",
        f"allowed_targets=[{_VARIANTS}]",
    ),
    "optimizer not reset": (
        BASE,
        f"+callbacks.moments={{_target_: {_VARIANTS}.KeptMoments, _partial_: true}}",
        f"allowed_targets=[{_VARIANTS}]",
    ),
    "reverse KL": (BASE, "objective=reverse_kl"),
    "Jensen-Shannon": (BASE, "objective=jensen_shannon"),
    "skew KL": (BASE, "objective=skew_kl"),
    "total variation": (BASE, "objective=total_variation"),
    "temperature 2": (BASE, "objective.temperature=2.0"),
}


@lru_cache
def blocks(study: Study) -> list[Block]:
    """A block for each task and draw."""
    draws = study.tuning[: len(study.few)]
    return [
        Block(7, "ablations", task, draw, "validation", partial(_runs, study, task))
        for draw in draws
        for task in study.tasks
    ]


def _runs(study: Study, task: str, rates: Rates) -> list[Run]:
    ground, sizes = embedded(task, study.sizes, tuning=True), study.sizes
    rate, anchor = tuning.best(study, rates, task, BASE), tuning.best(study, rates, task, SFT)

    def run(name: str, method: str = BASE, *more: str, on: Ground = ground) -> Run:
        return on.distilled(name, rate, anchor, method, *more)

    forward = ("scd_lightning.schedules.policies.ScheduledForward", sizes.stages)
    runs = [ground.fine_tuned(SFT, anchor), run(BASE)]
    runs += [run(f"weight {weight:g}", "scd", f"method.weighting.weight={weight:g}") for weight in _WEIGHTS]
    runs += [run(f"{n} checkpoints", on=ground.with_(f"teacher.checkpoints={n}")) for n in _CHECKPOINTS]
    runs += [run(f"{n} stages", on=_in_stages(ground, study, n)) for n in (1, 2, 8)]
    runs += [
        run("forward schedule", BASE, f"method.policy._target_={forward[0]}", f"+method.policy.num_stages={forward[1]}")
    ]
    return runs + [run(name, *settings) for name, settings in _SETTINGS.items()]


def _in_stages(ground: Ground, study: Study, stages: int) -> Ground:
    """The ground with other stages and as many epochs in all, or the next higher number that they divide."""
    epochs = -(-study.sizes.stages * study.sizes.stage_epochs // stages)
    return ground.with_(f"budget.stages={stages}", f"budget.stage_epochs={epochs}")
