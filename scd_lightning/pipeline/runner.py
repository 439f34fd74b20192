"""The order of the phases: what a job needs, what is there already, and what has to be made."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scd_lightning import distributed
from scd_lightning.errors import ConfigError, StoreError
from scd_lightning.launch import ranks
from scd_lightning.launch.consensus import outline
from scd_lightning.pipeline import confidence
from scd_lightning.pipeline.answer import answer_texts
from scd_lightning.pipeline.course import Course
from scd_lightning.pipeline.distill import distill
from scd_lightning.pipeline.evaluate import evaluate
from scd_lightning.pipeline.heal import HEALED, heal, round_name
from scd_lightning.pipeline.imports import import_anchor, import_trajectory
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.keys import (
    anchor_key,
    answers_key,
    confidence_key,
    evaluation_key,
    healed_key,
    student_key,
    teacher_key,
)
from scd_lightning.pipeline.logs import log_artifact
from scd_lightning.pipeline.memory import explained
from scd_lightning.pipeline.phase_lines import summarize
from scd_lightning.pipeline.pseudo_labels import pseudo_label
from scd_lightning.pipeline.student_sft import student_sft
from scd_lightning.pipeline.teacher_sft import teacher_sft
from scd_lightning.progress import say, within
from scd_lightning.store.artifacts import Artifact, ArtifactKey, Claim, Outcome

# Seconds for which a run waits for another before it looks again for something else to do.
_TURN = 1
Artifacts = dict[str, Artifact]


@dataclass(frozen=True)
class Step:
    """One artifact of a job.

    Attributes:
        name: The artifact's name within the job: teacher, healed, anchor, student, evaluation of one of them, ...
        phase: The phase that makes it.
        key: What it is.
        build: The phase: fills a folder from the artifacts that it needs.
        needs: Names of those artifacts.
    """

    name: str
    phase: str
    key: ArtifactKey
    build: Callable[[PreparedJob, Path, Artifacts], Outcome]
    needs: tuple[str, ...] = ()

    @property
    def runs_teacher(self) -> bool:
        """Whether it is the teacher's memory that may not suffice; else it is the student's."""
        return self.phase in ("teacher_sft", "answer") or self.name.endswith("teacher")


def plan(job: PreparedJob) -> list[Step]:
    """The steps of a prepared job, in order; those of phases that were not asked for are left out."""
    healed = (HEALED,) if job.healing else ()
    own = (student_sft, healed) if job.existing_anchor is None else (import_anchor, ())
    steps = [
        Step("teacher", "teacher_sft", teacher_key(job), import_trajectory if job.trajectory else teacher_sft),
        *_healing(job),
        Step("anchor", "student_sft", anchor_key(job), *own),
    ]
    if job.uses_texts:
        steps.append(Step("answers", "answer", answers_key(job), answer_texts, ("teacher",)))
    if job.method.trains_student:
        anchor = ("anchor",) if job.method.needs_anchor or job.student.init == "anchor" else ()
        answers = ("answers",) if job.uses_texts else ()
        build = pseudo_label if job.method.pseudo_labels else distill
        steps.append(Step("student", "distill", student_key(job), build, ("teacher", *healed, *anchor, *answers)))
    return [*steps, *_evaluations(job)]


def _healing(job: PreparedJob) -> list[Step]:
    names = [round_name(job, number) for number in range(len(job.healing))]
    return [
        Step(name, "heal", healed_key(job, number), partial(heal, number), tuple(names[number - 1 : number]))
        for number, name in enumerate(names)
    ]


def _evaluations(job: PreparedJob) -> list[Step]:
    keys = {"teacher": teacher_key(job), "anchor": anchor_key(job), "student": student_key(job)}
    steps = []
    for name in ("teacher", "student"):
        spec = getattr(job, name)
        if spec.pretrained and job.evaluation.base:
            healed = (HEALED,) if name == "student" and job.healing else ()
            key = evaluation_key(job, spec, healed_key(job).digest if healed else "base")
            build = partial(evaluate, name, tuned=False)
            steps.append(Step(f"evaluation of base_{name}", "evaluate", key, build, healed))
    for name, weights in keys.items():
        key = evaluation_key(job, job.teacher if name == "teacher" else job.student, weights.digest)
        holder = "anchor" if name == "student" and not job.method.trains_student else name
        steps.append(Step(f"evaluation of {name}", "evaluate", key, partial(evaluate, name), (holder,)))
    if job.evaluation.confidence and job.evaluation.split != "validation":
        steps.append(Step(confidence.STEP, "evaluate", confidence_key(job), confidence.answer_validation, (holder,)))
    return steps


def wanted(steps: Sequence[Step], phases: Sequence[str]) -> list[Step]:
    """The steps of the phases asked for and those that they need; the report needs all."""
    if "report" in phases:
        return list(steps)
    names: set[str] = set()
    for step in reversed(steps):
        if step.phase in phases or step.name in names:
            names |= {step.name, *step.needs}
    return [step for step in steps if step.name in names]


def check_inputs(job: PreparedJob, steps: Sequence[Step]) -> None:
    """Reads whole what this run will take from the store, so that what is damaged is made anew before it is needed.

    Args:
        job: The run.
        steps: Its steps.

    Raises:
        StoreError: The store can't be written.
    """
    read: set[str] = set()
    if "report" in job.phases:  # It reads all answers, and the weights that become the run's student/.
        reported = "student" if job.method.trains_student else "anchor"
        read = {reported, *(step.name for step in steps if step.phase == "evaluate")}
    for step in reversed(wanted(steps, job.phases)):
        if step.name in read:
            job.store.check(step.key)
        if job.store.find(step.key) is None:
            read |= set(step.needs)


def agree(job: PreparedJob, steps: Sequence[Step]) -> None:
    """Ends the job where its processes would make different things; all call it, with all steps, before any is made.

    Args:
        job: The run.
        steps: All of its steps.

    Raises:
        ConfigError: One of them sees another input; the first step that it matters to is told of.
    """
    job.agreement.require("steps", {step.name: step.key.kind for step in steps}, "phases")
    for step in steps:
        job.agreement.require(f"input of the {step.name}", outline(step.key.fields), step.phase)


def check_left_out(job: PreparedJob, steps: Sequence[Step]) -> None:
    """Makes sure that the store has what a run needs of phases that it is not to run.

    Args:
        job: The run.
        steps: Its steps.

    Raises:
        ConfigError: Something of them is not there.
    """
    for step in wanted(steps, job.phases):
        if step.phase not in job.phases:
            _stored(job, step)


def execute(job: PreparedJob, steps: Sequence[Step]) -> Artifacts:
    """Makes each artifact, or finds it in the store, and says so in a line.

    What another run makes meanwhile is left for later: this one goes on with whatever else it can make, and waits only
    where there is nothing. No number depends on the order: each phase seeds itself.

    Args:
        job: The run.
        steps: Its steps.

    Returns:
        The artifacts, in the order of the steps.

    Raises:
        ConfigError: A phase that is not in `phases` has nothing in the store that later ones could use.
    """
    if distributed.rank() == 0:
        check_inputs(job, steps)
    distributed.barrier()
    made: Artifacts = {}
    left = wanted(steps, job.phases)
    turns, course = _turns(left, made), Course(job, _phases(job, left))
    while left:
        step, seconds = next(turns)
        if step.phase not in job.phases:
            artifact = _stored(job, step)
        else:
            with job.store.claim(step.key, seconds=seconds) as claimed:
                if isinstance(claimed, Claim):
                    own = course.at(step.phase, step.name, _later(job, left, step))
                    with explained(job, step.phase, job.teacher if step.runs_teacher else job.student), within(own):
                        outcome = step.build(job, claimed.folder, made)
                    claimed = claimed.finish(outcome)
            if claimed is None:  # Another run makes it.
                continue
            artifact = claimed
        left.remove(step)
        made[step.name] = artifact
        turns = _turns(left, made)
        if ranks.leads() or not artifact.reused:
            _tell(job, step, artifact)
    return {step.name: made[step.name] for step in steps if step.name in made}


def collect(job: PreparedJob, steps: Sequence[Step]) -> Artifacts:
    """What the processes of a job have made, and what was there before: their parent makes nothing itself.

    Args:
        job: The run.
        steps: Its steps.

    Returns:
        The artifacts, in the order of the steps.

    Raises:
        ConfigError: As `execute`.
        StoreError: The processes have ended well, and left something out.
    """
    check_inputs(job, steps)
    made: Artifacts = {}
    for step in wanted(steps, job.phases):
        artifact = made[step.name] = _left_by_processes(job, step) if step.phase in job.phases else _stored(job, step)
        if artifact.reused:  # Of what they have made they have told.
            _tell(job, step, artifact)
    return made


def _tell(job: PreparedJob, step: Step, artifact: Artifact) -> None:
    say(summarize(step.name, step.phase, artifact, job))
    log_artifact(job, step.phase, artifact)


def _phases(job: PreparedJob, steps: Sequence[Step]) -> list[str]:
    """The phases that a run goes through."""
    return [*(step.phase for step in steps if step.phase in job.phases), *({"report"} & set(job.phases))]


def _later(job: PreparedJob, left: Sequence[Step], now: Step) -> list[str]:
    """The artifacts that are still to be made once one is."""
    others = [step for step in left if step is not now and step.phase in job.phases]
    return [step.name for step in others if job.store.find(step.key) is None]


def _turns(left: Sequence[Step], made: Artifacts) -> Iterator[tuple[Step, float]]:
    """The steps whose needs are there, over and over, with the seconds to wait for another run that makes them.

    All processes of a job go through the same: the store asks process 0.
    """
    ready = [step for step in left if made.keys() >= set(step.needs)]
    while True:
        yield from ((step, 0) for step in ready)
        # For the first, on which most depends; but not for long: another one may be given up meanwhile.
        yield ready[0], _TURN


def _left_by_processes(job: PreparedJob, step: Step) -> Artifact:
    if found := job.store.find(step.key):
        return found
    raise StoreError(
        f"The processes of this job have ended well, and the {step.name} is not in the store",
        where=job.store.root / step.key.folder,
        got=f"nothing that can be read, of the phase {step.phase}",
        remedy="see that nothing else changes the store; the same command makes it",
    )


def _stored(job: PreparedJob, step: Step) -> Artifact:
    if found := job.store.find(step.key):
        return found
    raise ConfigError(
        f"The phase {step.phase} is left out and its result is not in the store",
        where="phases",
        got=list(job.phases),
        expected=f"{step.phase} among the phases, or an earlier run with the same settings",
    )
