"""Phase: the thinned student learns from the whole model that it was made of, before it learns any task."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning import seed_everything
from transformers import PreTrainedTokenizerFast

from scd_lightning import distributed
from scd_lightning.errors import ConfigError
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.loading import build_empty
from scd_lightning.models.spec import StudentSpec
from scd_lightning.models.thinning import halvings, thin
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.results import HealedResult
from scd_lightning.pipeline.student_training import WEIGHTS
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.sharded import gathered
from scd_lightning.training.callbacks.phase_progress import PhaseProgress
from scd_lightning.training.callbacks.stage_log import StepLog
from scd_lightning.training.costs import Meter, passed_weights, training_volume
from scd_lightning.training.data_module import DomainDataModule
from scd_lightning.training.ending import tell_of_end
from scd_lightning.training.healing import Healing, whole_texts
from scd_lightning.training.resume.resumption import Resumption

# The artifact of the last round, as jobs know it.
HEALED = "healed"


def healing_rounds(job: Job, tokenizer: PreTrainedTokenizerFast, *, own_anchor: bool) -> list[list[int]]:
    """The layers that are left in each round of a job's healing; none where nothing that it makes is healed.

    Args:
        job: The run.
        tokenizer: Its tokenizer.
        own_anchor: Whether its anchor is fine-tuned here.

    Raises:
        ConfigError: The student keeps all of its layers.
    """
    student = job.student
    starts = own_anchor or job.evaluation.base or job.method.trains_student and student.init == "base"
    if not student.heal_epochs or not starts:
        return []
    assert student.keep_layers is not None
    whole: Any = build_empty(_whole(student), tokenizer)
    rounds = halvings(student.keep_layers, whole.config.num_hidden_layers, student.role)
    if not rounds:
        raise ConfigError(
            "A model that keeps all of its layers has nothing to heal",
            where="student.heal_epochs",
            got=f"{student.heal_epochs} with student.keep_layers={student.keep_layers}",
            remedy="set student.heal_epochs=0, or keep fewer layers",
        )
    return rounds


def round_name(job: PreparedJob, number: int) -> str:
    """What a job calls the artifact of one round of its healing."""
    return HEALED if number == len(job.healing) - 1 else f"{HEALED}, round {number + 1}"


def heal(number: int, job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Takes layers out of the student's model, and distils what is left from the whole model; keeps the last weights.

    Args:
        number: The round, which goes on from the one before.
        job: The run.
        folder: Where the weights go.
        made: The round before, if there is one.

    Returns:
        A `HealedResult`, and the costs.
    """
    meter, spec = Meter(), job.student
    seed_everything(job.seed, workers=True, verbose=False)
    data = replace(job, data=whole_texts(job.data)).data_module(job.budget.batch)
    total = spec.heal_epochs * data.train_sampler().steps
    whole = job.build(_whole(spec)).to(job.trainer().strategy.root_device).eval().requires_grad_(False)
    model = _thinned(job, number, made)
    optimizer = spec.optimizer if spec.heal_lr is None else partial(spec.optimizer, lr=spec.heal_lr)
    module = Healing(
        whole.outputs,
        model=model,
        spec=replace(spec, optimizer=optimizer),
        data=data.data,
        tokenizer=job.tokenizer,
        stage_steps=total,
    )
    thinned = _divergence(job, module, data)
    resumption = Resumption(job.resume, job.versions, folder, meter, total)
    trainer = job.trainer(
        max_epochs=spec.heal_epochs,
        callbacks=[PhaseProgress("heal", total), StepLog(), *job.new_callbacks(), resumption.callback],
        loggers=job.new_loggers(log_name(len(job.healing[number]))),
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resumption.path, weights_only=True)
    tell_of_end("heal", trainer.global_step, total)
    module.check_finite()
    # Lightning leaves a module on the CPU, where parts of a model are not put together.
    weights = gathered(module.to(trainer.strategy.root_device).lm, keep_frozen=True)
    if distributed.rank() == 0:
        CheckpointStore(folder / WEIGHTS).save(weights, trainer.global_step, {})
    distributed.barrier()
    divergence = _divergence(job, module, data)
    layers, of = (each.base.config.num_hidden_layers for each in (model, whole))
    result = HealedResult(layers, of, divergence, thinned, module.curve)
    return Outcome(result, meter.read() | _volume(data, module, whole) | resumption.costs)


def log_name(layers: int) -> str:
    """What loggers call the training of one round."""
    return f"heal_{layers}"


def _whole(spec: StudentSpec) -> StudentSpec:
    """The model that a student is thinned from."""
    return replace(spec, keep_layers=None, heal_epochs=0, heal_lr=None)


def _thinned(job: PreparedJob, number: int, made: Mapping[str, Artifact]) -> CausalLM:
    """The model that a round begins with: of the round before, or of the whole one, without some layers."""
    spec, layers = _whole(job.student), list(job.healing[number])
    if number:
        spec = replace(spec, keep_layers=list(job.healing[number - 1]))
        layers = [job.healing[number - 1].index(i) for i in layers]
    model = job.build(spec, whole=True)
    if number:
        CheckpointStore(made[round_name(job, number - 1)].folder / WEIGHTS).load_into(model, 0)
    thin(model.base, layers, spec.role)
    return job.trainer.shard(model)


def _divergence(job: PreparedJob, module: Healing, data: DomainDataModule) -> float:
    """How far a model is from the whole one on the validation texts."""
    job.trainer().validate(module, datamodule=data, verbose=False)
    found = module.last_validation.pop("validation_loss")
    assert found is not None
    return found


def _volume(data: DomainDataModule, module: Healing, whole: CausalLM) -> dict[str, Any]:
    """What was trained on, and the work: 2 operations a weight and token, and 4 more backwards; attention apart."""
    volume = training_volume(data, module.curve)
    operations = 6 * passed_weights(module.lm) + 2 * passed_weights(whole)
    return volume | {"teacher_forward_samples": volume["samples"], "flops": operations * volume["tokens"]}
