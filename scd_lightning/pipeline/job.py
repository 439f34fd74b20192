"""Everything a run is made of, as typed objects; the phases take it from here, never from a configuration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from transformers import PreTrainedTokenizerFast

from scd_lightning.config.batch_size import BatchSize
from scd_lightning.config.settings import Budget, Evaluation, ResumeSettings, Unlabelled
from scd_lightning.errors import ConfigError
from scd_lightning.existing.saved import SavedModel
from scd_lightning.launch.consensus import Agreement
from scd_lightning.losses.objective import Objective
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.loading import build_model
from scd_lightning.models.spec import (
    AnchorSpec,
    ModelSpec,
    StudentSpec,
    TeacherSpec,
)
from scd_lightning.pipeline.method import Method
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.store.artifacts import ArtifactStore
from scd_lightning.tasks.task import Task
from scd_lightning.training.callbacks.first_step import FirstStep
from scd_lightning.training.callbacks.own_callbacks import told_where_it_fails
from scd_lightning.training.callbacks.watchers import held_to_it
from scd_lightning.training.data_module import Batching, DomainDataModule, EncodedData
from scd_lightning.training.trainer import TrainerFactory

# Raised by whoever changes the numbers that a phase computes from the same inputs: stored artifacts are then made anew.
NUMERIC_FORMAT = 8


@dataclass(kw_only=True)
class Job:
    """One run, as it was asked for.

    Attributes:
        task: The task, and where its data are.
        teacher: The teacher and its fine-tuning.
        student: The student.
        anchor: Whether an existing model is taken as the anchor.
        method: How it is distilled.
        objective: The distillation loss; its reduction holds for fine-tuning too.
        budget: How long students train.
        unlabelled: What becomes of texts without labels.
        evaluation: What the reported models answer.
        trainer: Makes Lightning trainers.
        loggers: Makes loggers; each takes a `name`.
        callbacks: The user's own callbacks, added to every training; makers, since a callback belongs to one fit.
        resume: When trainings save their state.
        seed: Seed of weights, order and probe set.
        phases: Which phases to run.
        store: Where artifacts are.
        run_dir: This run's folder.
        folder: The same, as far as it is this run's.
        settings: The resolved sub-configurations as plain values, for digests and for config.yaml.
        command: The command line that runs this job alone.
        rank_command: What each of its processes is to run, where there are several.
        swept: Whether it is one of a sweep's jobs.
        agreement: What all of its processes have to see alike.
    """

    task: Task
    teacher: TeacherSpec
    student: StudentSpec
    anchor: AnchorSpec
    method: Method
    objective: Objective
    budget: Budget
    unlabelled: Unlabelled = field(default_factory=Unlabelled)
    evaluation: Evaluation
    trainer: TrainerFactory
    loggers: Sequence[Callable[..., Logger]]
    callbacks: Sequence[Callable[..., Any]]
    resume: ResumeSettings
    seed: int
    phases: Sequence[str]
    store: ArtifactStore
    run_dir: Path
    folder: RunFolder
    settings: Mapping[str, Any]
    command: str = ""
    rank_command: Sequence[str] = ()
    swept: bool = False
    agreement: Agreement = field(default_factory=Agreement)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions that numbers depend on."""
        names = ("torch", "transformers", "lightning", "peft", "tokenizers")
        return {name: version(name) for name in names} | {"scd_lightning": version("scd-lightning")}

    def new_loggers(self, phase: str) -> list[Logger]:
        """Loggers of one phase.

        Raises:
            ConfigError: One can't be made, as where its package is not installed.
        """
        try:
            return [make(name=phase) for make in self.loggers]
        except (ImportError, RuntimeError, TypeError, ValueError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ConfigError(f"A logger can't be made ({first})", where="logger") from error

    def new_callbacks(self) -> list[Any]:
        """The user's own callbacks for one fit, and one by which the run keeps its folder from then on."""
        return [*(told_where_it_fails(held_to_it(make())) for make in self.callbacks), FirstStep(self.folder.keep)]


@dataclass(kw_only=True)
class PreparedJob(Job):
    """One run whose input has been looked at: its data are encoded, its models within reach.

    Attributes:
        data: The task's samples as token ids.
        tokenizer: The one of teacher and student.
        tokenizer_identity: Digest of what makes two tokenizers the same, and of its chat template.
        tokenizer_digest: Digest of all that texts become tokens by, and tokens texts.
        trajectory: The teacher's existing checkpoints in order of their steps; empty where it is fine-tuned here.
        existing_anchor: The existing anchor; None where it is fine-tuned here.
        healing: For each round of healing the layers of the student's whole model that are left in it; empty where the
            student is not healed.
        parameters: "teacher" and "student" -> how many weights the model has, adapters left out.
    """

    data: EncodedData
    tokenizer: PreTrainedTokenizerFast
    tokenizer_identity: str
    tokenizer_digest: str
    trajectory: Sequence[SavedModel] = ()
    existing_anchor: SavedModel | None = None
    healing: Sequence[Sequence[int]] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def uses_texts(self) -> bool:
        """Whether there are texts without labels, and a student to learn from them."""
        return self.data.unlabelled is not None and self.method.trains_student

    def data_module(self, size: BatchSize | None = None) -> DomainDataModule:
        """What a trainer goes through.

        Args:
            size: How much an optimizer step holds; None where nothing is trained.
        """
        batching = None if size is None else Batching(size, self.trainer.micro_batches, self.seed)
        return DomainDataModule(self.data, batching)

    def build(self, spec: ModelSpec, *, whole: bool = False) -> CausalLM:
        """A model with its starting weights, in the precision of this job.

        Args:
            spec: The model.
            whole: Not cut over the processes, whatever the trainer: for work that a process does alone.
        """
        model = self.trainer.convert(build_model(spec, self.tokenizer, self.seed))
        return model if whole else self.trainer.shard(model)
