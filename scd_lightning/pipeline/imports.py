"""Existing models in place of trainings: found and checked before anything runs, then read into our own stores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scd_lightning import distributed
from scd_lightning.errors import ConfigError, ModelError, ScdError
from scd_lightning.existing import agreement
from scd_lightning.existing.adapters import read_adapter
from scd_lightning.existing.receiver import Receiver
from scd_lightning.existing.saved import SavedModel, find, in_order, recognise
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.loading import build_empty, resolve_dtype
from scd_lightning.models.spec import ModelSpec, StudentSpec, TeacherSpec
from scd_lightning.models.tokenizers import vocabulary_size
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.results import StudentResult
from scd_lightning.pipeline.student_sft import keep_train_losses
from scd_lightning.pipeline.student_training import WEIGHTS
from scd_lightning.pipeline.teacher_sft import TRAJECTORY, trajectory_result, validate_trajectory
from scd_lightning.progress import say, track
from scd_lightning.store.artifacts import Artifact, Outcome
from scd_lightning.store.checkpoints import CheckpointStore, required_bytes
from scd_lightning.store.disk import check_free_space
from scd_lightning.training.costs import Meter
from scd_lightning.training.fine_tuning import FineTuning

ANCHOR = "anchor.path"
TEACHER = "teacher.trajectory"


@dataclass(frozen=True)
class Imports:
    """A job's existing models.

    Attributes:
        teacher: The teacher, with the adapters that its checkpoints have.
        trajectory: Its checkpoints, in order of their steps.
        anchor: The anchor.
    """

    teacher: TeacherSpec
    trajectory: Sequence[SavedModel] = ()
    anchor: SavedModel | None = None


def find_imports(job: Job) -> Imports:
    """Finds a job's existing models.

    Raises:
        ScdError: Nothing is there, it can't be read, the checkpoints have no order, or their adapters do not fit.
    """
    found = Imports(job.teacher)
    if job.teacher.trajectory is not None:
        revisions = {job.teacher.path: job.teacher.revision}
        saved = find(job.teacher.trajectory, TEACHER, revisions=revisions, allow_pickle=job.teacher.allow_pickle)
        trajectory = in_order(saved, TEACHER)
        _check_one_kind(trajectory)
        _check_quantization(trajectory[0], job.teacher)
        lora = agreement.adapters_of(trajectory, job.teacher.lora, "teacher")
        found = Imports(replace(job.teacher, lora=lora), trajectory)
    if job.anchor.path is not None:
        path = Path(job.anchor.path).expanduser()
        anchor = recognise(path, ANCHOR, allow_pickle=job.student.allow_pickle)
        _check_anchor_adapters(anchor, job.student)
        found = replace(found, anchor=anchor)
    return found


def _check_one_kind(models: Sequence[SavedModel]) -> None:
    for model in models:
        if model.kind != models[0].kind:
            raise ConfigError(
                "The checkpoints are of different kinds",
                where=TEACHER,
                got=f"{models[0].path} ({models[0].kind}) and {model.path} ({model.kind})",
                remedy="take those of one training",
            )


def _check_quantization(saved: SavedModel, spec: TeacherSpec) -> None:
    if spec.quantization is not None and saved.kind != "peft":
        raise ConfigError(
            "The checkpoints have weights that a quantized teacher can't take in",
            where="teacher.quantization",
            got=spec.quantization,
            expected="null, or checkpoints that are peft folders",
        )


def _check_anchor_adapters(saved: SavedModel, spec: StudentSpec) -> None:
    """Adapters are merged into a student without; a student with adapters needs an anchor with the same ones."""
    if not spec.lora.r:
        if saved.kind != "peft":
            agreement.adapters_of([saved], spec.lora, "student")
    elif saved.kind == "peft":
        agreement.check_lora(read_adapter(saved.path).lora, spec.lora, "student")
    elif not agreement.has_adapters(saved):
        raise ConfigError(
            "The student is trained by adapters, and the existing anchor has all of its weights changed",
            where=ANCHOR,
            got=f"student.lora.r={spec.lora.r}",
            expected="student.lora.r=0, or an anchor that is a peft folder",
        )


def check_imports(job: PreparedJob) -> None:
    """Holds the files' names and shapes, configurations and tokenizers against the models, without loading weights.

    Raises:
        ModelError: Something differs; the message says what.
    """
    for models, spec, name in _imported(job):
        _check(job, models, spec, name)


def check_imported_numbers(job: PreparedJob) -> None:
    """Reads the files' weights, a tensor at a time.

    Raises:
        ModelError: One is not a finite number.
    """
    for models, spec, name in _imported(job):
        receiver = _receiver(job, models, spec, name)
        for model in models:
            receiver.check_finite(model)


def _imported(job: PreparedJob) -> Iterator[tuple[Sequence[SavedModel], ModelSpec, str]]:
    """Saved models of one kind, the model that they are read into, and what messages call it."""
    if job.trajectory:
        yield job.trajectory, job.teacher, "teacher"
    if job.existing_anchor is not None:
        yield [job.existing_anchor], _receiving(job.student, job.existing_anchor), "student"


def _receiver(job: PreparedJob, models: Sequence[SavedModel], spec: ModelSpec, name: str) -> Receiver:
    """What saved models are held against: without memory for weights."""
    empty, rows = build_empty(spec, job.tokenizer), vocabulary_size(job.tokenizer)
    return Receiver(empty, models[0].kind, rows, name, trimmed=job.teacher.trim_vocabulary)


def _check(job: PreparedJob, models: Sequence[SavedModel], spec: ModelSpec, name: str) -> None:
    agreement.check_tokenizers(models, job.tokenizer, name)
    receiver = _receiver(job, models, spec, name)
    for model in models:
        receiver.match(model)
        if model.kind == "transformers":
            agreement.check_config(model, receiver.config, name, trust_remote_code=spec.trust_remote_code)
    if distributed.rank() == 0:
        _tell_of_another_base(models, spec)


def _tell_of_another_base(models: Sequence[SavedModel], spec: ModelSpec) -> None:
    """Weights of the same shapes can't be told apart, and one model has many names: it can only be said."""
    bases = {read_adapter(model.path).base for model in models if model.kind == "peft"}
    for base in sorted(filter(None, bases)):
        if spec.path is not None and Path(base).name != Path(spec.path).name:
            say(f"These adapters were trained on {base}; here they are put on {spec.name}")


