"""Samples to token ids: the prompt's own, then the completion's; too long texts cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from scd_lightning.data.bad_rows import STRICT, BadRows
from scd_lightning.data.chat import check_template, fill
from scd_lightning.data.collate import TokenizedSample
from scd_lightning.data.literal_text import LiteralText
from scd_lightning.data.prompts import render
from scd_lightning.data.samples import Cut, Sample
from scd_lightning.errors import DataError, ModelError, translated

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Encoded:
    """A split as token ids.

    Attributes:
        samples: The S samples that could be encoded, in the split's order.
        kept: Their positions among those that were to be encoded.
        shortened: Whether each sample's text was cut, [S].
        lost: How many parts of its gold answer left each sample's target because their text was cut away, [S].
        apart: How many gold answers were tokenized alone, since a token would have reached from the prompt into them.
    """

    samples: list[TokenizedSample]
    kept: list[int]
    shortened: list[bool]
    lost: list[int]
    apart: int

    @property
    def cut(self) -> int:
        """How many had their text cut."""
        return sum(self.shortened)

    @property
    def dropped(self) -> int:
        """How many parts of gold answers that is, of all samples."""
        return sum(self.lost)


@dataclass
class Encoder:
    """Encodes samples for one tokenizer.

    Attributes:
        tokenizer: A fast tokenizer with an end-of-sequence token.
        template: The prompt's template.
        max_length: Most tokens of prompt and completion (or longest candidate) together.
        retarget: (sample, cut) -> the completion that the cut text still supports, and the parts dropped from it.
        bad_rows: What becomes of samples that are too long even without their free text.
        noted: Where it writes down the ids of all that it has looked at, texts before they were cut among them; None
            where nobody asks.

    Raises:
        ModelError: The tokenizer has no end-of-sequence token, or a chat template that can't be used.
    """

    tokenizer: "PreTrainedTokenizerFast"
    template: str
    max_length: int
    retarget: Callable[[Sample, Cut], tuple[str, int]]
    bad_rows: BadRows = STRICT
    noted: set[int] | None = None

    def __post_init__(self) -> None:
        tokenizer = self.tokenizer
        if tokenizer.eos_token_id is None:
            raise ModelError(
                "The tokenizer has no end-of-sequence token",
                where=tokenizer.name_or_path or type(tokenizer).__name__,
                expected="an EOS token, which ends every answer",
                remedy="set eos_token in the model's tokenizer_config.json",
            )
        if tokenizer.chat_template:
            check_template(tokenizer)
        self._literal = LiteralText(tokenizer)
        self._candidates: dict[tuple[str, tuple[str, ...]], list[list[int]] | None] = {}

    def encode(self, samples: Sequence[Sample], split: str, answer_room: int | None = None) -> Encoded:
        """Encodes a split.

        Args:
            samples: The S samples.
            split: The split's name, for messages.
            answer_room: Tokens that are kept free for a generated answer, the same for each sample, so that where a
                text is cut does not depend on the gold answer; one longer than that goes past `max_length`. None, for
                training: as many as the sample's own answer has. Candidates always get what the longest one needs.

        Raises:
            DataError: A sample is too long even without its free text.
        """
        prompts = self._prompts([sample.fields for sample in samples])
        prompt_ids = self._ids(prompts)
        golds = [self._literal.guard(sample.completion) for sample in samples]
        full_ids = self._ids([prompt + gold for prompt, gold in zip(prompts, golds, strict=True)])
        apart = sum(full[: len(ids)] != ids for ids, full in zip(prompt_ids, full_ids, strict=True))
        parts = enumerate(zip(samples, golds, prompts, prompt_ids, full_ids, strict=True))
        fit = self.bad_rows.keep(split, partial(self._fit, split, answer_room), parts)
        encoded = [replace(each, index=index) for index, (each, _) in enumerate(fit)]
        cut = [lost is not None for _, lost in fit]
        return Encoded(encoded, [each.index for each, _ in fit], cut, [lost or 0 for _, lost in fit], apart)

    def _fit(
        self, split: str, answer_room: int | None, part: tuple[int, tuple[Sample, str, str, list[int], list[int]]]
    ) -> tuple[TokenizedSample, int | None]:
        """A sample's ids, cut where need be, and then how many parts its gold answer lost; else None."""
        index, (sample, gold, prompt, prompt_ids, full_ids) = part
        tokenized = self._join(index, sample, gold, prompt, prompt_ids, full_ids)
        if _needed(tokenized, answer_room) <= self.max_length:
            return tokenized, None
        return self._shorten(index, sample, tokenized, split, answer_room)

    def _prompts(self, fields: Sequence[Mapping[str, str]]) -> list[str]:
        """The prompts as the model gets them: one user turn of its chat template, or BOS in front where it has one.

        What fills the task's template is text, whatever it spells; the templates' own special tokens are such.
        """
        guard = self._literal.guard
        texts = [render(self.template, {name: guard(text) for name, text in each.items()}) for each in fields]
        if self.tokenizer.chat_template:
            return fill(self.tokenizer, texts)
        return [(self.tokenizer.bos_token or "") + text for text in texts]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        # The rendered prompt holds its special tokens already.
        ids: list[list[int]] = self._encoded(list(texts), return_attention_mask=False)["input_ids"] if texts else []
        guarded = [place for place, text in enumerate(texts) if self._literal.is_guarded(text)]
        for place, of_text in zip(guarded, self._literal.ids([texts[each] for each in guarded]), strict=True):
            ids[place] = of_text
        self._note(*ids)
        return ids

    def _note(self, *texts: Sequence[int]) -> None:
        if self.noted is not None:
            self.noted.update(*texts)

    def _encoded(self, texts: str | list[str], **how: Any) -> Any:
        where = self.tokenizer.name_or_path or type(self.tokenizer).__name__
        with translated("The tokenizer can't encode the data's texts", where=where):
            return self.tokenizer(texts, add_special_tokens=False, verbose=False, **how)

    def _join(
        self, index: int, sample: Sample, completion: str, prompt: str, prompt_ids: list[int], full_ids: list[int]
    ) -> TokenizedSample:
        """The prompt's own ids, and after them those of the gold answer and of each candidate."""
        gold = self._after(prompt_ids, full_ids, completion)
        if sample.candidates is None:
            return TokenizedSample(index, prompt_ids, gold)
        candidates = self._shared_candidates(prompt, sample.candidates)
        if candidates is None or gold not in candidates:
            # The answers' tokens depend on more than the prompt's last line: tokenize each with the whole of it.
            candidates = self._answers(prompt, prompt_ids, sample.candidates)
        return TokenizedSample(index, prompt_ids, gold, candidates)

    def _after(self, prompt_ids: list[int], joint_ids: list[int], answer: str) -> list[int]:
        """An answer's ids behind a prompt's, EOS at the end: those that it has in one text with the prompt.

        Where a token of that text reaches across the border, those that it has alone: whoever asks the model later has
        the prompt's own ids, and no others.
        """
        end = len(prompt_ids)
        parts = joint_ids[:end] == prompt_ids
        own = joint_ids[end:] if parts else self._ids([answer])[0]
        return [*own, self.tokenizer.eos_token_id]

    def _shared_candidates(self, prompt: str, candidates: tuple[str, ...]) -> list[list[int]] | None:
        """The candidates' ids after the prompt's last line, None where one merges with it or the line has none.

        A tokenizer does not look further back than that line, so all samples with equal last lines share one list;
        the caller holds the gold answer's ids in the whole text against it.
        """
        tail = prompt[prompt.rstrip("\n").rfind("\n") + 1 :]
        if (tail, candidates) not in self._candidates:
            [alone], joint = self._ids([tail]), self._ids([tail + self._literal.guard(each) for each in candidates])
            clean = bool(alone) and all(ids[: len(alone)] == alone for ids in joint)
            self._candidates[tail, candidates] = self._answers(tail, alone, candidates) if clean else None
        return self._candidates[tail, candidates]

    def _answers(self, prompt: str, prompt_ids: list[int], answers: Sequence[str]) -> list[list[int]]:
        """Each answer's ids behind the prompt's."""
        guarded = [self._literal.guard(answer) for answer in answers]
        joint = self._ids([prompt + answer for answer in guarded])
        return [self._after(prompt_ids, ids, answer) for ids, answer in zip(joint, guarded, strict=True)]

    def _shorten(
        self, index: int, sample: Sample, tokenized: TokenizedSample, split: str, answer_room: int | None
    ) -> tuple[TokenizedSample, int]:
        """Cuts the longest free text until the sample fits; the next one only where that is not enough."""
        fields, lost = dict(sample.fields), 0
        for field in sorted(sample.cuttable, key=lambda name: len(sample.fields[name]), reverse=True):
            text = sample.fields[field]
            offsets = self._encoded(text, return_offsets_mapping=True)
            self._note(offsets["input_ids"])
            ends = [end for _, end in offsets["offset_mapping"]]
            keep, before = len(ends), lost
            while keep > 0 and (excess := _needed(tokenized, answer_room) - self.max_length) > 0:
                keep = max(0, keep - excess)
                cut = _cut(field, text, ends, keep)
                fields[field] = cut.apply(text)
                completion, of_field = self.retarget(sample, cut)
                lost = max(before, of_field)
                [prompt] = self._prompts([fields])
                completion = self._literal.guard(completion)
                prompt_ids, full_ids = self._ids([prompt, prompt + completion])
                tokenized = self._join(index, sample, completion, prompt, prompt_ids, full_ids)
            if _needed(tokenized, answer_room) <= self.max_length:
                return tokenized, lost
        raise self._too_long(sample, tokenized, split, answer_room)

    def _too_long(self, sample: Sample, tokenized: TokenizedSample, split: str, answer_room: int | None) -> DataError:
        needed, prompt = _needed(tokenized, answer_room), len(tokenized.prompt_ids)
        return DataError(
            "A sample is too long even without its free text",
            where=sample.place(split),
            got=f"{needed} tokens, {prompt} of the prompt and {needed - prompt} for the answer",
            expected=f"at most task.max_length={self.max_length}",
            remedy="raise task.max_length, lower task.max_new_tokens or shorten the template",
            row=sample.row,
        )


