"""Whether the exported student answers as the evaluated one did: asked as its card has it, with transformers alone."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch

from scd_lightning.analysis.run.model_card import PROMPT
from scd_lightning.data.literal_text import LiteralText
from scd_lightning.data.samples import Sample
from scd_lightning.errors import ScdError, translated
from scd_lightning.models.asking import candidate_scores, generated, written_prompt
from scd_lightning.models.foreign import read_json, read_model, read_tokenizer
from scd_lightning.pipeline.job import PreparedJob

# Samples that are asked, and of those with another answer, how many are shown.
ASKED, SHOWN = 16, 3
# Nats by which two answers may differ and still be told apart by rounding: one prompt alone adds up in another order
# than a batch does. Of half precision it is two steps of a logit of usual size.
_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3}
_OF_HALF = 0.25
# GPUs may multiply float32 in fewer digits.
_ON_GPU = 1e-2
# Tokens over which two answers may have the same letters, though their tokens are others already.
_TOKENS = 3
_MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass
class Exported:
    """An exported student, loaded.

    Attributes:
        model: The model.
        tokenizer: Its tokenizer.
        prompt: The content of its prompt_template.json.
        mixed: The dtype of the mixed precision that it was evaluated in; None without.
    """

    model: Any
    tokenizer: Any
    prompt: dict[str, Any]
    mixed: torch.dtype | None

    def text(self, sample: Sample) -> str:
        """The sample's prompt."""
        return written_prompt(self.tokenizer, self.prompt, dict(sample.fields))

    def ids(self, sample: Sample) -> list[int]:
        """The prompt's ids."""
        found: list[int] = self.tokenizer(self.text(sample), add_special_tokens=False)["input_ids"]
        return found

    def answer(self, sample: Sample) -> str | int:
        """A candidate's index, or the answer as text."""
        if sample.candidates is None:
            return generated(self.model, self.tokenizer, self.text(sample))
        scores = self.scores(sample)
        return scores.index(max(scores))

    def scores(self, sample: Sample) -> list[float]:
        """Each candidate's."""
        candidates, vocabulary = list(sample.candidates or ()), self.prompt["vocabulary"]
        return candidate_scores(self.model, self.tokenizer, self.text(sample), candidates, vocabulary)

    def steps(self, sample: Sample) -> list[tuple[str, float]]:
        """After each token of a generated answer, the text so far, and by how much the token was the best one."""
        inputs = self.tokenizer(self.text(sample), add_special_tokens=False, return_tensors="pt").to(self.model.device)
        found = self.model.generate(**inputs, output_scores=True, return_dict_in_generate=True)
        ids = found.sequences[0, inputs["input_ids"].shape[1] :]
        best = (scores[0].double().topk(2).values for scores in found.scores)
        texts = (self.tokenizer.decode(ids[: end + 1], skip_special_tokens=True) for end in range(len(ids)))
        return [(text, float(first - second)) for text, (first, second) in zip(texts, best, strict=True)]

    @property
    def rounding(self) -> float:
        """By how many nats answers may differ that are as good as each other."""
        bound = _ROUNDING.get(self.mixed or self.model.dtype, _OF_HALF)
        return max(bound, _ON_GPU) if self.model.device.type != "cpu" else bound


