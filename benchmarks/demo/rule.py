"""How the demo's ground is chosen: a pure function of what was measured on the validation split of the tuning draws.

The candidates are gone through in order of cost. First the anchor and the teacher get their learning rates and are
shown to have converged; only then a student is distilled. The first candidate that passes everything is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import yaml

from benchmarks.demo.trials import Trial

Model = Literal["teacher", "anchor", "student"]
METHOD = "scd_aw"


class Missing(Exception):
    """Trials that a decision needs and that are not measured yet."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        super().__init__(f"{len(trials)} trials are not measured")
        self.trials = list(trials)


@dataclass(frozen=True)
class Candidate:
    """A ground and the budgets on it.

    Attributes:
        name: What tables call it.
        student: Which embedded base model is the student.
        rows: Training rows.
        noise: Share of their labels that are wrong.
        teacher_epochs: Epochs of the teacher.
        stage_epochs: Epochs of each of a student's stages.
        teacher_rates: The three learning rates that the teacher may have.
        student_rates: The three that the anchor and the distilled student may have, each its own.
        stages: Stages of a student: its learning rate starts anew at each.
        batch: Samples of an optimizer step of the students.
        teacher_batch: The same of the teacher.
        left_out: Why it is not looked at, whatever it may be worth; "" where it is.
    """

    name: str
    student: str
    rows: int
    noise: float
    teacher_epochs: int
    stage_epochs: int
    teacher_rates: tuple[float, ...]
    student_rates: tuple[float, ...]
    stages: int = 4
    batch: int = 16
    teacher_batch: int = 16
    left_out: str = ""

    def trials(self, model: Model, rates: Mapping[Model, float], search: "Search", task: str) -> list[Trial]:
        """One trial a draw.

        Args:
            model: Which model is measured.
            rates: Learning rate of each model that it takes.
            search: What holds for all candidates.
            task: The task.
        """
        overrides = [f"task={task}", f"task.data.synthetic.train={self.rows}"]
        overrides += [f"task.data.synthetic.validation={search.validation}"]
        overrides += [f"task.data.synthetic.label_noise={self.noise}"]
        if "teacher" in rates:
            overrides += [f"teacher.epochs={self.teacher_epochs}", f"teacher.global_batch={self.teacher_batch}"]
            overrides += [f"teacher.optimizer.lr={rates['teacher']}"]
        if "anchor" in rates:
            overrides += [f"student.path=scd_lightning:models/embedded/{self.student}"]
            overrides += [f"budget.stages={self.stages}", f"budget.stage_epochs={self.stage_epochs}"]
            overrides += [f"budget.global_batch={self.batch}", f"student.optimizer.lr={rates['anchor']}"]
        if "student" in rates:
            overrides += [f"method={METHOD}", f"method.lr_scale={rates['student'] / rates['anchor']:.6g}"]
        return [Trial(model, draw, tuple(overrides)) for draw in search.draws]


@dataclass(frozen=True)
class Search:
    """The file of candidates.

    Attributes:
        draws: The tuning draws.
        validation: Validation rows of each.
        converged: Twice the budget has to add less than this, on average.
        lead: The teacher has to be ahead of the anchor by this, on average.
        gain: So has the distilled student; and on each draw it has to be ahead at all.
        first: The candidates that were listed first, in order of cost.
        extension: Those that were added when none of the first was one to take, likewise.
    """

    draws: tuple[int, ...]
    validation: int
    converged: float
    lead: float
    gain: float
    first: tuple[Candidate, ...]
    extension: tuple[Candidate, ...] = ()

    @property
    def candidates(self) -> list[Candidate]:
        """All candidates, in the order in which they are looked at."""
        return [*self.first, *self.extension]

    @property
    def looked_at(self) -> list[Candidate]:
        """The candidates without those that are left out."""
        return [candidate for candidate in self.candidates if not candidate.left_out]


def read_search(path: Path) -> Search:
    """Reads the file of candidates."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    lists: dict[str, Any] = {
        name: tuple(_candidate(each) for each in values.pop(name, ())) for name in ("first", "extension")
    }
    return Search(draws=tuple(values.pop("draws")), **lists, **values)


def _candidate(values: Mapping[str, Any]) -> Candidate:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Candidate(**fields)


class Measured:
    """The metrics of the trials that were measured.

    Args:
        records: What `trials.measure` yields.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._metrics = {_key(each): each["metric"] for each in records}

    def require(self, *groups: Sequence[Trial]) -> None:
        """Raises `Missing` where some of these trials are not measured."""
        wanted = list(dict.fromkeys(trial for group in groups for trial in group))
        missing = [trial for trial in wanted if _key(vars(trial)) not in self._metrics]
        if missing:
            raise Missing(missing)

    def of(self, trials: Sequence[Trial]) -> list[float]:
        """The metric of each."""
        self.require(trials)
        return [self._metrics[_key(vars(trial))] for trial in trials]


