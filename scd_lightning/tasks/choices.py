"""Judging an answer that is chosen among candidates."""

from scd_lightning.data.judgement import Judgement
from scd_lightning.data.samples import Sample


def judge_choice(sample: Sample, answer: str | int) -> Judgement:
    """Holds a chosen candidate against the gold one.

    Args:
        sample: A sample with candidates, whose gold answer is one of them or a label that train lacks.
        answer: The candidate's index, or its text; other text is malformed.
    """
    assert sample.candidates is not None
    text = sample.candidates[answer] if isinstance(answer, int) else answer.strip()
    known = text in sample.candidates
    return Judgement(
        id=sample.id,
        answer=text,
        gold=sample.gold,
        score=float(text == sample.gold),
        malformed=not known,
        predicted=text if known else None,
        expected=sample.gold,
    )
