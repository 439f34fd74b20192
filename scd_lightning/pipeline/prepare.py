"""Before any phase: data read and validated, models within reach, one tokenizer for both, samples encoded."""

import json
import warnings
from dataclasses import fields, replace
from operator import itemgetter
from pathlib import Path

import torch
from torch.nn import Parameter
from transformers import PreTrainedTokenizerFast

from scd_lightning.config.batch_size import BatchSize, SampleCount
from scd_lightning.data.chat import with_settings
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.launch import ranks
from scd_lightning.losses.loss_contracts import check_weighting
from scd_lightning.models.loading import build_empty, check_kernel, check_reachable
from scd_lightning.models.lora_targets import own_parameters
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.stored_weights import check_numbers
from scd_lightning.models.tokenizers import (
    check_pair,
    everything,
    identity,
    load_tokenizer,
    stored_tokenizer,
    train_tokenizer,
)
from scd_lightning.pipeline.gold import with_reachable_scores
from scd_lightning.pipeline.heal import healing_rounds
from scd_lightning.pipeline.imports import Imports, check_imported_numbers, check_imports, find_imports
from scd_lightning.pipeline.job import Job, PreparedJob
from scd_lightning.pipeline.model_checks import check_lengths, longest_sample
from scd_lightning.pipeline.model_folders import as_folder, as_trimmed
from scd_lightning.pipeline.vocabulary import check_can_trim, trim_vocabulary
from scd_lightning.progress import say
from scd_lightning.run_folder.removable import RUN_FILE
from scd_lightning.schedules.policy_contract import rehearse
from scd_lightning.store.artifacts import ArtifactKey, Outcome
from scd_lightning.store.manifest import sha256_json, write_atomically
from scd_lightning.store.removal import delete
from scd_lightning.tasks.task_data import TaskData
from scd_lightning.training.costs import Meter
from scd_lightning.training.data_module import encode
from scd_lightning.training.healing import whole_texts

# Rows that were left out of the data, in the run's folder.
REJECTED = "rejected.jsonl"


def prepare(job: Job) -> PreparedJob:
    """Makes a job ready to be planned; whatever is wrong with its input shows here, before weights are loaded.

    Raises:
        ScdError: The data, the models or their combination can't work.
    """
    imports = _check_before_data(job)
    data = _read(job)
    if data.unlabelled is not None:
        _check_agreement(job, imports)
    job = replace(job, teacher=as_folder(job, imports.teacher), student=as_folder(job, job.student))
    tokenizer = shared_tokenizer(job, data)
    models = {spec.role: build_empty(spec, tokenizer) for spec in (job.teacher, job.student)}
    if job.teacher.trim_vocabulary:
        vocabulary, encoded = trim_vocabulary(data, tokenizer, imports)
        teacher, student = as_trimmed(job, job.teacher, vocabulary), as_trimmed(job, job.student, vocabulary)
        job, tokenizer = replace(job, teacher=teacher, student=student), vocabulary.tokenizer
        sized = {spec.role: build_empty(spec, tokenizer) for spec in (teacher, student)}
    else:
        encoded, sized = encode(data, tokenizer), models
    prepared = PreparedJob(
        **{each.name: getattr(job, each.name) for each in fields(job)},
        data=encoded,
        tokenizer=tokenizer,
        tokenizer_identity=sha256_json([identity(tokenizer), tokenizer.chat_template]),
        tokenizer_digest=sha256_json(everything(tokenizer)),
        trajectory=imports.trajectory,
        existing_anchor=imports.anchor,
        healing=healing_rounds(job, tokenizer, own_anchor=imports.anchor is None),
        parameters={role: own_parameters(model) for role, model in sized.items()},
    )
    check_lengths(prepared, models)
    check_imports(prepared)
    _check_batches(prepared)
    _check_validation(prepared)
    _check_numbers(prepared)
    # A process that another one has started tells nothing.
    return prepared if ranks.has_parent() else replace(prepared, data=with_reachable_scores(prepared))


def _check_before_data(job: Job) -> Imports:
    """Looks at what needs no data; what comes in the place of trainings."""
    job.trainer.check_options()
    if job.teacher.trim_vocabulary:
        check_can_trim(job)
    for spec in (job.teacher, job.student):
        _check_optimizer(spec)
        check_kernel(spec, str(job.trainer.options.get("precision")), on_gpu=job.trainer.on_gpu)
        job.trainer.check_model(spec)
        check_reachable(spec, f"{spec.role}.path")
    imports = find_imports(job)
    if job.method.weighting is not None:
        check_weighting(job.method.weighting)
    if job.method.policy is not None:
        rehearse(job.method.policy, job.budget.stages, len(imports.trajectory) or job.teacher.checkpoints)
    return imports