def _key(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    return (fields["model"], fields["draw"], tuple(fields["overrides"]))


@dataclass(frozen=True)
class Outcome:
    """What was found of a candidate on a task; lists are by draw, and None is what was not needed.

    Attributes:
        candidate: The candidate.
        rates: The chosen learning rates.
        by_rate: Model -> rate -> metric of each draw.
        longer: Model -> metric of each draw with twice the epochs.
    """

    candidate: Candidate
    rates: dict[Model, float]
    by_rate: dict[Model, dict[float, list[float]]]
    longer: dict[Model, list[float]]

    def metric(self, model: Model) -> list[float]:
        """A model's metric on each draw, at its chosen rate."""
        return self.by_rate[model][self.rates[model]]

    def added(self, model: Model) -> float:
        """What twice the epochs add, on average."""
        return fmean(self.longer[model]) - fmean(self.metric(model))

    @property
    def lead(self) -> float:
        """Teacher minus anchor, on average."""
        return fmean(self.metric("teacher")) - fmean(self.metric("anchor"))

    @property
    def gains(self) -> list[float]:
        """Distilled student minus anchor, on each draw."""
        return [ours - theirs for ours, theirs in zip(self.metric("student"), self.metric("anchor"), strict=True)]

    def converged(self, search: Search) -> bool:
        """Whether both the teacher and the anchor have."""
        models: tuple[Model, ...] = ("teacher", "anchor")
        return all(model in self.longer and self.added(model) < search.converged for model in models)

    def passes(self, search: Search) -> bool:
        """Whether this is a ground on which the method shows."""
        if not self.converged(search) or self.lead < search.lead or "student" not in self.rates:
            return False
        return fmean(self.gains) >= search.gain and min(self.gains) > 0


def tune(outcome: Outcome, model: Model, search: Search, measured: Measured, task: str) -> Outcome:
    """Chooses the learning rate of the teacher, the anchor or the student: the best on average over the draws."""
    candidate = outcome.candidate
    grid = candidate.teacher_rates if model == "teacher" else candidate.student_rates
    # A student's teacher and anchor have theirs by then; those two are trained alone.
    others = outcome.rates if model == "student" else {}
    tried = {rate: candidate.trials(model, {**others, model: rate}, search, task) for rate in grid}
    measured.require(*tried.values())
    found = {rate: measured.of(trials) for rate, trials in tried.items()}
    best = max(found, key=lambda rate: fmean(found[rate]))
    return replace(outcome, rates=outcome.rates | {model: best}, by_rate=outcome.by_rate | {model: found})


def prolong(outcome: Outcome, model: Model, search: Search, measured: Measured, task: str) -> Outcome:
    """Trains the teacher or the anchor for twice the epochs."""
    candidate = outcome.candidate
    longer = replace(candidate, teacher_epochs=2 * candidate.teacher_epochs, stage_epochs=2 * candidate.stage_epochs)
    found = measured.of(longer.trials(model, {model: outcome.rates[model]}, search, task))
    return replace(outcome, longer=outcome.longer | {model: found})


def examine(candidate: Candidate, search: Search, measured: Measured, task: str, whole: bool = False) -> Outcome:
    """Tunes the anchor and then the teacher, and shows whether they have converged.

    Where the anchor has not, the teacher is left out, unless it is measured already or the `whole` is asked for.
    """
    outcome = Outcome(candidate, {}, {}, {})
    models: tuple[Model, ...] = ("anchor", "teacher")
    for model in models:
        try:
            outcome = tune(outcome, model, search, measured, task)
            outcome = prolong(outcome, model, search, measured, task)
        except Missing:
            if whole or all(outcome.added(each) < search.converged for each in outcome.longer):
                raise
            break
    return outcome


def rates_for(candidate: Candidate, search: Search, measured: Measured, task: str) -> Outcome:
    """Chooses the learning rates of all three on another task."""
    outcome = Outcome(candidate, {}, {}, {})
    models: tuple[Model, ...] = ("teacher", "anchor", "student")
    for model in models:
        outcome = tune(outcome, model, search, measured, task)
    return outcome


@dataclass(frozen=True)
class Choice:
    """What the rule says.

    Attributes:
        outcomes: What was found of each candidate that was looked at, in order.
        chosen: The one that is taken; None as long as that is not known.
        met: Whether it passed; else it is the converged one with the largest mean gain, and where none has converged,
            the one that came nearest to it.
    """

    outcomes: list[Outcome]
    chosen: Outcome | None
    met: bool


def choose(search: Search, measured: Measured, task: str = "ner") -> Choice:
    """Applies the rule.

    Raises:
        Missing: It needs trials that are not measured yet.
    """
    outcomes: list[Outcome] = []
    for candidate in search.looked_at:
        outcome = examine(candidate, search, measured, task)
        if outcome.converged(search) and outcome.lead >= search.lead:
            outcome = tune(outcome, "student", search, measured, task)
        outcomes.append(outcome)
        if outcome.passes(search):
            return Choice(outcomes, outcome, met=True)
    # None passes: those that have converged are compared, so all of them are distilled.
    outcomes = [tune(each, "student", search, measured, task) if each.converged(search) else each for each in outcomes]
    converged = [each for each in outcomes if each.converged(search)]
    if converged:
        return Choice(outcomes, max(converged, key=lambda each: fmean(each.gains)), met=False)
    nearest = min(outcomes, key=lambda each: max(each.added(model) for model in each.longer))
    chosen = examine(nearest.candidate, search, measured, task, whole=True)
    chosen = tune(chosen, "student", search, measured, task)
    return Choice([chosen if each is nearest else each for each in outcomes], chosen, met=False)


def choose_so_far(search: Search, measured: Measured, task: str = "ner") -> Choice:
    """Applies the rule as far as measurements go."""
    try:
        return choose(search, measured, task)
    except Missing:
        outcomes = []
        for candidate in search.looked_at:
            try:
                outcomes.append(examine(candidate, search, measured, task))
            except Missing:
                break
        return Choice(outcomes, None, met=False)
