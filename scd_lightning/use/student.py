"""An exported student that answers texts: the same prompts, ids and decoding as in its evaluation."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from scd_lightning.analysis.confidence.measured import Confidence
from scd_lightning.batch import TokenizedSample
from scd_lightning.data.encoding import Encoder
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.normal_form import normal_form_of
from scd_lightning.data.rows import Row, make_row
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.errors import ConfigError, DataError, ModelError
from scd_lightning.models.answers import Answer
from scd_lightning.models.candidates import best_candidates
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode
from scd_lightning.models.file_digests import file_digest
from scd_lightning.models.foreign import read_model, read_tokenizer
from scd_lightning.models.lower_precision import reading_of
from scd_lightning.store.manifest import sha256_json
from scd_lightning.use.answers_given import Chosen, Found, Given, Mention, Written
from scd_lightning.use.form import INPUT, Form, confidence_in, find_student, read_form

BATCH = 32
# Rows whose batches are made together, of texts of like lengths; as many answers are lost at most where one is killed.
CHUNK = 1024
Device = Literal["auto", "cpu", "cuda"]


class Student:
    """A student, ready to answer; `load` makes one.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        form: How it is asked.
        folder: Where all of it was read.
        confidence: What its probabilities are worth; None where it was not measured.
    """

    def __init__(
        self,
        model: CausalLM,
        tokenizer: PreTrainedTokenizerFast,
        form: Form,
        folder: Path,
        confidence: Confidence | None = None,
    ) -> None:
        self.model, self.tokenizer, self.form, self.folder = model, tokenizer, form, folder
        self.confidence = confidence
        form.task.normal_form = normal_form_of(tokenizer)
        assert form.task.template is not None
        self._encoder = Encoder(tokenizer, form.task.template, form.task.max_length, _as_it_was)

    @classmethod
    def load(cls, folder: str | Path, device: Device = "auto", *, where: str = "folder") -> "Student":
        """Loads the student of a run.

        Args:
            folder: The run's folder, or the student's.
            device: What computes; "auto" is a GPU where there is one.
            where: The argument that named the folder, for messages.

        Raises:
            ModelError: There is no student, or its files can't be read.
            ConfigError: There is no such device.
        """
        found = find_student(folder, where)
        form, confidence = read_form(found), confidence_in(found)
        target = _device(device)
        tokenizer = read_tokenizer(found, where=where)
        if not isinstance(tokenizer, PreTrainedTokenizerFast) or len(tokenizer) < form.vocabulary:
            raise ModelError(
                "The tokenizer is not the one that the student was trained with",
                where=found,
                got=f"{type(tokenizer).__name__} of {len(tokenizer)} tokens",
                expected=f"a fast one, of at least {form.vocabulary} tokens",
                remedy="copy the whole folder anew",
            )
        with warnings.catch_warnings():
            # Of 8-bit weights transformers says that the configuration beside them is the one that counts.
            warnings.filterwarnings("ignore", "You passed `quantization_config`")
            model = CausalLM(read_model(found, where=where, **reading_of(found, where))[0], form.vocabulary).eval()
        # The method of transformers hides its types.
        return cls(nn.Module.to(model, target), tokenizer, form, found, confidence)

    def predict(
        self, texts: Sequence[str | Mapping[str, Any]], *, batch: int = BATCH, probabilities: bool = True
    ) -> list[Given]:
        """Answers texts.

        Args:
            texts: A text each, or where the student is asked more than that, its fields: {"question", "context"} and
                the like; an "id" is kept.
            batch: How many are answered at once.
            probabilities: Whether candidates' probabilities are asked for, which takes more of the model.

        Returns:
            An answer each, in their order: `Chosen`, `Found` or `Written`. A row that can't be used has an `error`.
        """
        return [each for part in self.answer(self.rows(texts), batch, probabilities=probabilities) for each in part]

    def rows(self, texts: Sequence[str | Mapping[str, Any]]) -> list[Row]:
        """Texts as rows; see `predict`."""
        return [make_row(self.form.values(given), INPUT, number, INPUT) for number, given in enumerate(texts, 1)]

    def answer(self, rows: Sequence[Row], batch: int = BATCH, *, probabilities: bool = True) -> Iterator[list[Given]]:
        """Answers rows chunk by chunk, each in their order; see `predict`."""
        for start in range(0, len(rows), CHUNK):
            judged = self._judge(rows[start : start + CHUNK], batch, probabilities, labelled=False)
            yield [each.given for each in judged]

    def judge(self, rows: Sequence[Row], batch: int = BATCH) -> Iterator[list["Judged"]]:
        """Answers rows with labels, chunk by chunk, and holds the answers against those."""
        for start in range(0, len(rows), CHUNK):
            yield self._judge(rows[start : start + CHUNK], batch, probabilities=True, labelled=True)

    def digest(self, rows: Sequence[Row]) -> str:
        """Digest of all that the answers to rows depend on, devices and versions apart."""
        files = sorted(file for file in self.folder.iterdir() if file.suffix in (".safetensors", ".json", ".jinja"))
        own = {file.name: file_digest(file) for file in files}
        return sha256_json([own, [[row.id, {name: str(value) for name, value in row.values.items()}] for row in rows]])

    def token_counts(self, row: Row, answer: str) -> tuple[int, int]:
        """How many tokens the prompt of a row that was answered has, and the answer with its end."""
        [(_, (sample, _))] = self._encode_all({0: self.form.sample(row)})
        return len(sample.prompt_ids), len(self.tokenizer(answer, add_special_tokens=False)["input_ids"]) + 1

    def _judge(self, rows: Sequence[Row], batch: int, probabilities: bool, *, labelled: bool) -> list["Judged"]:
        judged: dict[int, Judged] = {}
        samples: dict[int, Sample] = {}
        for place, row in enumerate(rows):
            try:
                samples[place] = self.form.sample(row, labelled=labelled)
            except DataError as error:
                judged[place] = Judged(_refused(row, error))
        encoded: dict[int, tuple[TokenizedSample, bool]] = {}
        for place, found in self._encode(samples):
            if isinstance(found, DataError):
                judged[place] = Judged(_refused(rows[place], found))
            else:
                encoded[place] = found
        # As in an evaluation, those of like lengths together, the longest first.
        order = sorted(encoded, key=lambda place: (-len(encoded[place][0].prompt_ids), place))
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            for place, made in zip(
                places, self._ask([encoded[each][0] for each in places], probabilities), strict=True
            ):
                judged[place] = self._given(samples[place], made, encoded[place][1])
        return [judged[place] for place in range(len(rows))]

    def _encode(self, samples: Mapping[int, Sample]) -> Iterator[tuple[int, tuple[TokenizedSample, bool] | DataError]]:
        """Each sample's ids and whether its text was cut, or why it has none."""
        try:
            yield from self._encode_all(samples)
        except DataError:
            for place, sample in samples.items():
                try:
                    yield from self._encode_all({place: sample})
                except DataError as error:
                    yield place, error

    def _encode_all(self, samples: Mapping[int, Sample]) -> list[tuple[int, tuple[TokenizedSample, bool]]]:
        found = self._encoder.encode(list(samples.values()), INPUT, answer_room=self.form.max_new_tokens)
        return list(zip(samples, zip(found.samples, found.shortened, strict=True), strict=True))

    def _ask(self, samples: Sequence[TokenizedSample], probabilities: bool) -> list[Answer]:
        if self.form.task.chooses:
            return best_candidates(self.model, samples, self.tokenizer.eos_token_id, probabilities=probabilities)
        return greedy_decode(self.model, self.tokenizer, samples, self.form.max_new_tokens)

    def _given(self, sample: Sample, answer: Answer, shortened: bool) -> "Judged":
        judged = self.form.task.judge(sample, answer.value)
        return Judged(self._typed(sample, answer, judged, shortened), sample, judged)

    def _typed(self, sample: Sample, answer: Answer, judged: Judgement, shortened: bool) -> Given:
        common: dict[str, Any] = {"probability": answer.probability, "shortened": shortened}
        if "entities" in judged.facts:
            entities = self._mentions(sample, answer, judged)
            return Found(sample.id, judged.answer, **common, entities=entities, malformed=judged.malformed)
        common["confidence"] = self._confidence(answer.probability)
        if sample.candidates is not None:
            assert isinstance(answer.value, int)
            text = sample.candidates[answer.value]
            shares = dict(zip(sample.candidates, answer.shares or (), strict=False))
            return Chosen(sample.id, text, **common, shares=shares)
        return Written(sample.id, judged.answer, **common)

    def _mentions(self, sample: Sample, answer: Answer, judged: Judgement) -> tuple[Mention, ...]:
        assert answer.probability is not None
        sure = self.form.task.unit_probabilities(sample, judged, answer.probability, answer.lines or ())
        return tuple(
            Mention(label, text, start, end, each, self._confidence(each))
            for (label, text, start, end), each in zip(judged.facts["entities"], sure, strict=True)
        )

    def _confidence(self, probability: float | None) -> float | None:
        return None if self.confidence is None or probability is None else self.confidence.of(probability)


@dataclass(frozen=True)
class Judged:
    """An answer, and what was held against it.

    Attributes:
        given: The answer, or why there is none.
        sample: The row as the student was asked it; None of one that can't be used.
        judgement: The answer against the row's label; a placeholder where it was not to be read.
    """

    given: Given
    sample: Sample | None = None
    judgement: Judgement | None = None


def _refused(row: Row, error: DataError) -> Given:
    return Given(row.id, error="; ".join(filter(None, (error.what, f"got {error.got}" if error.got else None))))


def _as_it_was(sample: Sample, cut: Cut) -> tuple[str, int]:
    """There is no gold answer that could lose a part."""
    return sample.completion, 0


def _device(device: Device) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("There is no such device here", where="device", got=device, expected="auto, cpu, or a GPU")
    return device
