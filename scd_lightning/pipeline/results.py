"""What each phase finds: its artifact keeps it, and later phases, reports and loggers read it by these names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# JSON objects, as reports write them on.
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TeacherResult:
    """What a trajectory is worth.

    Attributes:
        best: Index of the best checkpoint.
        trajectory: "index", "step" and "metrics" of each.
        curve: One point an epoch; empty where the checkpoints were brought along.
        imported: "step" and "kind" of each that was brought along; else None.
    """

    best: int
    trajectory: Records
    curve: Records = ()
    imported: Records | None = None


@dataclass(frozen=True)
class HealedResult:
    """What a thinned model has come to by healing.

    Attributes:
        layers: How many it has.
        of: How many the whole model has.
        divergence: Forward KL of it to the whole model on all tokens of the validation texts, mean over the texts of
            the mean over each one's tokens, in nats.
        thinned: The same before it was healed, freshly thinned.
        curve: One point an epoch, the same on the training texts as its train_loss.
    """

    layers: int
    of: int
    divergence: float
    thinned: float
    curve: Records = ()


@dataclass(frozen=True)
class StudentResult:
    """What the anchor or the distilled student has reached with its best weights.

    Attributes:
        validation_metric: On the whole validation split.
        validation_loss: Likewise, in nats.
        best_epoch: Counted from 0; None where the model was brought along.
        curve: One point an epoch.
        schedule: One record a stage of a distillation, whose "weights" are those of its last epoch, counted in 20 equal
            bins of [0, 1].
        imported: "step" and "kind" of an anchor that was brought along; else None.
    """

    validation_metric: float
    validation_loss: float
    best_epoch: int | None = None
    curve: Records = ()
    schedule: Records = ()
    imported: Records | None = None


@dataclass(frozen=True)
class AnswersResult:
    """What the teacher made of the texts without labels.

    Attributes:
        answered: How many there are.
        malformed: How many of its answers can't be read.
    """

    answered: int
    malformed: int


@dataclass(frozen=True)
class EvaluationResult:
    """What a model's answers are worth.

    Attributes:
        metrics: Metric -> value, to the precision of float32.
        parameters: Of the model.
    """

    metrics: Mapping[str, float]
    parameters: int


@dataclass(frozen=True)
class ConfidenceResult:
    """How sure the student was of its answers to the validation split.

    Attributes:
        units: How many answers, or entities of answers, there are.
        probability: Its own of them, on average; None where there are none.
        right: The share of them that is right.
    """

    units: int
    probability: float | None
    right: float | None
