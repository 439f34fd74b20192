"""Gold answers held against themselves: what a model scores that answers each one exactly.

It is what any model can reach at most. Some is lost between a row and its token ids: where a text is cut, where an
answer may not be as long, where a tokenizer can't write it, and where it reads as another one.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from scd_lightning.batch import TokenizedSample
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.rows import shorten
from scd_lightning.data.splits import SPLITS
from scd_lightning.models.decoding import decode_answers
from scd_lightning.training.data_module import EncodedData

# Why a gold answer scores less than 1, and how it is said of so many of them; the first that holds of one counts.
_CAUSES = {
    "cut": "{count} {have} entities that are cut away with their texts (task.max_length)",
    "long": "{count} {are} longer than the {max_new_tokens} tokens that an answer may have (task.max_new_tokens)",
    "unseen": "{count} {have} a label that train lacks",
    "merged": "{count} {have} a label of which the tokenizer makes the same as of another one",
    "misread": "{count} {read} as something else",
    "unwritten": "{count} can't be written by the tokenizer",
}
_VERBS = {"have": "has", "are": "is", "read": "reads"}
# `cut_doubts` tells of them, and `unseen_labels`: an example would show nothing.
_TOLD = {"cut", "unseen"}
_DECODED_AT_ONCE = 1000


@dataclass(frozen=True)
class Unreached:
    """The gold answers of a split that score less than 1.

    Attributes:
        rows: How many.
        causes: Why -> how many.
        highest: The primary metric of all of the split's gold answers; no model can reach more.
        example: The first one with a cause that an example explains: its "id", the answer as it was "meant", and as it
            was "read"; None where there is none.
    """

    rows: int
    causes: Mapping[str, int]
    highest: float
    example: Mapping[str, str] | None


def judge_gold(data: EncodedData, tokenizer: PreTrainedTokenizerFast) -> dict[str, dict[str, Any]]:
    """Has every gold answer decoded and judged as a model's answer would be.

    Of train, what was cut is not looked at: its targets are what is left to see.

    Returns:
        Split -> the values of its `Unreached`, JSON; without splits of which all can be reached.
    """
    found = {split: _unreached(data, tokenizer, split) for split in SPLITS}
    return {split: asdict(each) for split, each in found.items() if each is not None}


def gold_doubts(data: EncodedData, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each split whose gold answers can't all be reached.

    Args:
        data: The samples.
        found: What `judge_gold` gave.
    """
    for split, values in found.items():
        unreached = Unreached(**values)
        if unreached.causes.keys() == {"cut"}:
            continue
        causes = ", ".join(_counted(data, cause, count) for cause, count in unreached.causes.items())
        yield f"{_consequence(data, split, unreached)}: of {len(data.samples[split])}, {causes}{_such_as(unreached)}."


def _consequence(data: EncodedData, split: str, unreached: Unreached) -> str:
    if split == "train":
        return "Not all gold answers of train would score 1 if a model gave just them"
    # Rounded down: what can't be reached must not look as if it could.
    highest = math.floor(unreached.highest * 1000) / 1000
    return f"No model can reach {data.primary_metric} above {highest:.3f} on {split}, by its gold answers"


def _counted(data: EncodedData, cause: str, count: int) -> str:
    verbs = {plural: singular if count == 1 else plural for plural, singular in _VERBS.items()}
    return _CAUSES[cause].format(count=count, max_new_tokens=data.max_new_tokens, **verbs)


def _such_as(unreached: Unreached) -> str:
    if unreached.example is None:
        return ""
    meant, read = (shorten(repr(unreached.example[part])) for part in ("meant", "read"))
    became = f", which becomes {read}" if read != meant else ""
    return f"; {shorten(unreached.example['id'])} has {meant}{became}"


def _unreached(data: EncodedData, tokenizer: PreTrainedTokenizerFast, split: str) -> Unreached | None:
    samples = data.tokenized[split]
    answers = _perfect_answers(data, tokenizer, samples)
    judged = [data.judge(split, place, answer) for place, answer in enumerate(answers)]
    low = [place for place, each in enumerate(judged) if each.score < 1]
    if split == "train":
        low = [place for place in low if not data.lost[split][place]]
    if not low:
        return None
    causes = {place: _cause(data, split, place, answers[place]) for place in low}
    untold = next((place for place in low if causes[place] not in _TOLD), None)
    counts = Counter(causes.values())
    return Unreached(
        rows=len(low),
        causes={cause: counts[cause] for cause in _CAUSES if cause in counts},
        highest=_score(data, split, judged),
        example=None if untold is None else _example(judged[untold]),
    )


def _perfect_answers(
    data: EncodedData, tokenizer: PreTrainedTokenizerFast, samples: Sequence[TokenizedSample]
) -> list[str | int]:
    """What is read off a model that gives the gold answers: of choices the first of those with the same tokens."""
    if data.task.chooses:
        return [_index(sample) for sample in samples]
    ids = [sample.completion_ids[: data.max_new_tokens] for sample in samples]
    starts = range(0, len(ids), _DECODED_AT_ONCE)
    return [text for at in starts for text in decode_answers(tokenizer, ids[at : at + _DECODED_AT_ONCE])]


def _index(sample: TokenizedSample) -> int:
    """The gold answer's place among the candidates; of one that is none of them 0, which is as wrong as any."""
    candidates = sample.candidate_ids or []
    return candidates.index(sample.completion_ids) if sample.completion_ids in candidates else 0


def _cause(data: EncodedData, split: str, place: int, answer: str | int) -> str:
    sample, tokenized = data.samples[split][place], data.tokenized[split][place]
    if sample.candidates is not None:
        return "merged" if tokenized.completion_ids in (tokenized.candidate_ids or []) else "unseen"
    if data.lost[split][place]:
        return "cut"
    if len(tokenized.completion_ids) > data.max_new_tokens:
        return "long"
    return "misread" if data.judge(split, place, sample.completion).score < 1 else "unwritten"


def _example(judged: Judgement) -> dict[str, str]:
    return {"id": judged.id, "meant": judged.gold, "read": judged.answer}


def _score(data: EncodedData, split: str, judged: Sequence[Judgement]) -> float:
    """The primary metric."""
    measure = data.measures[data.primary_metric]
    rows = [each.row() for each in judged]
    columns = measure.columns(rows, [data.describe(split, place) for place in range(len(rows))])
    assert columns is not None  # A task's measures are tried as it is read.
    return float(measure.value(np.sum(columns, axis=0, keepdims=True))[0])
