"""student/: what someone needs who has only the student; and the same of a run's other models."""

from pathlib import Path
from typing import Any

from scd_lightning.analysis.confidence.measured import CONFIDENCE, Confidence
from scd_lightning.analysis.run.model_card import BASE, PROMPT
from scd_lightning.data.chat import date_of
from scd_lightning.models.export import base_facts, export
from scd_lightning.models.tokenizers import is_trained_here, vocabulary_size
from scd_lightning.pipeline.evaluate import tuned_weights
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.runner import Artifacts
from scd_lightning.redaction.cleaning import clean
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.manifest import write_json

# What stands for a sample's own texts in the card's code.
_EXAMPLES = {
    "text": "Put the text here.",
    "context": "Put the context here.",
    "question": "Put the question here?",
    "choices": "A. Put a choice on each line\nB. like this one",
}


def write_student(job: PreparedJob, made: Artifacts, folder: Path, confidence: Confidence | None) -> None:
    """Writes weights, tokenizer, generation settings, prompt template, and what is known of its base and confidence.

    Args:
        job: The run.
        made: Its artifacts.
        folder: Where to; it is empty.
        confidence: How far its probabilities can be relied on; None where it was not measured.
    """
    write_tuned(job, made, folder, "student")
    if confidence is not None:
        write_json(folder / CONFIDENCE, confidence.as_json())


def write_tuned(job: PreparedJob, made: Artifacts, folder: Path, name: str) -> None:
    """The same of any of the run's models, as far as all of them have it.

    Args:
        job: The run.
        made: The artifact that holds its weights.
        folder: Where to; it is empty.
        name: teacher, anchor or student.
    """
    weights = tuned_weights(job, name, made)
    model = job.build(weights.spec)
    assert weights.store is not None
    CheckpointStore(weights.store).load_into(model, weights.index)
    export(model, job.tokenizer, folder, job.data.max_new_tokens)
    write_json(folder / PROMPT, prompt_facts(job))
    settings = job.settings[weights.spec.role]
    origin = {name: settings.get(name) for name in ("path", "gguf", "revision")}
    write_json(folder / BASE, clean(base_facts(weights.spec.name, **origin)))


def prompt_facts(job: PreparedJob) -> dict[str, Any]:
    """The prompt, as a program would fill it, and what answers it.

    Returns:
        template and example (values for its fields), kind, language; chat: whether the filled template is a user turn
        of the chat template; date: what the chat template writes as today's, if it does; bos, eos: the tokens' texts,
        bos only where the prompt starts with it; candidates, or None where the answer is generated; labels and the word
        for none, of NER; settings and primary_metric: what the task's metrics go by; max_length, max_new_tokens;
        vocabulary: from the first on, how many tokens answers were chosen among; tokenizer_from: "texts" where it was
        trained on a task's here, "trimmed" where its vocabulary was cut to this task's, "gguf" where it was rebuilt
        from such a file, else "model".
    """
    data, tokenizer = job.data, job.tokenizer
    sample, chat = data.samples["train"][0], bool(tokenizer.chat_template)
    return {
        "template": data.template,
        "example": {name: _EXAMPLES.get(name, value) for name, value in sample.fields.items()},
        "kind": data.task.prompt.kind,
        "language": data.task.language,
        "chat": chat,
        "date": date_of(tokenizer.chat_template),
        "bos": None if chat else tokenizer.bos_token,
        "eos": tokenizer.eos_token,
        **data.task.answer_format(sample),
        "settings": {name: value for name, value in data.task.settings().items() if name != "labels"},
        "primary_metric": data.task.primary_metric,
        "max_length": data.task.max_length,
        "max_new_tokens": data.max_new_tokens,
        "vocabulary": vocabulary_size(tokenizer),
        "tokenizer_from": _tokenizer_from(job),
    }


def _tokenizer_from(job: PreparedJob) -> str:
    if is_trained_here(job.tokenizer):
        return "texts"
    if job.teacher.trim_vocabulary:
        return "trimmed"
    owner = "teacher" if job.student.path is None else "student"
    return "model" if job.settings[owner].get("gguf") is None else "gguf"
