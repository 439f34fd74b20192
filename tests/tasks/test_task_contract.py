"""Tasks of people's own: what they must offer is asked of their first sample, before anything is trained."""

import json
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from scd_lightning.data.converters import Converter, RowConverter
from scd_lightning.data.judgement import Judgement
from scd_lightning.data.prompts import Prompt
from scd_lightning.data.samples import Sample
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError
from scd_lightning.tasks.measures import Mean, Measure
from scd_lightning.tasks.task import Task


class Sums(Measure):
    """Two sums of a row."""

    width = 2
    of_row = ("correct",)

    def sums(self, row, sample):
        return row["correct"], 1.0

    def value(self, sums):
        return sums[:, 0] / sums[:, 1]


class Short(Sums):
    def sums(self, row, sample):
        return (row["correct"],)


class Scalar(Sums):
    def value(self, sums):
        return sums[:, 0].mean()


class Asking(Sums):
    of_row = ("correct", "confidence")  # type: ignore[assignment]


class NoWidth(Sums):
    width = "two"  # type: ignore[assignment]


class Fails(Sums):
    def sums(self, row, sample):
        return float(row["answer"]), 1.0


class Shout(Task):
    """A text is to be written in capitals."""

    task = "shout"
    prompt = Prompt("shout", {"en": "{text}\nLoud:\n"}, frozenset({"text"}))
    chooses = False
    made: ClassVar[dict] = {"sums": Sums()}

    @classmethod
    def measures(cls, settings):
        return cls.made

    def learn(self, rows):
        pass

    def sample(self, row):
        text = row.string("text")
        return Sample(row.id, {"text": text}, ("text",), text.upper(), text.upper(), ())

    def judge(self, sample, answer):
        return Judgement(sample.id, answer, sample.gold, float(answer == sample.gold), malformed=False)


@pytest.fixture
def source(tmp_path):
    for split, count in (("train", 6), ("validation", 2), ("test", 2)):
        rows = [json.dumps({"text": f"{split} {index}"}) + "\n" for index in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(rows))
    return DataSource(str(tmp_path))


def changed(**parts):
    """The task with something else in a place."""
    return type("Changed", (Shout,), parts)


def test_a_task_that_offers_all(source):
    data = Shout(source).read()
    assert data.primary_metric == "sums"
    columns = data.measures["sums"].columns([{"correct": 1.0}], [{}])
    assert columns is not None
    assert columns.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"prompt": "{text}\n"}, "task has no prompt.*Changed. Got: str"),
        ({"made": {}}, "task has no measures"),
        ({"made": {"malformed": Mean("malformed")}}, "task has no measures"),
        ({"made": [Sums()]}, "task has no measures"),
        ({"made": {"sums": "accuracy"}}, "measure of the task is none.*sums: a str"),
        ({"made": {"sums": NoWidth()}}, "measure of the task is none.*NoWidth, width 'two'"),
        (
            {"made": {"sums": Short()}},
            r"another number of sums than it says. Where: .*Short\.sums. Got: 1 numbers. Exp.*: 2",
        ),
        ({"made": {"sums": Scalar()}}, r"no value for each row.*Scalar. Got: shape \(\)"),
        ({"made": {"sums": Asking()}}, r"asks for what no answer.*Asking. Got: of_row \('correct', 'confidence'\)"),
        ({"made": {"sums": Fails()}}, r"fails when it is tried.*Fails. Got: could not convert.*\.py:\d+"),
        ({"sample": lambda self, row: dict(row.values)}, "makes no samples.*Changed. Got: dict"),
        (
            {"sample": lambda self, row: Sample(row.id, {"body": "x"}, (), "a", "a", ())},
            "lacks what its prompt is.*text",
        ),
        (
            {"sample": lambda self, row: Sample(row.id, {"text": json.loads("3")}, (), "a", "a", ())},
            "without a text for text",
        ),
        (
            {"sample": lambda self, row: Sample(row.id, {"text": "x"}, ("more",), "a", "a", ())},
            "without a text for more",
        ),
        (
            {"sample": lambda self, row: Sample(row.id, {"text": "x"}, (), json.loads("7"), "a", ())},
            "another kind of answer.*completion 7",
        ),
        ({"sample": lambda self, row: Sample(row.id, {"text": "x"}, (), "a", "a", (), ("a", "b"))}, "task generates"),
        ({"chooses": True}, "another kind of answer.*candidates, as the task chooses"),
        ({"judge": lambda self, sample, answer: True}, "judges no answers.*Got: True"),
        ({"judge": lambda self, sample, answer: Judgement("i", "a", "a", 100.0, malformed=False)}, "out of range.*100"),
        ({"judge": lambda self, sample, answer: answer["text"]}, "fails when it is tried.*Changed"),
        (
            {"prompt": Prompt("shout", {"ja": "{text}\n"}, frozenset({"text"}))},
            "no wording in the language.*kind shout, task.language. Got: en. Expected: ja",
        ),
        ({"prompt": Prompt("shout", {"en": "Loud:\n"}, frozenset({"text"}))}, r"lacks \['text'\].*wording en"),
        ({"prompt": Prompt("shout", {"en": "{text} {lang}\n"}, frozenset({"text"}))}, "unknown fields.*wording en"),
    ],
)
def test_what_a_task_does_not_offer(source, parts, message):
    with pytest.raises(ConfigError, match=message):
        changed(**parts)(source).read()


def test_a_task_that_lacks_a_method_says_which():
    with pytest.raises(TypeError, match="abstract method"):
        type("Lacking", (Task,), {"task": "lacking"})(None)


class Wrong(Converter):
    def __init__(self, made):
        self.made = made

    def __call__(self, rows, lost):
        return self.made(rows)


class WrongRow(RowConverter):
    def convert(self, row):
        row.values["text"] = row.values["text"].strip()


@pytest.mark.parametrize(
    ("converter", "got"),
    [
        (Wrong(lambda rows: None), "NoneType"),
        (Wrong(lambda rows: (row for row in rows)), "generator"),
        (Wrong(lambda rows: [row.values for row in rows]), "list with a dict in it"),
        (Wrong(lambda rows: tuple(rows)), "tuple"),
        (WrongRow(), "list with a NoneType in it"),
    ],
)
@pytest.mark.parametrize("on_bad_row", ["error", "skip"])
def test_a_converter_returns_rows(source, converter, got, on_bad_row):
    name = type(converter).__name__
    with pytest.raises(ConfigError, match=f"returns no list of rows.*{name}. Got: {got}. Expected: a list of .*Row"):
        Shout(replace(source, converters=[converter], on_bad_row=on_bad_row)).read()


def test_what_is_no_converter(source):
    with pytest.raises(ConfigError, match=r"is no converter. Where: task\.data\.converters\[0\]. Got: .*str"):
        replace(source, converters=[str.strip])
    with pytest.raises(ConfigError, match="is no converter"):
        replace(source, converters=[np.unique])
