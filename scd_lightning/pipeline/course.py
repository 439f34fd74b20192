"""Where a run stands among its phases, and about how long it will still take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.pipeline.extrapolation import duration
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.progress import Bar

# What training on a sample takes, in forward passes: backwards it costs twice as much.
_TRAINED = 3
# What answering one takes, at most: an answer is written token by token, or candidates are read behind the prompt.
_ANSWERED = 8
# Less than so many seconds say nothing of a speed: the first step loads what later ones find.
_SECONDS = 5
_OTHER = {"teacher": "student", "student": "teacher"}
# A model, and whether it answers or is merely run: each has a speed of its own.
Doing = tuple[str, bool]


@dataclass(frozen=True)
class Work:
    """A part of an artifact's making.

    Attributes:
        bar: What its bar is called.
        passes: What is done in it -> over how many samples, repetitions counted.
    """

    bar: str
    passes: Mapping[Doing, float]


class Course:
    """The course of a run; `at` tells it which artifact is made now.

    What is to come is estimated by the speed at which samples have passed a model so far. Of a model that none have
    passed yet, it is between the other one's and what follows from their sizes.

    Args:
        job: The run.
        phases: Its phases, in order.
    """

    def __init__(self, job: PreparedJob, phases: Iterable[str]) -> None:
        self._job, self._phases = job, list(dict.fromkeys(phases))
        self._phase = ""
        self._own: list[Work] = []
        self._later: list[Work] = []
        # Seconds a sample, of what was measured.
        self._speeds: dict[Doing, float] = {}

    def at(self, phase: str, name: str, later: Sequence[str]) -> "Course":
        """Itself, where an artifact is about to be made.

        Args:
            phase: The phase that makes it.
            name: The artifact's name within the job.
            later: Names of those that are to be made after it.
        """
        self._phase, self._own = phase, works(self._job, name)
        self._later = [each for other in later for each in works(self._job, other)]
        return self

    def place(self, bar: Bar) -> str:
        """The phase, which of how many it is, and what goes on in it."""
        place = f"{self._phase}, phase {self._phases.index(self._phase) + 1} of {len(self._phases)}"
        return place if bar.description == self._phase else f"{place}, {bar.description}"

    def left(self, bar: Bar) -> str:
        """About how long the run will still take, its report apart; "" where that can't be known yet."""
        index = self._index(bar)
        if index is None or bar.seconds < _SECONDS or bar.done == bar.before:
            return ""
        self._learn(self._own[index], bar)
        low = high = bar.seconds * (bar.total - bar.done) / (bar.done - bar.before)
        for work in [*self._own[index + 1 :], *self._later]:
            for doing, samples in work.passes.items():
                bounds = self._speed(*doing)
                low, high = low + samples * bounds[0], high + samples * bounds[1]
        first, last = duration(low), duration(high)
        return f"about {first if first == last else f'{first} to {last}'} left of the run"

    def close(self, bar: Bar) -> None:
        """Learns how long the work took."""
        index = self._index(bar)
        if index is not None and bar.done > bar.before:
            self._learn(self._own[index], bar)

    def _index(self, bar: Bar) -> int | None:
        return next((place for place, each in enumerate(self._own) if each.bar == bar.description), None)

    def _learn(self, work: Work, bar: Bar) -> None:
        """Notes how fast samples pass a model; of two that work together, of the one that is not known alone."""
        seconds = bar.seconds * bar.total / (bar.done - bar.before)
        single = len(work.passes) == 1
        unknown = [doing for doing in work.passes if single or doing not in self._speeds]
        known = sum(samples * self._speeds[doing] for doing, samples in work.passes.items() if doing not in unknown)
        sizes = {doing: work.passes[doing] * self._job.parameters[doing[0]] for doing in unknown}
        for doing in unknown:
            share = sizes[doing] / sum(sizes.values())
            self._speeds[doing] = max(0.0, seconds - known) * share / work.passes[doing]

    def _speed(self, model: str, answers: bool) -> tuple[float, float]:
        """Seconds a sample, between two bounds."""
        if found := self._known(model, answers):
            return found
        other = self._known(_OTHER[model], answers)
        assert other is not None  # The work that goes on has told something of one of them.
        ratio = self._job.parameters[model] / self._job.parameters[_OTHER[model]]
        return other[0] * min(1, ratio), other[1] * max(1, ratio)

    def _known(self, model: str, answers: bool) -> tuple[float, float] | None:
        if (speed := self._speeds.get((model, answers))) is not None:
            return speed, speed
        if (speed := self._speeds.get((model, not answers))) is not None:
            return (speed, speed * _ANSWERED) if answers else (speed / _ANSWERED, speed)
        return None


def works(job: PreparedJob, name: str) -> list[Work]:
    """What there is to do for an artifact, part by part; small parts, such as scoring a probe set, are left out.

    Args:
        job: The run.
        name: The artifact's name within it.
    """

    def count(split: str) -> int:
        # Of what is asked for alone: where settings are chosen, nobody looks at the test split.
        return len(job.data.samples.get(split, ()))

    rows, texts = count("train"), count(UNLABELLED)
    if name == "teacher":
        trained = [] if job.trajectory else [_training("teacher_sft", "teacher", rows * job.teacher.epochs)]
        checkpoints = len(job.trajectory) or job.teacher.checkpoints
        validated = {("teacher", job.task.validation == "task"): checkpoints * count("validation")}
        return [*trained, Work("validating the trajectory", validated)]
    if name == "anchor":
        trained = [_training("student_sft", "student", rows * job.budget.on(rows).epochs)]
        return [*([] if job.existing_anchor else trained), Work("train split", {("student", False): rows})]
    if name == "answers":
        asked = {UNLABELLED: texts, "validation": count("validation")}
        return [Work(f"{split} split", {("teacher", True): number}) for split, number in asked.items()]
    if name == "student":
        return _distillation(job, rows + texts)
    if name.startswith("evaluation"):
        split, model = job.evaluation.split, "teacher" if name.endswith("teacher") else "student"
        return [Work(f"{split} split", {(model, True): count(split)})]
    if name.startswith("confidence"):
        return [Work("validation split", {("student", True): count("validation")})]
    return [_training("heal", "student", (rows + texts) * job.student.heal_epochs)]


def _training(bar: str, model: str, samples: int) -> Work:
    return Work(bar, {(model, False): _TRAINED * samples})


def _distillation(job: PreparedJob, rows: int) -> list[Work]:
    """A teacher that runs along answers each sample each time; one whose signals are stored, once a stage at most."""
    budget = job.budget.on(rows)
    trained = _training("distill", "student", rows * budget.epochs)
    if job.method.pseudo_labels:
        return [trained]
    taught = rows * (budget.epochs if job.method.teacher == "live" else budget.stages)
    return [Work(trained.bar, {**trained.passes, ("teacher", False): taught})]