def _check_agreement(job: Job, imports: Imports) -> None:
    """Fails where answers are to be kept that checkpoints agree on, and there is one alone."""
    count = len(imports.trajectory) or job.teacher.checkpoints
    if job.unlabelled.keep == "agreed" and job.method.trains_student and count < 2:
        raise ConfigError(
            "One checkpoint has no other to agree with",
            where="unlabelled.keep=agreed, " + ("teacher.trajectory" if imports.trajectory else "teacher.checkpoints"),
            got=count,
            expected="2 or more checkpoints of the teacher",
            remedy="more checkpoints, or unlabelled.keep=confident",
        )


def _read(job: Job) -> TaskData:
    """The data, the same ones in all processes, and before a tokenizer is made of them."""
    data = job.task.read()
    job.agreement.require("data", data.split_digests, "task.data", DataError)
    if job.method.pseudo_labels and data.unlabelled is None:
        raise ConfigError(
            "A method of pseudo-labels needs texts without labels",
            where=f"method={job.method.name}",
            got="none",
            expected="task.data.unlabelled: a file, a folder or a hub id; task.data.synthetic.unlabelled=3000 for the "
            "embedded data set",
        )
    return data


def _check_optimizer(spec: ModelSpec) -> None:
    try:
        spec.optimizer([Parameter(torch.zeros(1))])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"The optimizer can't be made ({error})", where=f"{spec.role}.optimizer") from error


def _check_numbers(job: PreparedJob) -> None:
    """Reads what takes longest, last; a process that another one has started need not do so again."""
    if ranks.has_parent():
        return
    for spec in (job.student, job.teacher):
        check_numbers(spec)
    check_imported_numbers(job)


def tell_of_texts(job: PreparedJob) -> None:
    """Says what becomes of texts without labels; for the process that speaks for the job, once prepared."""
    facts = job.data.unlabelled
    if facts is None:
        return
    count = len(job.data.samples[UNLABELLED])
    say(f"  {count} texts without labels; left out: {facts['in_train']} that train has, {facts['twice']} repetitions")
    if facts["labelled"]:
        say(f"  {facts['labelled']} of them came with labels, which are not used")
    if not job.method.trains_student:
        part = "in healing alone" if job.healing else "no part"
        say(f"  with method={job.method.name} no student learns from texts without labels: they play {part}")


def tell_of_data(job: PreparedJob) -> None:
    """Warns of what is doubtful of the data; for the process that speaks for the job, once prepared."""
    for doubt in (*job.data.doubts, *(few_rows(job) if job.budget.warn else ())):
        warnings.warn(doubt, stacklevel=2)


def few_rows(job: PreparedJob) -> list[str]:
    """A sentence where train has fewer rows than an optimizer step, and one where a step has too few for all passes."""
    lengths = [len(sample) for sample in job.data.tokenized["train"]]
    rows, trainer, found = len(lengths), job.trainer, []
    for part, size in _batch_sizes(job).items():
        largest = max(map(len, size.batches(lengths)))
        passes = trainer.devices * trainer.num_nodes * trainer.micro_batches
        if isinstance(size, SampleCount) and size.samples > rows:
            found.append(f"Train has {rows} rows, fewer than {part}.global_batch={size.samples}: an epoch is one step.")
        if largest < passes:
            found.append(
                f"An optimizer step of {part} has at most {largest} rows, fewer than its {passes} passes "
                f"(trainer.devices={trainer.devices} times trainer.num_nodes={trainer.num_nodes} times "
                f"trainer.micro_batches={trainer.micro_batches})."
            )
    return found


def _batch_sizes(job: PreparedJob) -> dict[str, BatchSize]:
    """What an optimizer step holds, of each part of the configuration that trains."""
    return {"budget": job.budget.batch} | ({} if job.trajectory else {"teacher": job.teacher.batch})


