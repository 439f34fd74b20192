"""What each artifact's numbers depend on; the digest of these names it in the store.

Everything is known before anything is made, so that a parent process can plan a whole job. Paths, loggers, devices
and the number of processes are not part of any key.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scd_lightning.config.own_code import codes
from scd_lightning.config.targets import find_target
from scd_lightning.config.trainer_options import trainer_numbers, whole_precision
from scd_lightning.data.splits import SPLITS
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.existing.adapters import read_adapter
from scd_lightning.existing.saved import SavedModel
from scd_lightning.models.loading import brings_code, resolve_dtype, weights_identity
from scd_lightning.models.quantization import quantization_identity
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.job import NUMERIC_FORMAT, PreparedJob
from scd_lightning.pipeline.results import (
    AnswersResult,
    ConfidenceResult,
    EvaluationResult,
    HealedResult,
    StudentResult,
    TeacherResult,
)
from scd_lightning.store.artifacts import ArtifactKey
from scd_lightning.store.manifest import sha256_json
from scd_lightning.training.callbacks.watchers import only_watches

# Fields of a model's configuration that say where or how, not what.
_NOT_NUMBERS = {"_target_", "name", "path", "gguf", "revision", "trust_remote_code", "gradient_checkpointing", "dtype"}
_NOT_NUMBERS |= {"allow_pickle"}
# The tokenizer is in every key, and a cut model's weights are others.
_NOT_NUMBERS |= {"trim_vocabulary"}
# Whether trained or taken as it is, and from where on: each is said by the keys that it matters to.
_NOT_NUMBERS |= {"trajectory", "init", "heal_epochs", "heal_lr"}
# The batch is samples or tokens, not both: the key of a training says which.
_BATCH = {"global_batch", "batch_tokens"}
_NOT_NUMBERS |= _BATCH
# What a trainer is told of any pass of a model, and not of trainings alone.
_PASSES = ("deterministic", "benchmark", "inference_mode", "plugins")
# Fresh adapters add nothing to an untuned model.
_TRAINING = {"optimizer", "warmup", "checkpoints", "epochs", "lora"}


def _code(job: PreparedJob, part: str, values: Any = None) -> dict[str, Any]:
    """The code of all that a part of the configuration names, or some values of it.

    This package's own is left out: the format stands for it.
    """
    return codes(job.settings[part] if values is None else values, job.settings["allowed_targets"], part)


def _target(job: PreparedJob, part: str) -> dict[str, Any]:
    """The class that a part of the configuration is an object of, alone."""
    return {name: value for name, value in job.settings[part].items() if name == "_target_"}


def _code_of_trainer(job: PreparedJob) -> dict[str, Any]:
    """Lightning's strategies and profilers leave numbers alone, and its plugins have a field of their own."""
    return {name: code for name, code in _code(job, "trainer").items() if not name.startswith("lightning.")}


def _of_every_key(job: PreparedJob) -> dict[str, Any]:
    """Of a task's code, what reads its rows is left out: the rows are known."""
    task = _code(job, "task", _target(job, "task"))
    return {
        "format": NUMERIC_FORMAT,
        "versions": {name: job.versions[name] for name in ("torch", "transformers")},
        "tokenizer": job.tokenizer_digest,
        "precision": whole_precision(job.settings["trainer"]),
        "passes": {name: value for name, value in _trainer(job)["trainer"].items() if name in _PASSES},
        "code": _code_of_trainer(job) | task,
        "task": _told(job) if task else {},
    }


def _told(job: PreparedJob) -> Any:
    """All that somebody else's task is told: of settings that it forgets to name its data know nothing."""
    told = {name: value for name, value in job.settings["task"].items() if name not in ("data", "name")}
    return _anywhere(told, job.run_dir)


def _data(job: PreparedJob, *splits: str) -> dict[str, Any]:
    """The splits that an artifact is made of, as its models read them; of train, answers take their greatest length."""
    digests = {split: job.data.digests[split] for split in splits}
    return {"data": digests, "max_new_tokens": job.data.max_new_tokens}


def _model(job: PreparedJob, spec: ModelSpec, *, training: bool) -> dict[str, Any]:
    dropped = _NOT_NUMBERS | (set() if training else _TRAINING)
    values = {name: value for name, value in job.settings[spec.role].items() if name not in dropped}
    code = _code(job, spec.role, values | _target(job, spec.role))
    values |= {"weights": dict(weights_identity(spec)), "dtype": str(resolve_dtype(spec))}
    if brings_code(spec):
        values["trust_remote_code"] = spec.trust_remote_code
    return values | {"quantization": quantization_identity(spec), "code": code}