def check_export(job: PreparedJob, folder: Path, evaluated: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Asks an exported student the shortest evaluated samples; what fails in it fails no run.

    Args:
        job: The run.
        folder: The student's.
        evaluated: The student's rows of predictions, in the split's order.

    Returns:
        How many samples were "asked", of how many answers are the "same", and how many others told apart by "rounding";
        of the rest up to `SHOWN` as "different" (id, evaluated and exported answer); an "error", or None.
    """
    found: dict[str, Any] = {"asked": 0, "same": 0, "rounding": 0, "different": [], "error": None}
    try:
        with translated("The exported student can't be asked", where=folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = load_exported(job, folder)
            with torch.autocast(exported.model.device.type, exported.mixed, enabled=exported.mixed is not None):
                for index in islice(askable(job, exported), ASKED):
                    _count(found, *_compare(job, exported, index, evaluated[index]["answer"]))
    except ScdError as error:
        # The model card shows it, and names no place of this machine.
        found["error"] = str(error.got).replace(str(folder), folder.name)
    return found


def load_exported(job: PreparedJob, folder: Path) -> Exported:
    """Loads a student as its user would, where it was evaluated.

    Raises:
        ModelError: transformers can't.
    """
    how: dict[str, Any] = {"where": "student", "trust_remote_code": job.student.trust_remote_code}
    model, _ = read_model(folder, **how)
    return Exported(
        cast(Any, model).to("cuda" if job.trainer.on_gpu else "cpu").eval(),
        read_tokenizer(folder, **how),
        read_json(folder / PROMPT),
        _MIXED.get(str(job.trainer.options.get("precision"))),
    )


def askable(job: PreparedJob, exported: Exported) -> Iterator[int]:
    """Positions of the evaluated samples whose text is the prompt that was evaluated, the shortest prompts first.

    Of others the user would have to know more: texts were cut, or spell special tokens, which were read as text.
    """
    split = job.evaluation.split
    samples, tokenized = job.data.samples[split], job.data.tokenized[split]
    literal = LiteralText(exported.tokenizer)
    for index in sorted(range(len(samples)), key=lambda i: len(tokenized[i].prompt_ids)):
        room = max(map(len, tokenized[index].candidate_ids or [[0] * job.data.max_new_tokens]))
        texts = _texts(samples[index], exported.prompt["template"])
        spelled = any(literal.is_guarded(literal.guard(text)) for text in texts)
        if not spelled and len(exported.ids(samples[index])) + room <= job.task.max_length:
            yield index


def _texts(sample: Sample, template: str) -> list[str]:
    """What the model is given of a sample: the fields that the template has, and the candidates."""
    used = (text for name, text in sample.fields.items() if f"{{{name}}}" in template)
    return [*used, *(sample.candidates or ())]


def _compare(job: PreparedJob, exported: Exported, index: int, evaluated: str) -> tuple[str, dict[str, str]]:
    """In which count of the record a sample's answer falls, and what it says of a different one."""
    split = job.evaluation.split
    sample, told = job.data.samples[split][index], partial(_told, job, split, index)
    answer = told(exported.answer(sample))
    if answer == evaluated:
        return "same", {}
    near = _nearly if sample.candidates is None else _nearly_chosen
    if near(exported, sample, evaluated, told):
        return "rounding", {}
    return "different", {"id": sample.id, "evaluated": evaluated, "exported": answer}


def _told(job: PreparedJob, split: str, index: int, answer: str | int) -> str:
    """An answer as predictions have it."""
    return job.data.judge(split, index, answer).answer


def _nearly(exported: Exported, sample: Sample, evaluated: str, told: Callable[[str | int], str]) -> bool:
    """Whether another token was as good where the two answers part."""
    leads = []
    for text, lead in exported.steps(sample):
        leads.append(lead)
        # What is not whole yet of a character of several bytes is none of the text.
        if not evaluated.startswith(told(text).rstrip("\ufffd")):
            break
    # Other tokens may have begun with the same letters.
    return min(leads[-_TOKENS:]) < exported.rounding


def _nearly_chosen(exported: Exported, sample: Sample, evaluated: str, told: Callable[[str | int], str]) -> bool:
    scores = exported.scores(sample)
    others = [score for index, score in enumerate(scores) if told(index) == evaluated]
    return max(scores) - max(others, default=-torch.inf) < exported.rounding


def _count(found: dict[str, Any], kind: str, difference: dict[str, str]) -> None:
    found["asked"] += 1
    if kind != "different":
        found[kind] += 1
    elif len(found["different"]) < SHOWN:
        found["different"].append(difference)
