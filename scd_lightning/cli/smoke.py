"""`debug=smoke`: what it measures, and what it says of a full run at its end."""

from dataclasses import replace
from functools import partial
from typing import Any

from hydra.core.hydra_config import HydraConfig

from scd_lightning.cli.default_models import compose_job, settle_models
from scd_lightning.cli.overrides import written
from scd_lightning.cli.reading import as_written
from scd_lightning.config.build import build_parts, read_settings
from scd_lightning.config.settings import Budget
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.pipeline.extrapolation import Volume, extrapolate, sentence
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.progress import say
from scd_lightning.store.manifest import read_json
from scd_lightning.tasks.task_data import TaskData
from scd_lightning.training.callbacks.step_timer import StepTimer, read_step_seconds


def trial(job: Job) -> Job:
    """A job of which every training measures its steps; samples that students are to see are for the full run."""
    budget = replace(job.budget, samples=None)
    return replace(job, budget=budget, callbacks=[*job.callbacks, partial(StepTimer, job.run_dir)])


def tell_full_costs(job: PreparedJob) -> None:
    """Says what the same command would take without `debug=smoke`."""
    overrides = [each for each in written(HydraConfig.get().overrides.task) if each != "debug=smoke"]
    full, _ = settle_models(compose_job(overrides), overrides)
    parts = build_parts(read_settings(full, as_written(overrides)), ["task", "budget"])
    data = parts["task"].read()
    small = _volume(job, job.data, job.teacher, job.budget)
    whole = _volume(job, data, full.teacher, parts["budget"])
    costs, seconds = read_json(job.run_dir / "costs.json"), read_step_seconds(job.run_dir)
    say(sentence(extrapolate(costs, seconds, small, whole)))


def _volume(job: PreparedJob, data: TaskData, teacher: Any, budget: Budget) -> Volume:
    """The work on some data.

    Of a full run's samples no lengths are known: they are taken to be those of the job's. All texts without labels are
    taken to be learnt from.
    """
    train, texts = len(data.samples["train"]), len(data.samples.get(UNLABELLED, ())) * job.method.trains_student
    length = job.data.description["lengths"]["train"]["mean"]
    trainings = {
        "teacher_sft": (train, teacher.epochs, job.teacher.batch),
        "student_sft": (train, budget.on(train).epochs, job.budget.batch),
        "distill": (train + texts, budget.on(train + texts).epochs, job.budget.batch),
    }
    if rounds := len(job.healing):
        # Texts without labels are taken in whatever the method, though without answers.
        rows = train + len(data.samples.get(UNLABELLED, ()))
        trainings["heal"] = (rows, rounds * job.student.heal_epochs, job.budget.batch)
    samples = {phase: rows * epochs for phase, (rows, epochs, _) in trainings.items()}
    steps = {phase: batch.expected_batches(rows, length) * epochs for phase, (rows, epochs, batch) in trainings.items()}
    # Three models answer the evaluated split, and the student validation.
    evaluated = 3 * len(data.samples[job.evaluation.split])
    if job.evaluation.confidence and job.evaluation.split != "validation":
        evaluated += len(data.samples["validation"])
    return Volume(samples | {"answer": texts, "evaluate": evaluated}, steps)
