"""Parts of a run that are settings and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scd_lightning.config.batch_size import BatchSize, batch_size
from scd_lightning.config.checks import require_at_least, require_one_of, require_positive, signal_number
from scd_lightning.errors import PREEMPTED, ConfigError

PHASES = ("teacher_sft", "heal", "student_sft", "answer", "distill", "evaluate", "report")


KEPT = ("all", "confident", "agreed")


def check_run(seed: object, phases: object) -> None:
    """Raises a ConfigError where a run can't have such a seed, or phases."""
    if isinstance(phases, str) or not isinstance(phases, Sequence) or not phases or not set(phases) <= set(PHASES):
        raise ConfigError(
            "The list of phases is empty or has unknown ones", where="phases", got=phases, expected=", ".join(PHASES)
        )
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ConfigError("The seed can't be used", where="seed", got=seed, expected="0 to 4294967295")


@dataclass(frozen=True)
class Budget:
    """How long every student trains, the anchor included.

    Attributes:
        stages: Number of stages.
        stage_epochs: Epochs of a stage, T; plays no part where there are samples.
        samples: Samples that a student sees in all instead, repetitions counted, in whole epochs of a stage: see `on`.
            None for a number of epochs.
        global_batch: Samples of an optimizer step, over all devices.
        batch_tokens: Its tokens instead, padding included: as many samples as fit. None for a number of samples.
        probe_samples: Training samples that a schedule scores checkpoints on.
        lr_scale: Factor on the student's own learning rate, the anchor's too: how fast to learn goes with how long.
        warn: Whether the run says where its trainings had not converged, the teacher's too; not where short ones are
            meant.
    """

    stages: int = 4
    stage_epochs: int = 2
    samples: int | None = None
    global_batch: int = 8
    batch_tokens: int | None = None
    probe_samples: int = 256
    lr_scale: float = 1.0
    warn: bool = True

    def __post_init__(self) -> None:
        counts = {name: value for name, value in vars(self).items() if name not in ("lr_scale", "warn")}
        require_at_least(1, **{f"budget.{name}": value for name, value in counts.items()})
        require_positive(**{"budget.lr_scale": self.lr_scale})

    def on(self, rows: int) -> "Budget":
        """The budget of a training on so many samples, as a number of epochs: what all of a training goes by.

        >>> [Budget(stages=4, samples=57_600).on(rows).epochs for rows in (600, 3_600, 90_000)]
        [96, 16, 4]
        """
        if self.samples is None:
            return self
        epoch = self.stages * rows
        # The nearest number of epochs, in whole numbers: a half goes up, and not to the even one.
        return replace(self, stage_epochs=max(1, (2 * self.samples + epoch) // (2 * epoch)), samples=None)

    @property
    def epochs(self) -> int:
        """Epochs in all, where they are what is asked for: those of samples take a training's rows."""
        assert self.samples is None
        return self.stages * self.stage_epochs

    @property
    def batch(self) -> BatchSize:
        """How much an optimizer step holds."""
        return batch_size(self.global_batch, self.batch_tokens)


@dataclass(frozen=True)
class Evaluation:
    """What the reported models answer.

    Attributes:
        split: "test", which is read once, when all is chosen; "validation" to choose settings by, in the task's own
            metric: then no model sees a test row.
        base: Whether pretrained models are evaluated as they come, too, untuned.
        confidence: Whether it is measured how far the student's own probabilities can be relied on, for which it
            answers the validation split too.
    """

    split: Literal["test", "validation"] = "test"
    base: bool = False
    confidence: bool = True

    def __post_init__(self) -> None:
        what = "Models can't be evaluated on this split"
        require_one_of(("test", "validation"), what=what, **{"evaluate.split": self.split})


class Unlabelled:
    """What becomes of texts without labels, once the teacher has answered them.

    Args:
        keep: Which of them the student learns from: "all" whose answers can be read; "confident", those with answers as
            probable as such that are right on validation in 90 of 100; "agreed", those that the last three checkpoints
            answer alike.
        weight: u: the loss of a text is (1 - u) CE(answer) + u D; adaptive weights are for rows with labels alone.
        **more: "from", a word of Python's own: whose distribution D is from, "stage" the stage's checkpoint's or "best"
            the best one's.

    Attributes:
        source: That.
    """

    def __init__(self, keep: str = "all", weight: float = 0.9, **more: str) -> None:
        self.keep, self.weight, self.source = keep, weight, more.pop("from", "stage")
        if more:
            raise ConfigError(
                "There is no such setting", where="unlabelled", got=", ".join(more), expected="keep, from, weight"
            )
        require_one_of(KEPT, **{"unlabelled.keep": keep})
        require_one_of(("stage", "best"), **{"unlabelled.from": self.source})
        if not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise ConfigError(
                "The weight of the distillation loss is out of range",
                where="unlabelled.weight",
                got=weight,
                expected="0 to 1",
            )


@dataclass(frozen=True)
class ResumeSettings:
    """When the state of a training is saved, and what a signal does.

    Attributes:
        every_minutes: Time between two saves; None for no saves by time. They come less often where a save takes long.
        every_steps: Optimizer steps between two saves, whatever they cost; None for no saves by steps.
        signals: Names of the signals at which a run saves and ends.
        exit_code: The code that it ends with then, which tells a cluster to start the same command again.
    """

    every_minutes: float | None = 10
    every_steps: int | None = None
    signals: Sequence[str] = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    exit_code: int = PREEMPTED

    def __post_init__(self) -> None:
        require_at_least(1, **{"resume.every_steps": self.every_steps})
        if self.every_minutes is not None and not 0 <= self.every_minutes < float("inf"):
            raise ConfigError(
                "Saves need some time between them",
                where="resume.every_minutes",
                got=self.every_minutes,
                expected="minutes from 0, or null for no saves by time",
            )
        for name in self.signals:
            signal_number(name)
        if type(self.exit_code) is not int or not 1 <= self.exit_code <= 255:
            raise ConfigError(
                "A run that is to go on can't end with this code",
                where="resume.exit_code",
                got=self.exit_code,
                expected="1 to 255: 0 would say that it is finished",
            )