def _cut(field: str, text: str, ends: Sequence[int], keep: int) -> Cut:
    """Keeps `keep` tokens: a context's first ones, of another text half from each end."""
    if keep == 0:
        return Cut(field, 0, 0)
    head = keep if field == "context" else (keep + 1) // 2
    tail = keep - head
    return Cut(field, ends[head - 1], len(text) - ends[-tail - 1] if tail else 0)


def _needed(sample: TokenizedSample, answer_room: int | None) -> int:
    """Tokens of the prompt and of the answer that it must leave room for."""
    answer = answer_room or len(sample.completion_ids)
    if sample.candidate_ids is not None:
        longest = max(map(len, sample.candidate_ids))
        # A gold answer may be none of the candidates: a label that train lacks.
        answer = longest if answer_room else max(longest, answer)
    return len(sample.prompt_ids) + answer


def border_doubts(encoded: Encoded) -> list[str]:
    """A sentence where answers had to be tokenized alone.

    Args:
        encoded: The training samples.
    """
    if not encoded.apart:
        return []
    return [
        f"In {encoded.apart} of {len(encoded.samples)} training samples the end of the prompt and the beginning of the "
        "answer would have been one token, so that the answer got tokens of its own, which a pretrained model rarely "
        "sees there. A template that ends in a line break keeps them apart by itself."
    ]