def _receiving(spec: StudentSpec, saved: SavedModel) -> StudentSpec:
    """The student as the anchor's files fit it: with their adapters, where these are to be merged."""
    if saved.kind != "peft" or spec.lora.r:
        return spec
    # Adapters would turn an automatic dtype into the one of frozen weights.
    dtype = str(resolve_dtype(spec)).removeprefix("torch.")
    return replace(spec, lora=read_adapter(saved.path).lora, dtype=dtype)


def import_trajectory(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Keeps the teacher's existing checkpoints as `teacher_sft` does those that it makes, and validates each.

    Args:
        job: The run, with a trajectory.
        folder: Where it goes.
        made: No artifact is needed.

    Returns:
        A `TeacherResult`, its curve empty, and the costs.
    """
    # Process 0 reads alone, and so a whole model.
    meter, model = Meter(), job.build(job.teacher, whole=True)
    store, keep_frozen = CheckpointStore(folder / TRAJECTORY), not job.teacher.lora.r
    needed = required_bytes(model, len(job.trajectory), keep_frozen=keep_frozen) - store.bytes
    check_free_space(job.store.root, needed)

    def read() -> None:
        receiver = Receiver(model.model, job.trajectory[0].kind, model.vocab_size, "teacher")
        for saved in track(job.trajectory, "reading the trajectory", len(job.trajectory)):
            receiver.load(saved)
            assert saved.step is not None
            store.save(model, saved.step, {}, keep_frozen=keep_frozen)

    _on_first_rank(read)
    model = job.trainer.shard(model)
    validate_trajectory(job, _module(job, model, job.teacher), store, folder)
    result = trajectory_result(store, imported=[_origin(saved) for saved in job.trajectory])
    return Outcome(result, meter.read())


def import_anchor(job: PreparedJob, folder: Path, made: Mapping[str, Artifact]) -> Outcome:
    """Keeps an existing tuned student as the anchor, with its per-sample losses on the training split.

    Args:
        job: The run, with an existing anchor.
        folder: Where it goes.
        made: No artifact is needed.

    Returns:
        A `StudentResult`, without best epoch and curve, and the costs.
    """
    meter, saved = Meter(), job.existing_anchor
    assert saved is not None
    store = CheckpointStore(folder / WEIGHTS)
    keep_frozen = not job.student.lora.r
    _on_first_rank(lambda: store.save(_read_student(job, saved), saved.step or 0, {}, keep_frozen=keep_frozen))
    model = job.build(job.student)
    store.load_into(model, 0)
    trainer, module = job.trainer(), _module(job, model, job.student)
    trainer.validate(module, datamodule=job.data_module(), verbose=False)
    keep_train_losses(job, model, folder, meter)
    metric, loss = (float(trainer.callback_metrics[f"validation_{name}"]) for name in ("metric", "loss"))
    return Outcome(StudentResult(metric, loss, imported=[_origin(saved)]), meter.read())


def _on_first_rank(work: Callable[[], object]) -> None:
    """Has process 0 do something that the others wait for; what it refuses, all refuse, with the same reason."""
    refusal = None
    if distributed.rank() == 0:
        try:
            work()
        except ScdError as error:
            refusal = error
    message = distributed.from_first_rank(None if refusal is None else str(refusal))
    if message is not None:
        raise refusal or ModelError(message.rstrip("."))


def _read_student(job: PreparedJob, saved: SavedModel) -> CausalLM:
    spec = _receiving(job.student, saved)
    model = job.build(spec, whole=True)
    Receiver(model.model, saved.kind, model.vocab_size, "student").load(saved)
    if spec is job.student:
        return model
    merged: Any = model.model
    return CausalLM(merged.merge_and_unload().requires_grad_(True), model.vocab_size)


def _module(job: PreparedJob, model: CausalLM, spec: ModelSpec) -> FineTuning:
    """What validates a model; nothing is trained, so that the steps of a stage play no part."""
    return FineTuning(model, spec, job.data, job.tokenizer, job.objective, stage_steps=1)


def _origin(saved: SavedModel) -> dict[str, Any]:
    """What results may tell of a saved model: not where it was."""
    return {"step": saved.step, "kind": saved.kind}