def _of_every_training(job: PreparedJob) -> dict[str, Any]:
    return {"seed": job.seed, "callbacks": _callbacks(job)} | _objective(job) | _data(job, "train", "validation")


def _callbacks(job: PreparedJob) -> list[Any]:
    """The user's own that may change a training, in their order."""
    allowed, changing = job.settings["allowed_targets"], []
    for name, values in job.settings["callbacks"].items():
        if values is None:
            continue
        arguments = {key: value for key, value in values.items() if not key.startswith("_")}
        kind = find_target(values["_target_"], allowed, f"callbacks.{name}")
        if not only_watches(kind, arguments):
            changing.append({"values": _anywhere(values, job.run_dir), "code": _code(job, "callbacks", values)})
    return changing


def _anywhere(values: Any, run_dir: Path) -> Any:
    """Values without the place of this run's folder, which each run has elsewhere."""
    if isinstance(values, dict):
        return {name: _anywhere(value, run_dir) for name, value in values.items()}
    if isinstance(values, list):
        return [_anywhere(value, run_dir) for value in values]
    return values.replace(str(run_dir), "paths.run") if isinstance(values, str) else values


def _objective(job: PreparedJob) -> dict[str, Any]:
    """What fine-tuning takes of the objective, too; of another class than this package's that may be all of it."""
    settings = job.settings["objective"]
    code = _code(job, "objective", _target(job, "objective"))
    return {"objective": {"of": settings, "code": code} if code else {"reduction": job.objective.reduction}}


def _trainer(job: PreparedJob) -> dict[str, Any]:
    """What Lightning's trainer is told that may change numbers, such as clipping, or when to validate."""
    return {"trainer": trainer_numbers(job.settings["trainer"])}


def gold_key(job: PreparedJob) -> ArtifactKey:
    """What gold answers score that a model gives exactly."""
    common = _of_every_key(job)
    fields = {name: common[name] for name in ("format", "versions", "tokenizer", "code", "task")}
    return ArtifactKey("gold", fields | _data(job, *SPLITS))


def teacher_key(job: PreparedJob) -> ArtifactKey:
    """The teacher's trajectory."""
    if job.trajectory:
        # Its checkpoints are validated here, and trained on nothing.
        fields = _imported(job, job.trajectory, job.teacher) | _data(job, "validation")
    else:
        fields = {"model": _model(job, job.teacher, training=True), "batch": str(job.teacher.batch)}
        fields |= _of_every_training(job) | _trainer(job) | _of_every_key(job)
    return ArtifactKey("teacher", fields, TeacherResult)


def _imported(job: PreparedJob, models: Sequence[SavedModel], spec: ModelSpec) -> dict[str, Any]:
    """Nothing of a training: its seed, optimizer and length are in the weights."""
    imported = [{"step": saved.step, "kind": saved.kind, "contents": saved.contents()} for saved in models]
    # Adapters' scale is in their configuration, and those of an anchor may be merged into a student without any.
    adapters = asdict(read_adapter(models[0].path).lora) if models[0].kind == "peft" else None
    model = _model(job, spec, training=False) | {"lora": asdict(spec.lora), "adapters": adapters}
    return {"imported": imported, "model": model} | _trainer(job) | _of_every_key(job)


def signals_identity(job: PreparedJob) -> str:
    """Digest of what a teacher's signals depend on besides checkpoint, samples and precision.

    Checkpoints of adapters leave out the weights below them, and none has the configuration: equal files may be
    imported into different models.
    """
    model = _model(job, job.teacher, training=False) | {"lora": asdict(job.teacher.lora)}
    common = _of_every_key(job)
    return sha256_json({"model": model, "format": common["format"], "versions": common["versions"]})


def _student_fields(job: PreparedJob, rows: int | None) -> dict[str, Any]:
    """What a training of a student depends on: on its epochs, however they were asked for.

    Args:
        job: The run.
        rows: Its training samples; None where their number is not known yet, of answers that are kept: what was asked
            for and the answers decide the epochs then.
    """
    known = job.budget if rows is None else job.budget.on(rows)
    dropped = _BATCH | {"probe_samples", "warn", "samples" if known.samples is None else "stage_epochs"}
    budget = {name: value for name, value in asdict(known).items() if name not in dropped}
    budget |= {"batch": str(job.budget.batch), "code": _code(job, "budget")}
    fields: dict[str, Any] = {"model": _model(job, job.student, training=True), "budget": budget}
    if job.healing:
        fields["healed"] = healed_key(job).digest
    return fields | _of_every_training(job) | _trainer(job) | _of_every_key(job)


