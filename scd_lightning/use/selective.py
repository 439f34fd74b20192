"""A student that answers only where it is as sure as was asked for; the rest stays open, or goes to another one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scd_lightning.analysis.confidence.threshold import Accepted
from scd_lightning.analysis.confidence.threshold import Found as Threshold
from scd_lightning.config.checks import require_one_of, require_share
from scd_lightning.data.rows import Row
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.store.manifest import sha256_json
from scd_lightning.use.answers_given import Chosen, Found, Given, Written
from scd_lightning.use.form import Form
from scd_lightning.use.student import BATCH, Student

FALLBACK = "fallback"


class Selective:
    """A student whose answers are right as often as was asked for, as far as validation proves it.

    Args:
        student: The student, with a confidence that was measured.
        at_least: The share of answers, or of entities, that is to be right, above 0 and below 1.
        fallback: Another student, such as an exported teacher, which is asked what this one is not sure of.
        where: The argument that named the share, for messages.

    Raises:
        ConfigError: There is no such share, it can't be proven, or the fallback does another task.
        ModelError: The student's confidence was not measured.

    Attributes:
        threshold: From which probability on answers are taken, and what proves it.
    """

    def __init__(
        self, student: Student, at_least: float, fallback: Student | None = None, *, where: str = "at_least"
    ) -> None:
        self.student, self.fallback = student, fallback
        self.threshold = _threshold(student, at_least, where)
        if fallback is not None:
            kinds = (fallback.form.task.prompt.kind, student.form.task.prompt.kind)
            require_one_of(kinds[1:], what="The fallback does another task", fallback=kinds[0])

    @property
    def form(self) -> Form:
        """How the student is asked."""
        return self.student.form

    def rows(self, texts: Sequence[str | Mapping[str, Any]]) -> list[Row]:
        """Texts as rows; see `Student.predict`."""
        return self.student.rows(texts)

    def token_counts(self, row: Row, answer: str) -> tuple[int, int]:
        """As `Student.token_counts`; a fallback's tokens are not counted."""
        return self.student.token_counts(row, answer)

    def predict(self, texts: Sequence[str | Mapping[str, Any]], *, batch: int = BATCH) -> list[Given]:
        """Answers texts; see `Student.predict`. What is not sure enough is a `guess`, or among `unsure`."""
        return [each for part in self.answer(self.rows(texts), batch) for each in part]

    def answer(self, rows: Sequence[Row], batch: int = BATCH) -> Iterator[list[Given]]:
        """Answers rows chunk by chunk, each in their order."""
        done = 0
        for part in self.student.answer(rows, batch):
            yield self._complete(rows[done : done + len(part)], [self._checked(each) for each in part], batch)
            done += len(part)

    def digest(self, rows: Sequence[Row]) -> str:
        """Digest of all that the answers to rows depend on."""
        students = [self.student, *([self.fallback] if self.fallback else [])]
        return sha256_json([self.threshold.level, [each.digest(rows) for each in students]])

    def _checked(self, given: Given) -> Given:
        lowest = self.threshold.threshold
        assert lowest is not None
        if isinstance(given, Found):
            sure = [each.probability is not None and each.probability >= lowest for each in given.entities]
            both = ([e for e, s in zip(given.entities, sure, strict=True) if s is kept] for kept in (True, False))
            entities, unsure = map(tuple, both)
            given = replace(given, entities=entities, unsure=unsure)
            return replace(given, answer=None, guess=given.answer) if unsure else given
        if isinstance(given, Chosen | Written) and (given.probability is None or given.probability < lowest):
            return replace(given, answer=None, guess=given.answer)
        return given

    def _complete(self, rows: Sequence[Row], given: list[Given], batch: int) -> list[Given]:
        """Has the fallback answer what is open."""
        places = [place for place, each in enumerate(given) if each.is_open]
        if self.fallback is None or not places:
            return given
        asked = (each for part in self.fallback.answer([rows[place] for place in places], batch) for each in part)
        for place, answer in zip(places, asked, strict=True):
            if answer.error is None:  # Else what this one has guessed is better than nothing.
                given[place] = replace(answer, by=FALLBACK)
        return given


def _threshold(student: Student, at_least: float, where: str) -> Threshold:
    require_share(**{where: at_least})
    if student.confidence is None:
        raise ModelError(
            "It was not measured how far this student's probabilities can be relied on",
            where=student.folder,
            expected="confidence.json: a run leaves it with evaluate.confidence=true, unless its student found nothing "
            "at all in the validation split",
            remedy="take the folder of such a run, or ask without a share",
        )
    found = student.confidence.at_least(at_least)
    if found.threshold is None:
        raise ConfigError(
            "Validation does not prove that so many answers are right, wherever a threshold is set",
            where=where,
            got=at_least,
            expected=f"at most {_floored(found.best)}, {_why(student.confidence.units, found.checked)}",
            remedy="ask for less, or run with more validation rows: without an error, as many answers are needed as "
            f"prove it, {found.needed:,} for this share, among the surest of half of them",
        )
    return found


def _why(units: str, checked: Accepted) -> str:
    if checked.right is None:
        return f"since there are no {units} to prove it by"
    return f"which the surest {checked.count:,} {units} prove, {checked.right:.1%} of which are right"


def _floored(share: float) -> float:
    return int(share * 1000) / 1000