def record_rejected(job: PreparedJob) -> None:
    """Writes down the rows that were left out, and warns; for the process that speaks for the job, once prepared."""
    file, records = job.run_dir / REJECTED, job.data.rejected
    if not records:
        delete(file, RUN_FILE, job.run_dir)  # of an earlier run in the same folder
        return
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_atomically(file, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))
    counts = ", ".join(f"{split} {count}" for split, count in job.data.description["rejected"].items() if count)
    warnings.warn(f"Rows that can't be used were left out: {counts}; {REJECTED} says why.", stacklevel=2)


def _check_batches(job: PreparedJob) -> None:
    """Fails where a training sample alone is more than an optimizer step may hold."""
    for part, size in _batch_sizes(job).items():
        tokens, sample = _longest(job, part)
        if not size.fits(tokens):
            raise ConfigError(
                "A training sample is longer than an optimizer step may be",
                where=f"{part}.batch_tokens",
                got=size,
                expected=f"{tokens} or more, for {sample}",
                remedy=f"{part}.batch_tokens={tokens} or more, or a lower task.max_length",
            )


def _longest(job: PreparedJob, part: str) -> tuple[int, str]:
    """Tokens and name of the longest sample that a part of the configuration has models trained on."""
    # A text without labels may be longer than all samples with some.
    data = whole_texts(job.data) if part == "budget" and job.healing else job.data
    longest = max(data.tokenized["train"], key=len)
    found = [(len(longest), f"the sample {data.samples['train'][longest.index].id}")]
    if part == "budget" and job.method.trains_student and job.data.samples.get(UNLABELLED):
        text = longest_sample(job.data, [UNLABELLED])
        found.append((text.tokens, f"the text {text.sample.id} and the longest answer that it may get"))
    return max(found, key=itemgetter(0))


def _check_validation(job: PreparedJob) -> None:
    """Fails where a student's training would not be validated: the fewest batches and epochs that it may have."""
    rows = len(job.data.samples["train"])
    most = rows + len(job.data.samples.get(UNLABELLED, ())) * job.method.trains_student
    epochs = min(job.budget.on(each).epochs for each in (rows, most))
    job.trainer.check_validation(job.data_module(job.budget.batch).train_sampler(), epochs)


def shared_tokenizer(job: Job, data: TaskData) -> PreTrainedTokenizerFast:
    """The one tokenizer of teacher and student: the pretrained one's, or one trained on the task's texts."""
    if job.student.path is None and job.teacher.path is None:
        return _with_turns(_trained_tokenizer(job, data), job)
    loaded = [
        load_tokenizer(
            spec.path,
            spec.revision,
            trust_remote_code=spec.trust_remote_code,
            where=f"{spec.role}.path",
            bos_token=spec.bos_token,
            eos_token=spec.eos_token,
        )
        for spec in (job.teacher, job.student)
        if spec.path is not None
    ]
    if len(loaded) == 2:
        check_pair(*loaded)
    return _with_turns(loaded[-1], job)


def _with_turns(tokenizer: PreTrainedTokenizerFast, job: Job) -> PreTrainedTokenizerFast:
    """The tokenizer with the chat template that the task asks for."""
    system, arguments = job.task.system, job.task.chat_template_kwargs
    if system is None and not arguments:
        return tokenizer
    if not isinstance(tokenizer.chat_template, str):
        raise ConfigError(
            "The models have no chat template that could have a system's turn, or take arguments",
            where="task.system, task.chat_template_kwargs",
            got="a tokenizer without one",
            remedy="leave them out, and write what the models are to be told into task.template",
        )
    tokenizer.chat_template = with_settings(tokenizer.chat_template, system, arguments)
    return tokenizer


def _trained_tokenizer(job: Job, data: TaskData) -> PreTrainedTokenizerFast:
    size = job.student.vocab_size
    if size is None or size != job.teacher.vocab_size:
        raise ConfigError(
            "Teacher and student from scratch share one tokenizer, so they need one vocabulary size",
            where="teacher.vocab_size, student.vocab_size",
            got=f"{job.teacher.vocab_size} and {size}",
        )
    texts = data.texts()
    key = ArtifactKey("tokenizer", {"texts": sha256_json(texts), "size": size, "version": job.versions["tokenizers"]})

    def build(folder: Path) -> Outcome:
        meter = Meter()
        tokenizer = train_tokenizer(texts, size)
        tokenizer.save_pretrained(folder)
        return Outcome({"tokens": len(tokenizer)}, meter.read())

    return stored_tokenizer(job.store.make(key, build).folder)