def healed_key(job: PreparedJob, number: int = -1) -> ArtifactKey:
    """The thinned student, healed.

    Args:
        job: The run, of a student that is healed.
        number: The round of its healing; the last by default.
    """
    number %= len(job.healing)
    model, rate = _model(job, job.student, training=True), job.student.heal_lr
    model |= {"keep_layers": list(job.healing[number])}
    if rate is not None:
        model["optimizer"] = model["optimizer"] | {"lr": rate}
    fields: dict[str, Any] = {"model": model, "epochs": job.student.heal_epochs, "batch": str(job.budget.batch)}
    fields |= {"seed": job.seed, "callbacks": _callbacks(job)}
    fields["before"] = healed_key(job, number - 1).digest if number else None
    fields["texts"] = job.data.texts_digest if UNLABELLED in job.data.samples else None
    fields |= _data(job, "train", "validation") | _trainer(job) | _of_every_key(job)
    return ArtifactKey("healed", fields, HealedResult)


def anchor_key(job: PreparedJob) -> ArtifactKey:
    """The student fine-tuned alone."""
    if job.existing_anchor is not None:
        fields = _imported(job, [job.existing_anchor], job.student) | _data(job, "train", "validation")
    else:
        fields = _student_fields(job, len(job.data.samples["train"]))
    return ArtifactKey("anchor", fields, StudentResult)


def answers_key(job: PreparedJob) -> ArtifactKey:
    """The teacher's answers to the texts without labels."""
    fields = {"teacher": teacher_key(job).digest, "texts": job.data.texts_digest}
    fields |= {"agreed": job.unlabelled.keep == "agreed"} | _data(job, "validation") | _of_every_key(job)
    return ArtifactKey("answers", fields, AnswersResult)


def student_key(job: PreparedJob) -> ArtifactKey:
    """The distilled student; the anchor itself where the method does not distil."""
    if not job.method.trains_student:
        return anchor_key(job)
    fields = _student_fields(job, None if job.uses_texts else len(job.data.samples["train"]))
    fields |= _pseudo_labels(job) if job.method.pseudo_labels else _distillation(job)
    if job.student.init == "anchor":
        fields["init"] = anchor_key(job).digest
    return ArtifactKey("student", fields, StudentResult)


def _pseudo_labels(job: PreparedJob) -> dict[str, Any]:
    """Nothing that is about a teacher's distribution: its answers stand as labels."""
    return {"method": _method(job, "teacher", "signals_dtype"), "unlabelled": _texts(job, "weight", "source")}


def _distillation(job: PreparedJob) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": _method(job),
        "objective": job.settings["objective"] | {"code": _code(job, "objective")},
        "trajectory": teacher_key(job).digest,
        "anchor": anchor_key(job).digest if job.method.needs_anchor else None,
    }
    if job.uses_texts:
        fields["unlabelled"] = _texts(job)
    if job.method.policy is not None and job.method.policy.needs_scores:
        fields["probe_samples"] = job.budget.probe_samples
    return fields


def _method(job: PreparedJob, *dropped: str) -> dict[str, Any]:
    values = {name: value for name, value in job.settings["method"].items() if name not in ("name", *dropped)}
    return values | {"code": _code(job, "method")}


def _texts(job: PreparedJob, *dropped: str) -> dict[str, Any]:
    values = {name: value for name, value in vars(job.unlabelled).items() if name not in dropped}
    return values | {"answers": answers_key(job).digest, "code": _code(job, "unlabelled")}


def evaluation_key(job: PreparedJob, spec: ModelSpec, model: str) -> ArtifactKey:
    """A model's answers on the evaluated split.

    Args:
        job: The run.
        spec: The model's kind.
        model: Digest of the artifact that holds its weights, or "base" for a pretrained model untuned.
    """
    split = job.evaluation.split
    fields = _of_every_key(job) | _data(job, split) | {"weights": model, "split": split}
    fields["scored"] = job.data.description["settings"]
    fields["code of evaluate"] = _code(job, "evaluate")
    if model == "base":
        fields |= {"model": _model(job, spec, training=False)}
    elif spec is job.student and job.evaluation.confidence:
        fields["units"] = True
    return ArtifactKey("evaluation", fields, EvaluationResult)


def confidence_key(job: PreparedJob) -> ArtifactKey:
    """The student's answers on the validation split, and how sure it is of them."""
    fields = _of_every_key(job) | _data(job, "validation") | {"weights": student_key(job).digest}
    return ArtifactKey("confidence", fields, ConfidenceResult)
