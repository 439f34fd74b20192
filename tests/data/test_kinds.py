"""`on_bad_row=skip` does not go on where a whole kind of row is what it would leave out."""

from decimal import Decimal
from pathlib import Path

import pytest

from scd_lightning.data.converters import LetterAnswers, RowConverter
from scd_lightning.data.kinds import lost_kinds
from scd_lightning.data.rows import Row
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import encode


def row(**values):
    return Row("1", values, "file", 1)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ({"label": "new"}, ["2 with label new"]),
        ({"label": 2.0}, ["2 with label 2"]),
        ({"label": 0.5}, ["2 with label 0.5"]),
        ({"label": Decimal("0.5")}, ["2 with label 0.5"]),
        ({"tags": ["O", "S-PER"]}, ["2 with tags S-PER"]),
        ({"entities": [{"label": "PER"}]}, ["2 with entities PER", "2 with entities that holds something"]),
        ({"label": " old\u200b", "tags": ["O"], "entities": []}, []),
        ({"label": "", "tags": None, "entities": "no list"}, ["2 with entities no list"]),
        ({"other": "x"}, []),
    ],
)
def test_kinds_of_which_no_row_is_left(lost, said):
    kept = [row(label="old", tags=["O"], entities=[]), row(label="old")]
    assert sorted(lost_kinds(kept, [row(**lost)] * 2, ["label", "tags", "entities"])) == said
    assert lost_kinds(kept, [row(**lost)], ["label", "tags", "entities"]) == []


def test_a_file():
    kept, lost = [Row("1", {}, "part-0", 1)], [Row(str(i), {}, "part-1", i) for i in range(3)]
    assert lost_kinds(kept, lost, []) == ["3 with file part-1"]
    assert lost_kinds([*kept, Row("9", {}, "part-1", 9)], lost, []) == []


GOOD = {split: [{"text": f"{split} {i}", "label": "ab"[i % 2]} for i in range(10)] for split in ("train", "test")}
SKIP = {"on_bad_row": "skip"}


def read(folder, task=Classification, of_task=None, **settings):
    return task(DataSource(folder, **settings), **(of_task or {})).read()


def test_all_rows_of_a_label(write_folder):
    rare = [{"text": "", "label": "rare"} for _ in range(3)]
    folder = write_folder(train=[*GOOD["train"], *rare])
    with pytest.raises(DataError, match=r"All train rows of a kind.*3 such rows, 3 with label rare; the first:.*empty"):
        read(folder, **SKIP)
    kept = write_folder("kept", train=[*GOOD["train"], *rare, {"text": "here", "label": "rare"}])
    assert read(kept, **SKIP).description["rejected"]["train"] == 3


def test_a_label_that_no_setting_names(write_folder):
    train = [*GOOD["train"], *({"text": f"more {i}", "label": "c"} for i in range(4))]
    with pytest.raises(DataError, match=r"4 with label c; the first:.*not among the labels"):
        read(write_folder(train=train), of_task={"labels": ["a", "b"]}, **SKIP)


def test_a_single_row_may_be_left_out(write_folder):
    folder = write_folder(train=[*GOOD["train"], {"text": "typed wrongly", "label": "aa"}])
    data = read(folder, of_task={"labels": ["a", "b"]}, **SKIP)
    assert data.description["rejected"]["train"] == 1


def test_validation_and_test_too(write_folder):
    bad = [{"text": 5, "label": "b"} for _ in range(3)]
    test = [each for each in GOOD["test"] if each["label"] == "a"]
    with pytest.raises(DataError, match=r"All test rows of a kind.*3 with label b.*int 5"):
        read(write_folder(train=GOOD["train"], test=[*test, *bad]), **SKIP)


def test_columns_under_another_name(write_folder):
    train = [{"body": each["text"], "queue": each["label"]} for each in GOOD["train"]]
    folder = write_folder(train=[*train, {"body": " ", "queue": "c"}, {"body": " ", "queue": "c"}])
    with pytest.raises(DataError, match="2 with label c"):
        read(folder, columns={"body": "text", "queue": "label"}, **SKIP)


def test_all_rows_with_an_entity(write_folder):
    good = [{"text": f"Nothing {i}", "entities": []} for i in range(20)]
    bad = [{"text": f"Ann {i}", "entities": [{"start": 0, "end": 99, "label": "P"}]} for i in range(4)]
    with pytest.raises(DataError, match=r"4 with entities that holds something, 4 with entities P"):
        read(write_folder(train=[*good, *bad]), NER, **SKIP)


def test_all_rows_of_an_answer(write_folder):
    """Indices from 1: what they call the last choice is out of range, and all others are wrong by one."""
    rows = [{"question": f"Which {i}?", "choices": ["x", "y", "z"], "answer": 1 + i % 3} for i in range(30)]
    with pytest.raises(DataError, match=r"All train rows of a kind.*10 with answer 3; the first:.*outside the choices"):
        read(write_folder(train=rows), QA, **SKIP)
    letters = [each | {"answer": "ABE"[i % 3] if i % 5 else "A"} for i, each in enumerate(rows)]
    with pytest.raises(DataError, match=r"with answer E; the first:.*names no choice"):
        read(write_folder("letters", train=letters), QA, converters=[LetterAnswers()], **SKIP)


def test_free_answers_are_no_kinds(write_folder):
    rows = [{"question": f"Who {i}?", "context": "Ann, Bob.", "answer": ["Ann", "Bob"][i % 2]} for i in range(20)]
    bad = [{"question": f"Whom {i}?", "context": "", "answer": "Eve"} for i in range(3)]
    assert read(write_folder(train=[*rows, *bad]), QA, **SKIP).description["rejected"]["train"] == 3


class Refusing(RowConverter):
    """One of one's own that says where its answers are."""

    answers = ("mood",)

    def convert(self, row):
        if row.values["mood"] == "odd":
            raise row.error("mood", "is odd", "odd", "another")
        return row


def test_a_converter_of_ones_own(write_folder):
    train = [each | {"mood": "odd" if i in (2, 3) else "even"} for i, each in enumerate(GOOD["train"])]
    with pytest.raises(DataError, match="2 with mood odd"):
        read(write_folder(train=train), converters=[Refusing()], **SKIP)


def test_samples_that_are_too_long(write_folder, byte_tokenizer):
    def asked(split, i):
        long = split == "train" and i % 4 == 3
        return {
            "question": f"{split} {i}?",
            "choices": ["one", "two", "x" * 300 if long else "six"],
            "answer": i % 2 + long,
        }

    folder = write_folder(**{split: [asked(split, i) for i in range(20)] for split in ("train", "validation", "test")})
    with pytest.raises(
        DataError, match=r"All train rows of a kind.*5 such rows, 5 with answer 2; the first:.*too long"
    ):
        encode(read(folder, QA, {"max_length": 80}, **SKIP), byte_tokenizer)


def test_texts_without_labels_have_no_kinds(write_folder, tmp_path):
    texts = Path(tmp_path, "texts.jsonl")
    texts.write_text('{"text": "one"}\n{"text": "two"}\n{"text": ""}\n{"text": "\u200b"}\n', encoding="utf-8")
    data = read(write_folder(train=GOOD["train"]), unlabelled=str(texts), **SKIP)
    assert data.bad_rows.counts["unlabelled"] == 2
