"""Jobs as run.py would make them, on a workload's random token ids instead of a task's texts."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from benchmarks import workload
from benchmarks.tokens import token_data
from scd_lightning.config.build import GROUPS
from scd_lightning.config.settings import Budget, Evaluation, ResumeSettings
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.losses.weighting import AdaptiveWeight, ConstantWeight
from scd_lightning.models.spec import AnchorSpec, StudentSpec, TeacherSpec
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.method import Method
from scd_lightning.pipeline.student_training import TRAIN_LOSSES
from scd_lightning.pipeline.teacher_sft import TRAJECTORY, VALIDATION_LOSSES
from scd_lightning.run_folder.folder import RunFolder
from scd_lightning.schedules.policies import FixedOrder, ScheduledCheckpoint, SingleBest
from scd_lightning.store.artifacts import Artifact, ArtifactKey, ArtifactStore
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.training.trainer import TrainerFactory

VALIDATION_SAMPLES = 8
# Samples of a batch that nothing is trained on, as run.py has it where nothing else is asked for.
EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Plan:
    """A distillation to be measured.

    Attributes:
        folder: What `workload.make` wrote, with the artifacts of `prepare`.
        method: "td", "cd" or "scd_aw", as in conf/method.
        teacher: "cached" or "live".
        stages: Stages.
        stage_epochs: Epochs of a stage, T.
        probe: Samples of the probe set.
        checkpoints: Length N of the trajectory.
        device: "cpu" or "cuda".
    """

    folder: str
    method: str
    teacher: Literal["cached", "live"]
    stages: int = 4
    stage_epochs: int = 2
    probe: int = 16
    checkpoints: int = 4
    device: str = "cpu"


def trainer_factory(case: workload.Case, device: str) -> TrainerFactory:
    """Makes trainers with the precision of a workload.

    Args:
        case: The workload.
        device: "cpu" or "cuda".
    """
    return TrainerFactory(
        accelerator="gpu" if device == "cuda" else "cpu",
        precision="bf16-mixed" if case.dtype == "bfloat16" else "32-true",
        gradient_clip_val=workload.CLIP,
    )


def make_job(plan: Plan, store: Path) -> PreparedJob:
    """The job, prepared.

    Args:
        plan: What it is.
        store: Where its signals go.
    """
    case, ids = workload.read(Path(plan.folder))
    specs = {role: str(Path(plan.folder) / role) for role in ("teacher", "student")}
    optimizer = partial(torch.optim.AdamW, **workload.OPTIMIZER)
    data = token_data(ids.tolist(), case.prompt, VALIDATION_SAMPLES, EVALUATION_BATCH)
    return PreparedJob(
        task=data.task,
        data=data,
        teacher=TeacherSpec("teacher", optimizer, path=specs["teacher"], dtype=case.dtype),
        student=StudentSpec("student", optimizer, path=specs["student"]),
        anchor=AnchorSpec(),
        method=_method(plan),
        objective=Objective(forward_kl),
        budget=Budget(plan.stages, plan.stage_epochs, global_batch=case.batch, probe_samples=plan.probe),
        evaluation=Evaluation(),
        trainer=trainer_factory(case, plan.device),
        loggers=(),
        callbacks=(),
        resume=ResumeSettings(),
        seed=0,
        phases=("distill",),
        store=ArtifactStore(store, "benchmark"),
        run_dir=store,
        folder=RunFolder(store),
        settings={part: {} for part in GROUPS} | {"allowed_targets": []},
        tokenizer=workload.tokenizer(case.vocab_size),
        tokenizer_identity=case.name,
        tokenizer_digest=case.name,
    )


def _method(plan: Plan) -> Method:
    if plan.method == "td":
        return Method("td", SingleBest(), ConstantWeight(0.5), plan.teacher)
    if plan.method == "cd":
        return Method("cd", FixedOrder(plan.stages), ConstantWeight(0.5), plan.teacher)
    return Method("scd_aw", ScheduledCheckpoint(), AdaptiveWeight(), plan.teacher)


def prepare(plan: Plan) -> None:
    """Writes the artifacts that a distillation starts from: the teacher's trajectory and the anchor's losses.

    The last checkpoint is the teacher itself, those before it are a little off.
    """
    folder = Path(plan.folder)
    job = make_job(plan, folder / "store")
    model = job.build(job.teacher)
    store = CheckpointStore(_trajectory(plan) / TRAJECTORY)
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    generator = torch.Generator().manual_seed(0)
    for index in range(plan.checkpoints):
        share = 0.3 * (plan.checkpoints - 1 - index) / plan.checkpoints
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                noise = torch.randn(weight.shape, generator=generator).mul_(float(weight.float().std()) * share)
                parameter.copy_(weight + noise)
        store.save(model, step=index + 1, metrics={})
    rng = np.random.default_rng(2)
    np.save(_trajectory(plan) / VALIDATION_LOSSES, rng.uniform(8, 12, (plan.checkpoints, VALIDATION_SAMPLES)))
    _anchor(plan).mkdir(exist_ok=True)
    losses = rng.uniform(8, 12, len(job.data.samples["train"])).astype(np.float32)
    np.save(_anchor(plan) / TRAIN_LOSSES, losses)


def artifacts(plan: Plan) -> tuple[Artifact, Artifact]:
    """The trajectory and the anchor that `prepare` wrote; the trajectory's last checkpoint is its best."""
    best = {"best": plan.checkpoints - 1}
    return (
        Artifact(ArtifactKey("teacher", {}), _trajectory(plan), best, {}, reused=True),
        Artifact(ArtifactKey("anchor", {}), _anchor(plan), {}, {}, reused=True),
    )


def _trajectory(plan: Plan) -> Path:
    return Path(plan.folder) / f"trajectory-{plan.checkpoints}"


def _anchor(plan: Plan) -> Path:
    return Path(plan.folder) / "anchor"
