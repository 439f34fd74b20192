"""At each stage's beginning: asks the policy which checkpoint teaches, and has the teacher source load it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lightning import Callback, LightningModule, Trainer
from typing_extensions import override

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.launch import preemption
from scd_lightning.lm_head import Unprojected
from scd_lightning.progress import say
from scd_lightning.schedules.policies import Policy, Scores, remark
from scd_lightning.schedules.policy_contract import checked_index
from scd_lightning.schedules.scoring import kl_to_checkpoints, reference
from scd_lightning.schedules.stalls import stall_sentence, stalls
from scd_lightning.teachers.source import TeacherCounts, TeacherSource
from scd_lightning.training.fine_tuning import FineTuning


@dataclass(frozen=True)
class StageChoice:
    """What was chosen for a stage, and by which scores.

    Attributes:
        stage: From 0.
        epochs: First and last epoch of the stage.
        checkpoint: Index of the chosen checkpoint.
        best_kl: [N], KL(best || checkpoint) in nats, or None where the policy needs none.
        student_kl: [N], KL(student || checkpoint), likewise.
    """

    stage: int
    epochs: tuple[int, int]
    checkpoint: int
    best_kl: list[float] | None
    student_kl: list[float] | None


class TeacherScheduler(Callback):
    """Drives a teacher source, live or cached alike, through the stages of a distillation.

    Args:
        policy: Chooses; pure.
        source: Answers for the training samples; told what to load.
        best: Index of the trajectory's best checkpoint.
        stage_epochs: Epochs of a stage, T.
        probe_source: Answers for the probe set; needed where the policy needs scores.
        probe_batches: Makes this process's batches of the probe set.

    Attributes:
        choices: One for each stage so far.
    """

    def __init__(
        self,
        policy: Policy,
        source: TeacherSource,
        best: int,
        stage_epochs: int,
        probe_source: TeacherSource,
        probe_batches: Callable[[], list[Batch]],
    ) -> None:
        self.policy, self.source, self.best, self.stage_epochs = policy, source, best, stage_epochs
        self.probe_source, self.make_probe_batches = probe_source, probe_batches
        self.choices: list[StageChoice] = []
        self._batches: list[Batch] | None = None
        self._best_kl: list[float] | None = None
        self._loaded: int | None = None

    @property
    @override
    def state_key(self) -> str:
        return "scd_lightning.TeacherScheduler"

    @override
    def state_dict(self) -> dict[str, Any]:
        choices = [asdict(choice) for choice in self.choices]
        # The state is one for all processes: so is what they have done, each on samples of its own.
        counts = asdict(self.source.counts) | {"forward_samples": self.source.counts.forwarded_by_all()}
        return {"choices": choices, "best_kl": self._best_kl, "counts": counts}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.choices = [StageChoice(**choice) for choice in state_dict["choices"]]
        self._best_kl = state_dict["best_kl"]
        counts = TeacherCounts(**state_dict["counts"])
        if distributed.rank() > 0:
            counts.forward_samples = 0
        self.source.counts.add(counts)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Loads where a training goes on within a stage."""
        stage = trainer.current_epoch // self.stage_epochs
        if stage < len(self.choices):
            self._load(self.choices[stage])

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        stage = trainer.current_epoch // self.stage_epochs
        if stage == self._loaded:
            return
        assert isinstance(pl_module, FineTuning)
        if stage < len(self.choices):
            self._load(self.choices[stage])
            return
        if stage == 0 and (said := remark(self.policy, self.best, self.source.num_checkpoints)):
            say(f"  {said}")
        choice = self._choose(stage, trainer, pl_module)
        self._load(choice)
        # Not before: a state that is saved meanwhile goes on from before the choice.
        self.choices.append(choice)
        self._say_stall()

    def _load(self, choice: StageChoice) -> None:
        preemption.safe_point()
        # All processes have the same scores, but one decides: equal is not the same as agreed.
        checkpoint = distributed.from_first_rank(choice.checkpoint)
        self.source.load(checkpoint)
        self._loaded = choice.stage
        # What only choosing and loading needed would take up memory for the whole stage.
        self.source.release()
        self.probe_source.release()
        say(f"  stage {choice.stage}: taught by checkpoint {checkpoint} of 0 to {self.source.num_checkpoints - 1}")

    def _say_stall(self) -> None:
        """Says so in the first stage that stalls. Those after it would say the same; the report names them all."""
        found = stalls([asdict(choice) for choice in self.choices])
        if len(found) == 1 and found[0].stage == self.choices[-1].stage:
            say(f"  {stall_sentence(found)}")

    def _choose(self, stage: int, trainer: Trainer, module: FineTuning) -> StageChoice:
        student_kl = self._student_kl(trainer, module) if self.policy.needs_scores else None
        scores = Scores(self.best, self.source.num_checkpoints, self._best_kl, student_kl)
        returned = self.policy.select(stage, scores, [choice.checkpoint for choice in self.choices])
        chosen = checked_index(self.policy, returned, stage, scores.num_checkpoints)
        epochs = (stage * self.stage_epochs, (stage + 1) * self.stage_epochs - 1)
        return StageChoice(stage, epochs, distributed.from_first_rank(chosen), self._best_kl, student_kl)

    def _student_kl(self, trainer: Trainer, module: FineTuning) -> list[float]:
        """KL(student || checkpoint_i), and with the first call KL(best || checkpoint_i), which never changes."""
        context = trainer.precision_plugin.forward_context
        if self._batches is None:
            self._batches = [trainer.strategy.batch_to_device(batch) for batch in self.make_probe_batches()]
        with context():
            references = [_student_reference(module, self._batches)]
        if self._best_kl is None:
            self.probe_source.load(self.best)
            references.append(reference(self.probe_source.hidden, self.probe_source.head, self._batches))
        with context():
            scores = kl_to_checkpoints(references, self.probe_source, self._batches)
        if self._best_kl is None:
            self._best_kl = scores[1]
        return scores[0]


def _student_reference(module: FineTuning, batches: list[Batch]) -> list[Unprojected]:
    """The student as it is now, in eval mode for as long as it is probed."""
    was_training = module.lm.training
    module.lm.eval()
    try:
        return reference(module.lm.hidden, module.lm.head, batches)
    finally:
        module.lm.train(was_training)
