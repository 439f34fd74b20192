"""Before any stage: data read and validated, models within reach, one tokenizer for both, samples encoded."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from scd_lightning.checkpoints.manifest import sha256_json
from scd_lightning.errors import ConfigError
from scd_lightning.models.loading import check_buildable, check_reachable
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.tokenizers import check_pair, identity, load_tokenizer, train_tokenizer
from scd_lightning.pipeline.artifacts import ArtifactKey
from scd_lightning.pipeline.costs import Meter
from scd_lightning.pipeline.job import Job


def prepare(job: Job) -> None:
    """Makes a job ready to be planned; whatever is wrong with its input shows here, before weights are loaded.

    Raises:
        ScdError: The data, the models or their combination can't work.
    """
    job.trainer.check_options()
    check_reachable(job.teacher, "teacher.path")
    check_reachable(job.student, "student.path")
    job.data.read()
    job.tokenizer = shared_tokenizer(job)
    check_buildable(job.teacher, job.tokenizer)
    check_buildable(job.student, job.tokenizer)
    job.tokenizer_identity = sha256_json([identity(job.tokenizer), job.tokenizer.chat_template])
    job.data.encode(job.tokenizer)


def shared_tokenizer(job: Job) -> PreTrainedTokenizerFast:
    """The one tokenizer of teacher and student: the pretrained one's, or one trained on the task's texts."""
    if job.student.path is None and job.teacher.path is None:
        return _trained_tokenizer(job)
    loaded = {
        where: _load(spec, where)
        for where, spec in (("teacher.path", job.teacher), ("student.path", job.student))
        if spec.path is not None
    }
    if len(loaded) == 2:
        check_pair(loaded["teacher.path"], loaded["student.path"])
    return loaded.get("student.path") or loaded["teacher.path"]


def _load(spec: ModelSpec, where: str) -> PreTrainedTokenizerFast:
    assert spec.path is not None
    return load_tokenizer(spec.path, spec.revision, trust_remote_code=spec.trust_remote_code, where=where)


def _trained_tokenizer(job: Job) -> PreTrainedTokenizerFast:
    size = job.student.vocab_size
    if size is None or size != job.teacher.vocab_size:
        raise ConfigError(
            "Teacher and student from scratch share one tokenizer, so they need one vocabulary size",
            where="teacher.vocab_size, student.vocab_size",
            got=f"{job.teacher.vocab_size} and {size}",
        )
    texts = job.data.texts()
    key = ArtifactKey("tokenizer", {"texts": sha256_json(texts), "size": size, "version": job.versions["tokenizers"]})

    def build(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        meter = Meter()
        tokenizer = train_tokenizer(texts, size)
        tokenizer.save_pretrained(folder)
        return {"tokens": len(tokenizer)}, meter.read()

    return PreTrainedTokenizerFast.from_pretrained(job.store.make(key, build).folder)
