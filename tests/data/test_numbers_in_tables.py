"""Whole numbers, true and false, as tables of other programs have them: one empty cell makes floats of a column."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scd_lightning.data.converters import ChoiceColumns, ClassNames
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA

SIZES = {"train": 8, "validation": 4, "test": 4}


@pytest.fixture
def table(tmp_path):
    """Writes the three splits as Parquet: each column a function of the split and the row's number."""

    def write(**columns):
        for split, size in SIZES.items():
            cells = {name: [cell(split, i) for i in range(size)] for name, cell in columns.items()}
            pq.write_table(pa.table(cells), tmp_path / f"{split}.parquet")
        return str(tmp_path)

    return write


def text(split, i):
    return f"{split} {i}"


def gold(data, split="train"):
    return [sample.gold for sample in data.samples[split]]


def test_whole_floats_are_the_classes_that_integers_are(table):
    floats = Classification(DataSource(table(text=text, label=lambda _, i: float(i % 2)))).read()
    integers = Classification(DataSource(table(text=text, label=lambda _, i: i % 2))).read()
    assert gold(floats) == ["0", "1"] * 4
    assert floats.digest == integers.digest


def test_whole_decimals_too(table):
    data = Classification(
        DataSource(table(text=text, label=lambda _, i: Decimal(i % 2).quantize(Decimal("0.00"))))
    ).read()
    assert gold(data) == ["0", "1"] * 4


@pytest.mark.parametrize("blank", [None, float("nan")])
def test_an_empty_cell_is_a_label_that_is_missing(table, blank):
    def label(split, i):
        return blank if (split, i) == ("train", 5) else float(i % 2)

    folder = table(text=text, label=label)
    with pytest.raises(DataError, match=r'"label" is empty.*empty cell.*whole number.*on_bad_row=skip'):
        Classification(DataSource(folder)).read()
    data = Classification(DataSource(folder, on_bad_row="skip")).read()
    assert gold(data) == ["0", "1", "0", "1", "0", "0", "1"]


def test_fractions_are_no_classes(table):
    with pytest.raises(DataError, match=r'"label" has the wrong type.*float 0\.5.*write it as text'):
        Classification(DataSource(table(text=text, label=lambda _, i: i / 2))).read()


def test_true_and_false_are_classes(table, write_folder):
    folder = table(text=text, label=lambda _, i: i % 2 == 0)
    given: Any = [True, False]
    data: Any = Classification(DataSource(folder), labels=given).read()
    assert data.task.candidates == ("true", "false")
    assert gold(data) == ["true", "false"] * 4


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", "a\u200b"], "named twice.*Got: a"),
        ([1, 1.0], "named twice.*Got: 1"),
        ([None, "a"], "can't be used.*None"),
    ],
)
def test_labels_of_the_setting_are_read_as_those_of_rows(labels, said):
    with pytest.raises(ConfigError, match=said):
        Classification(DataSource(), labels=labels)


def test_ids(table):
    data = Classification(DataSource(table(id=lambda _, i: float(i), text=text, label=lambda _, i: "ab"[i % 2]))).read()
    assert [sample.id for sample in data.samples["train"]] == [str(i) for i in range(8)]


def test_offsets_of_entities(table):
    def entities(split, i):
        return [{"start": 0.0, "end": float(len(split)), "label": "SPLIT"}] if i else []

    data = NER(DataSource(table(text=text, entities=entities))).read()
    assert [(each.text, each.start, each.end) for each in data.samples["train"][1].gold] == [("train", 0, 5)]


def test_an_index_of_a_choice(table):
    columns: dict[str, Any] = {"question": text, "choices": lambda *_: ["one", "two"]}
    data = QA(DataSource(table(**columns, answer=lambda _, i: float(i % 2)))).read()
    assert gold(data) == ["A", "B"] * 4
    with pytest.raises(DataError, match=r'"answer" has the wrong type.*float 0\.5'):
        QA(DataSource(table(**columns, answer=lambda _, i: i / 2))).read()


def test_an_index_in_a_cell_of_text(tmp_path):
    rows = "".join(f'question {i},"[""one"", ""two""]",{i % 2}.0\n' for i in range(12))
    (tmp_path / "train.csv").write_text(f"question,choices,answer\n{rows}")
    assert {"A", "B"} == {*gold(QA(DataSource(str(tmp_path))).read())}


def test_an_index_that_counts_from_one_is_thought_of(table):
    folder = table(question=text, choices=lambda *_: ["x", "y"], answer=lambda _, i: 1 + i % 2)
    with pytest.raises(DataError, match=r"outside the choices.*where the first choice is 1"):
        QA(DataSource(folder)).read()


def test_yes_and_no(table):
    data: Any = QA(DataSource(table(question=text, context=text, answer=lambda _, i: i % 2 == 0))).read()
    assert (data.task.format, gold(data)) == ("yes_no", ["yes", "no"] * 4)


def test_class_numbers_have_their_names(table):
    source = DataSource(
        table(text=text, label=lambda _, i: float(i % 2)), converters=[ClassNames("label", ["spam", "ham"])]
    )
    assert gold(Classification(source).read()) == ["spam", "ham"] * 4


def test_choices_in_columns(table):
    columns: dict[str, Any] = {
        "a": lambda *_: "four",
        "b": lambda *_: 5.0,
        "c": lambda _, i: float("nan") if i == 1 else 6.0,
    }
    source = DataSource(
        table(question=text, **columns, answer=lambda _, i: i % 2), converters=[ChoiceColumns(["a", "b", "c"])]
    )
    assert [sample.fields["choices"] for sample in QA(source).read().samples["train"][:2]] == [
        "A. four\nB. 5\nC. 6",
        "A. four\nB. 5",
    ]
