"""Running out of memory: told as the overrides that would help at that place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scd_lightning.data.loaders import plan_lengths
from scd_lightning.errors import OutOfMemory
from scd_lightning.models.loading import resolve_dtype
from scd_lightning.models.spec import ModelSpec
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.training.memory_signs import is_about_memory


@contextmanager
def explained(job: PreparedJob, phase: str, spec: ModelSpec) -> Iterator[None]:
    """Turns an error of the memory's, on a GPU or a CPU, into one that says what to change.

    Args:
        job: The run.
        phase: The phase.
        spec: The model that it is about.

    Raises:
        OutOfMemory: The memory did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_about_memory(error):
            raise
        of_gpu = isinstance(error, torch.OutOfMemoryError) or any(name in str(error) for name in ("CUDA", "CUBLAS"))
        where = "the GPU" if of_gpu else "this machine"
        raise OutOfMemory(
            f"The memory of {where} does not suffice for the phase {phase}",
            where=f"{phase}, with the {spec.role} {spec.name}",
            got=str(error).strip().splitlines()[0][:200].rstrip(".") if str(error).strip() else type(error).__name__,
            remedy=f"one or more of {', '.join(remedies(job, phase, spec))}",
        ) from error


def remedies(job: PreparedJob, phase: str, spec: ModelSpec) -> list[str]:
    """The three overrides that help most, as the run is set; those come first that change no result.

    Args:
        job: The run, prepared.
        phase: The phase.
        spec: The model that it is about.
    """
    found = [] if phase == "evaluate" else _of_training(job, phase, spec)
    if job.task.evaluation_batch > 1:
        found.append(f"task.evaluation_batch={job.task.evaluation_batch // 2}")
    longest = max(len(sample) for samples in job.data.tokenized.values() for sample in samples)
    found.append(f"task.max_length={longest * 3 // 4}")
    if resolve_dtype(spec).itemsize > 2:
        found.append(f"{spec.role}.dtype=bfloat16")
    return found[:3]


def _of_training(job: PreparedJob, phase: str, spec: ModelSpec) -> list[str]:
    trainer = job.trainer
    size = job.teacher.batch if phase == "teacher_sft" else job.budget.batch
    lengths, _ = plan_lengths(job.data.tokenized["train"])
    parts = trainer.devices * trainer.num_nodes * trainer.micro_batches
    found = []
    if phase == "distill" and job.method.teacher == "live":
        found.append("method.teacher=cached")
    if size.heaviest(lengths, 2 * parts) < size.heaviest(lengths, parts):
        found.append(f"trainer.micro_batches={2 * trainer.micro_batches}")
    if not spec.gradient_checkpointing:
        found.append(f"{spec.role}.gradient_checkpointing=true")
    if trainer.devices * trainer.num_nodes > 1 and not trainer.shards and trainer.on_gpu:
        found.append(f"trainer=fsdp trainer.devices={trainer.devices}")
    if spec.pretrained and not spec.lora.r and not getattr(spec, "heal_epochs", 0):
        found.append(f"{spec.role}.lora.r=16")
    elif spec.pretrained and spec.role == "teacher" and spec.quantization is None:
        found.append("teacher.quantization=4bit")
    return found
