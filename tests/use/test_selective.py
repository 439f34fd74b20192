"""A student that answers only what it is sure of: what is taken, what stays open, and who is asked then."""

from dataclasses import replace

import numpy as np
import pytest

from scd_lightning.analysis.confidence.measured import measure
from scd_lightning.analysis.confidence.units import Units
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.pipeline.report import report
from scd_lightning.pipeline.runner import execute, plan
from scd_lightning.use.answers_given import Chosen, Found
from scd_lightning.use.selective import Selective
from scd_lightning.use.student import Student

FAST = ("method=sft", "budget.stages=1", "teacher.epochs=1", "teacher.checkpoints=1", "task.data.synthetic.test=20")
LOUD = "+student.architecture.initializer_range=0.5"


@pytest.fixture(scope="module")
def students(make_job_in, tmp_path_factory):
    """Task -> a student of it."""
    make, made = make_job_in(tmp_path_factory.mktemp("selected")), {}
    for task in ("ner", "classification"):
        job = make(f"task={task}", *FAST, LOUD, run=task)
        steps = plan(job)
        report(job, steps, execute(job, steps))
        made[task] = Student.load(job.run_dir)
    return made


def right_from(threshold, unit="answer"):
    """A confidence by which all is right from a probability on, and nothing below."""
    probability = np.linspace(0, 1, 401)[:-1]
    right = (probability >= threshold).astype(float)
    units = Units(probability, right, np.arange(400))
    return measure(unit, units, units, chosen=True)


@pytest.fixture
def asked(students):
    """A student with a confidence of our own, and the texts that it is asked."""

    def make(task, threshold):
        student = students[task]
        student.confidence = right_from(threshold, student.form.task.unit)
        return student, [f"text number {number} of Garuma" for number in range(12)]

    return make


def test_what_is_sure_is_as_without(asked):
    student, texts = asked("classification", 0.0001)
    plain = student.predict(texts)
    # All that is right is taken, and a level between says as much: the lowest threshold is below all.
    assert Selective(student, 0.9).predict(texts) == plain
    assert all(each.confidence is not None for each in plain)


def test_a_choice_that_is_not_sure_is_a_guess(asked):
    student, texts = asked("classification", 0.6)
    plain = student.predict(texts)
    selective = Selective(student, 0.9)
    lowest = selective.threshold.threshold
    found = selective.predict(texts)
    assert any(each.probability < lowest for each in plain)
    for each, before in zip(found, plain, strict=True):
        assert isinstance(each, Chosen)
        assert each.is_open == (before.probability < lowest)
        assert each == (replace(before, answer=None, guess=before.answer) if each.is_open else before)


def test_entities_are_parted_one_by_one(asked, monkeypatch):
    student, texts = asked("ner", 0.5)
    answers = iter(["PERSON: Garuma\nPLACE: number", "none", "PERSON: Garuma"])
    sure = iter([[0.999, 0.1], [], [0.2]])

    def answer(samples, probabilities):
        from scd_lightning.models.answers import Answer

        return [Answer(next(answers), 0.5, lines=next(sure)) for _ in samples]

    monkeypatch.setattr(student, "_ask", answer)
    first, none, third = Selective(student, 0.9).predict(texts[:3], batch=1)
    assert isinstance(first, Found)
    assert isinstance(none, Found)
    assert [each.label for each in first.entities] == ["PERSON"]
    assert [each.label for each in first.unsure] == ["PLACE"]
    assert all(each.confidence is not None for each in (*first.entities, *first.unsure))
    assert (none.entities, none.unsure, none.is_open) == ((), (), False)
    # Of what is not sure enough as a whole there is no answer; what is sure of it stands on its own.
    assert (first.answer, first.guess) == (None, "PERSON: Garuma\nPLACE: number")
    assert (none.answer, none.guess) == ("none", None)
    assert third.is_open
    assert (third.answer, third.guess) == (None, "PERSON: Garuma")


def test_the_fallback_is_asked_what_is_open_and_nothing_else(asked, students, monkeypatch):
    student, texts = asked("classification", 0.6)
    fallback = Student(student.model, student.tokenizer, student.form, student.folder)
    seen: list[str] = []
    answer = fallback.answer

    def noted(rows, batch):
        seen.extend(row.id for row in rows)
        yield from answer(rows, batch)

    monkeypatch.setattr(fallback, "answer", noted)
    alone = Selective(student, 0.9).predict(texts)
    found = Selective(student, 0.9, fallback).predict(texts)
    assert seen == [each.id for each in alone if each.is_open]
    assert [each.by for each in found] == ["fallback" if each.is_open else None for each in alone]
    assert all(each.answer is not None for each in found)
    with pytest.raises(ConfigError, match="The fallback does another task"):
        Selective(student, 0.9, students["ner"])


def test_digests_tell_levels_and_fallbacks_apart(asked):
    student, texts = asked("classification", 0.5)
    rows = student.rows(texts)
    digests = [student.digest(rows), *(Selective(student, level).digest(rows) for level in (0.8, 0.9))]
    assert len({*digests, Selective(student, 0.9, student).digest(rows)}) == 4


def test_shares_that_cannot_be_had_are_refused(asked):
    student, _ = asked("classification", 0.5)
    for share in (0, 1, -0.5, 95):
        with pytest.raises(ConfigError, match="no such share"):
            Selective(student, share)
    with pytest.raises(ConfigError, match=r"at most 0\.9\d*, which the surest \d+ answers prove"):
        Selective(student, 0.999)
    student.confidence = None
    with pytest.raises(ModelError, match="was not measured"):
        Selective(student, 0.9)
