"""What is doubtful of questions: choices that look alike, answers that their context does not have."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from scd_lightning.data.rows import shorten
from scd_lightning.data.samples import Sample
from scd_lightning.data.spelling import spelled
from scd_lightning.data.splits import SPLITS

# So few different answers to so many questions are labels.
_CLASSES, _ANSWERS = 5, 50
Samples = Mapping[str, Sequence[Sample]]


def choice_doubts(samples: Samples) -> Iterator[str]:
    """A sentence for each split in which samples have two choices that look the same."""
    for split in SPLITS:
        found = [sample for sample in samples[split] if _has_twins(sample)]
        if found:
            yield (
                f"In {split}, {len(found)} of {len(samples[split])} rows have choices that look the same, such as "
                f"{shorten(found[0].id)} ({shorten(found[0].fields['choices'])}): both count as right if one is."
            )


def choice_looks(sample: Sample) -> dict[str, str]:
    """Letter -> what there is to see of its choice."""
    # Behind the letter, a point and a blank. Case and width may be what is asked.
    return {line[0]: spelled(line[3:]) for line in sample.fields["choices"].split("\n")}


def _has_twins(sample: Sample) -> bool:
    looks = choice_looks(sample)
    return len(set(looks.values())) < len(looks)


def answer_doubts(samples: Samples, no_answer: str | None = None) -> Iterator[str]:
    """A sentence for each split in which most answers do not stand in their contexts.

    Args:
        samples: The samples of extractive questions.
        no_answer: What stands for an answer where there is none.
    """
    for split in SPLITS:
        answered = [sample for sample in samples[split] if sample.completion != no_answer]
        absent = [sample for sample in answered if not stands_in(sample, sample.fields["context"])]
        if 2 * len(absent) > len(answered):
            yield (
                f"In {split}, {len(absent)} of {len(answered)} answers do not stand in their context, such as "
                f"{shorten(absent[0].id)} ({shorten(absent[0].completion)}): models can't copy them from there."
                f"{_as_labels(answered)}"
            )


def _as_labels(answered: Sequence[Sample]) -> str:
    few = sorted({sample.completion for sample in answered})
    if len(few) > _CLASSES or len(answered) < _ANSWERS:
        return ""
    return f" All are one of {len(few)} ({', '.join(map(shorten, few))}): task=classification chooses among labels."


def stands_in(sample: Sample, text: str) -> bool:
    """Whether a text has one of a sample's answers, case, width and blanks apart."""
    if any(answer in text for answer in sample.gold):
        return True
    folded = _folded(text)
    return any(_folded(answer) in folded for answer in sample.gold)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
