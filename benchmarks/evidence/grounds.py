"""What the runs of a block have in common: data, models and budgets, spelled out whatever the defaults are."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import yaml

from benchmarks.evidence.blocks import Run
from benchmarks.settings import ROOT
from scd_lightning.training.pretraining import read_record

# Method of a table -> what the command line says for it, beside its rates.
METHODS: dict[str, tuple[str, ...]] = {
    **{
        name: (f"method={name}",) for name in ("td", "cd", "scd", "td_aw", "cd_aw", "scd_aw", "scheduled_forward", "pl")
    },
    "td_from_anchor": ("method=td", "student.init=anchor"),
    "scd_aw_from_anchor": ("method=scd_aw", "student.init=anchor"),
}
_STUDENT = "student_small"


@dataclass(frozen=True)
class Sizes:
    """How much is drawn and trained: the demo's ground (docs/demo.md), or a tiny one to see that everything runs.

    Attributes:
        train: Training rows.
        validation: Validation rows of the shown draws.
        tuning: Validation rows of the draws on which settings are chosen.
        test: Test rows.
        teacher_epochs: Epochs of the teacher.
        checkpoints: Of its training.
        stages: Stages of a student.
        stage_epochs: Epochs of each.
        texts: Texts without labels: as many as the rates are chosen with, then the other numbers.
        probe: Samples on which a schedule scores checkpoints.
    """

    train: int = 600
    validation: int = 200
    tuning: int = 400
    test: int = 600
    teacher_epochs: int = 36
    checkpoints: int = 4
    stages: int = 4
    stage_epochs: int = 24
    texts: tuple[int, ...] = (3000, 1500, 6000)
    probe: int = 256

    @property
    def samples(self) -> int:
        """What a student sees in all."""
        return self.stages * self.stage_epochs * self.train

    @property
    def teacher_samples(self) -> int:
        """What the teacher sees in all."""
        return self.teacher_epochs * self.train

    @cached_property
    def total_stage_epochs(self) -> int:
        """Epochs of a stage of fine-tuning alone that take the operations of an anchor and a distillation together.

        A training takes three times the operations of a forward pass; those of two models are as their parameters are.
        Counted are the anchor's training, the student's, and a forward pass of the teacher for each checkpoint over
        all training rows: the signals that distillation reads. Rounded up.
        """
        models = read_record()["models"]
        signals = models["teacher"]["parameters"] / (3 * models[_STUDENT]["parameters"]) * self.checkpoints
        return math.ceil((2 * self.samples + signals * self.train) / (self.stages * self.train))


@dataclass(frozen=True)
class Ground:
    """Data, models and budgets of some runs.

    Attributes:
        overrides: All of it.
    """

    overrides: tuple[str, ...]

    def with_(self, *overrides: str) -> "Ground":
        """The ground with other settings; what is said of one thing last holds."""
        spelled = {each.partition("=")[0]: each for each in (*self.overrides, *overrides)}
        return Ground(tuple(spelled.values()))

    def fine_tuned(self, name: str, rate: float) -> Run:
        """A student fine-tuned alone, at a learning rate."""
        return Run(name, (*self.overrides, "method=sft", f"student.optimizer.lr={rate:g}"))

    def distilled(self, name: str, rate: float, anchor: float, method: str | None = None, *more: str) -> Run:
        """A distilled student.

        Args:
            name: What the run is called.
            rate: Its learning rate.
            anchor: The anchor's.
            method: Its method, one of `METHODS`; None for the run's name.
            *more: What else is set.
        """
        spelled = METHODS[method or name]
        rates = (f"student.optimizer.lr={anchor:g}", f"method.lr_scale={rate / anchor:.6g}")
        return Run(name, (*self.overrides, *spelled, *rates, *more))


def embedded(task: str, sizes: Sizes, tuning: bool) -> Ground:
    """The ground of the embedded data.

    Args:
        task: ner, qa or classification.
        sizes: Its sizes.
        tuning: Whether settings are chosen on it: it has more validation rows then.
    """
    data = {
        "train": sizes.train,
        "validation": sizes.tuning if tuning else sizes.validation,
        "test": sizes.test,
        "label_noise": 0.02,
    }
    return Ground(
        (
            f"task={task}",
            *(f"task.data.synthetic.{name}={value}" for name, value in data.items()),
            "teacher=embedded",
            f"teacher.epochs={sizes.teacher_epochs}",
            f"teacher.checkpoints={sizes.checkpoints}",
            "teacher.global_batch=16",
            f"teacher.optimizer.lr={teacher_rate(task):g}",
            "student=embedded",
            f"student.path=scd_lightning:models/embedded/{_STUDENT}",
            f"budget.stages={sizes.stages}",
            f"budget.stage_epochs={sizes.stage_epochs}",
            "budget.global_batch=8",
            f"budget.probe_samples={sizes.probe}",
        )
    )


@lru_cache
def teacher_rate(task: str) -> float:
    """The embedded teacher's learning rate, which was chosen with the demo's ground, on the tuning draws."""
    path = ROOT / "conf" / "tuned" / f"embedded_embedded_{task}.yaml"
    return float(yaml.safe_load(path.read_text(encoding="utf-8"))["teacher"]["optimizer"]["lr"])
