"""student/: what someone needs who has only the student."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scd_lightning.data.chat import date_of
from scd_lightning.models.export import base_facts, export
from scd_lightning.pipeline.evaluate import tuned_weights
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.pipeline.run_folder import STUDENT_FOLDER, UNFINISHED_STUDENT
from scd_lightning.pipeline.runner import Artifacts
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.store.making import finish_folder, make_folder
from scd_lightning.store.manifest import write_json
from scd_lightning.store.removal import delete

# What stands for a sample's own texts in the card's code.
_EXAMPLES = {
    "text": "Put the text here.",
    "context": "Put the context here.",
    "question": "Put the question here?",
    "choices": "A. Put a choice on each line\nB. like this one",
}


def write_student(job: PreparedJob, made: Artifacts, folder: Path) -> None:
    """Writes weights, tokenizer, generation settings, prompt template, and what is known of the base model.

    Args:
        job: The run.
        made: Its artifacts.
        folder: Where to; made anew.
    """
    weights = tuned_weights(job, "student", made)
    model = job.build(job.student)
    assert weights.store is not None
    CheckpointStore(weights.store).load_into(model, weights.index)
    with made_anew(folder, job.run_dir) as fresh:
        export(model, job.tokenizer, fresh, job.data.max_new_tokens)
        write_json(fresh / "prompt_template.json", prompt_facts(job))
        settings = job.settings["student"]
        origin = {name: settings.get(name) for name in ("path", "gguf", "revision")}
        write_json(fresh / "base_model.json", base_facts(job.student.name, **origin))


@contextmanager
def made_anew(folder: Path, root: Path) -> Iterator[Path]:
    """A folder beside the student's, under whose name it goes in its place once the block is through.

    Args:
        folder: The student's.
        root: The run's.

    Raises:
        StoreError: There is something that no run has made.
        OSError: It can't be deleted.
    """
    for left in root.glob(f".{folder.name}-*"):
        delete(left, UNFINISHED_STUDENT, root)
    delete(folder, STUDENT_FOLDER, root)
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    yield make_folder(fresh, UNFINISHED_STUDENT, root)
    finish_folder(fresh, folder)
    fresh.rename(folder)


def prompt_facts(job: PreparedJob) -> dict[str, Any]:
    """The prompt, as a program would fill it, and what answers it.

    Returns:
        template and example (values for its fields), kind, language; chat: whether the filled template is a user turn
        of the chat template; date: what the chat template writes as today's, if it does; bos, eos: the tokens' texts,
        bos only where the prompt starts with it; candidates, or None where the answer is generated; labels and the word
        for none, of NER; max_length, max_new_tokens.
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
        "max_length": data.task.max_length,
        "max_new_tokens": data.max_new_tokens,
    }
