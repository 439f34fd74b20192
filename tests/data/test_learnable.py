"""Data of which nothing can be learnt is refused before anything is trained; what is doubtful is said with counts."""

from typing import Any

import pytest

from scd_lightning.data.converters import MergedLabels
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import encode

SIZES = {"train": 8, "validation": 4, "test": 4}


@pytest.fixture
def read(write_folder):
    """Reads rows of a task, each made of its split and number."""

    def read(task: Any, row: Any, of_task: dict[str, Any] | None = None, **settings: Any) -> Any:
        rows = {split: [row(split, i) for i in range(size)] for split, size in SIZES.items()}
        return task(DataSource(write_folder(**rows), **settings), **(of_task or {})).read()

    return read


def labelled(label):
    """Rows of classification with the label that a function of split and number gives."""
    return lambda split, i: {"text": f"{split} {i}", "label": label(split, i)}


def asked(answer, **fields):
    """Likewise, rows of questions."""
    return lambda split, i: {"question": f"{split} {i}?", **fields, "answer": answer(split, i)}


def named(entities):
    """Likewise, rows with entities, each a word of the text and its label."""

    def row(split, i):
        text = f"Ann of {split} met Bob {i}"
        places = [(text.index(word), word, label) for word, label in entities(split, i)]
        spans = [{"start": at, "end": at + len(word), "label": label} for at, word, label in places]
        return {"text": text, "entities": spans}

    return row


def test_clean_rows_leave_nothing_to_say(read):
    data = read(Classification, labelled(lambda _, i: "ab"[i % 2]))
    assert list(data.doubts) == []
    assert "warnings" not in data.description


@pytest.mark.parametrize(
    ("task", "row", "said"),
    [
        (Classification, labelled(lambda *_: "spam"), r"all answers are the same.*train\.jsonl.*spam in all of 8"),
        (NER, named(lambda *_: []), r"no training row has an entity.*none in all of 8"),
        (QA, asked(lambda *_: 1, choices=["x", "y"]), "all answers are the same.*B in all of 8"),
        (QA, asked(lambda *_: True, context="It is."), "all answers are the same.*yes in all of 8"),
        (QA, asked(lambda *_: "Rome", context="In Rome."), "all answers are the same.*Rome in all of 8"),
    ],
)
def test_one_answer_alone_is_nothing_to_learn(read, task, row, said):
    with pytest.raises(DataError, match=f"There is nothing to learn: {said}"):
        read(task, row)


def test_a_class_alone_is_refused_though_others_are_named(read):
    with pytest.raises(DataError, match="nothing to learn"):
        read(Classification, labelled(lambda *_: "a"), {"labels": ["a", "b"]})


def test_entities_that_are_the_same_in_all_rows_are_said(read):
    [doubt] = read(NER, named(lambda *_: [("Ann", "P")])).doubts
    assert doubt == "All 8 training rows have the same answer (P: Ann): little can be learnt of them."


def test_what_a_draw_leaves_out_is_said_and_not_refused(read):
    """A trial run takes a few rows, which may be of one class."""
    rows = labelled(lambda split, i: "rare" if split == "train" and i == 7 else "often")
    for seed in range(3):
        data = read(Classification, rows, max_samples={"train": 2}, split_seed=seed)
        if {sample.gold for sample in data.samples["train"]} == {"often"}:
            [doubt] = data.doubts
            assert "nothing to learn" in doubt
            assert "task.data.max_samples draws, not of all" in doubt
    with pytest.raises(DataError, match="nothing to learn"):
        read(Classification, labelled(lambda *_: "often"), max_samples={"train": 2})


@pytest.mark.parametrize("split", ["validation", "test"])
def test_no_label_in_common(read, split):
    rows = labelled(lambda each, i: f"{'new' if each == split else 'old'} {i % 2}")
    with pytest.raises(
        DataError, match=rf"Train and {split} have no label in common.*Got: old 0 \(4\), old 1 \(4\) in"
    ):
        read(Classification, rows)
    with pytest.raises(
        DataError, match=rf"Train and {split} have no label in common.*Got: P \(8\) in train, Q \(4\) in"
    ):
        read(NER, named(lambda each, i: [(["Ann", "Bob"][i % 2], "Q" if each == split else "P")]))


def test_a_single_row_with_another_label_may_be_chance(write_folder):
    train = [{"text": f"train {i}", "label": "ab"[i % 2]} for i in range(6)]
    folder = write_folder(train=train, validation=train[:1], test=[{"text": "test", "label": "c"}])
    with pytest.warns(UserWarning, match=r"train lacks.*c \(1\)"):
        data = Classification(DataSource(folder, allow_overlap=True)).read()
    assert data.doubts == [
        "Train and test have no label in common, so every answer would be wrong: a (3), b (3) in train, c (1) in test."
    ]


def test_labels_that_are_numbers_written_in_two_ways(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"mail {i},{i % 2}.0\n" for i in range(20)))
    (tmp_path / "test.csv").write_text("text,label\n" + "".join(f"letter {i},{i % 2}\n" for i in range(8)))
    with pytest.raises(DataError, match=r"no label in common.*write them in one way.*MergedLabels") as error:
        Classification(DataSource(str(tmp_path))).read()
    assert 'same: ["0.0", "1.0"]' in str(error.value) or 'same: ["1.0", "0.0"]' in str(error.value)
    merged = MergedLabels(["0", "1"])
    data: Any = Classification(DataSource(str(tmp_path), converters=[merged])).read()
    assert data.task.candidates == ("0", "1")


def test_yes_and_no_have_nothing_in_common(read):
    def answer(split, i):
        return "maybe" if split == "test" else ["yes", "no"][i % 2]

    with pytest.raises(DataError, match="Train and test have no label in common"):
        read(QA, asked(answer, context="It is."))


def test_letters_of_choices_are_no_labels(read):
    data = read(QA, asked(lambda split, i: 2 if split == "test" else i % 2, choices=["x", "y", "z"]))
    assert list(data.doubts) == []


def test_labels_that_look_alike(read):
    names = ["Billing", "billing", "\u0412illing", "Refund"]
    data = read(Classification, labelled(lambda _, i: names[i % 4]))
    [doubt] = data.doubts
    assert "look alike" in doubt
    assert "Billing (4), billing (4), \\u0412illing (4)." in doubt
    assert "same: [Billing]" in doubt
    assert data.description["warnings"] == [doubt]
    data = read(Classification, labelled(lambda _, i: names[i % 4]), converters=[MergedLabels(["Billing"])])
    assert (data.task.candidates, list(data.doubts)) == (("Billing", "Refund"), [])


def test_types_of_entities_that_look_alike(read):
    data = read(NER, named(lambda _, i: [("Ann", "PER"), ("Bob", "Per")] if i % 2 else [("Ann", "PER")]))
    [doubt] = data.doubts
    assert "PER (16), Per (8)" in doubt


def test_invisible_characters_are_left_out_of_labels_and_that_is_said(read):
    names = ["Refund", "Re\u00adfund", "\u00c9tat", "E\u0301tat"]
    data = read(Classification, labelled(lambda _, i: names[i % 4]))
    assert data.task.candidates == ("Refund", "\u00c9tat")
    [doubt] = data.doubts
    assert "4 in train, 2 in validation, 2 in test, such as Re\\xadfund" in doubt
    data = read(NER, named(lambda _, i: [("Ann", ["P\u200b", "P"][i % 2]), ("Bob", "Q")][: 1 + i % 2]))
    assert data.task.labels == ["P", "Q"]
    assert "4 in train" in data.doubts[0]


def test_blanks_are_no_news(read):
    data = read(Classification, labelled(lambda _, i: ["a b", " a \u00a0b", "c"][i % 3]))
    assert (data.task.candidates, list(data.doubts)) == (("a b", "c"), [])


def test_equal_inputs_with_different_answers(read):
    def row(split, i):
        return {"text": "same   text" if split == "train" and i in (1, 4, 6) else f"{split} {i}", "label": "ab"[i % 2]}

    [doubt] = read(Classification, row).doubts
    assert doubt.startswith("In train, 3 of 8 rows have an input that stands there with another answer too, such as ")
    assert "train-2 (b) and train-5 (a)" in doubt


def test_equal_questions_with_answers_in_common_are_no_contradiction(read):
    def row(split, i):
        twice = split == "train" and i < 2
        answer = [["Rome", "in Rome"], ["in Rome"]][i] if twice else f"{split} {i}"
        question = "Where?" if twice else f"{split} {i}?"
        return {
            "question": question,
            "context": f"In Rome or in {split} {i}" if not twice else "In Rome",
            "answer": answer,
        }

    assert list(read(QA, row).doubts) == []


def test_contradicting_entities(read):
    def row(split, i):
        text = "Ann and Bob" if split == "test" else f"Ann and Bob, {split} {i}"
        start = 0 if i % 2 else 8
        return {"text": text, "entities": [{"start": start, "end": start + 3, "label": "P"}]}

    [doubt] = read(NER, row).doubts
    assert doubt.startswith("In test, 4 of 4 rows")


def test_choices_that_look_the_same(read):
    data = read(QA, asked(lambda _, i: i % 2, choices=["Rome", "Rome\u200b", "rome"]))
    assert len(data.doubts) == 3
    assert data.doubts[0].startswith("In train, 8 of 8 rows have choices that look the same, such as train-1 (A. Rome")
    assert data.doubts[0].endswith(": both count as right if one is.")
    assert list(read(QA, asked(lambda _, i: i % 2, choices=["Rome", "rome"])).doubts) == []


def test_answers_that_no_context_has(read):
    data = read(QA, asked(lambda split, i: f"{split} answer {i}", context="Nothing of it."))
    assert len(data.doubts) == 3
    assert data.doubts[0].startswith("In train, 8 of 8 answers do not stand in their context, such as train-1 (train ")
    some = read(QA, asked(lambda split, i: f"NOTHING{' of' * (i % 3)}", context="Nothing  of it."))
    assert list(some.doubts) == []


def long_text(split, i):
    """An entity at each end and one in the middle, which is what is cut away."""
    parts = [
        f"Ann{i} ",
        "walks and " * (40 if i % 2 else 1),
        "Bob ",
        "walks and " * (40 if i % 2 else 1),
        f"Eve {split}",
    ]
    text = "".join(parts)
    spans = [(text.index(name), name) for name in ("Ann", "Bob", "Eve")]
    entities = [{"start": at, "end": at + 3, "label": f"P{i % 2}"} for at, _ in spans]
    return {"text": text, "entities": entities}


def test_entities_that_are_cut_away_are_counted_with_the_recall_that_is_left(read, byte_tokenizer):
    data = encode(read(NER, long_text, {"max_length": 120}), byte_tokenizer)
    # Every second row loses one of its three entities.
    assert data.description["dropped"] == {"train": 4, "validation": 2, "test": 2}
    assert data.description["recall_left"] == {"validation": pytest.approx(5 / 6), "test": pytest.approx(5 / 6)}
    [doubt] = data.doubts
    assert "task.max_length=120" in doubt
    assert "train 4, validation 2, test 2. No model can reach a recall above 0.833 on validation and 0.833 on" in doubt
    assert data.description["warnings"] == [doubt]
    whole = encode(read(NER, long_text, {"max_length": 1000}), byte_tokenizer)
    assert "recall_left" not in whole.description
    assert list(whole.doubts) == []


def test_a_string_that_stands_elsewhere_too_is_not_lost(read, byte_tokenizer):
    def row(split, i):
        text = f"Bob{i} " + "walks and " * 40 + "Bob " + "walks and " * 40 + f"Bob {split}"
        places = [0, text.index(" Bob ") + 1, text.rindex("Bob")]
        return {"text": text, "entities": [{"start": at, "end": at + 3, "label": "PQ"[i % 2]} for at in places]}

    spans, strings = (
        encode(read(NER, row, {"max_length": 120, "match": match}), byte_tokenizer) for match in ("spans", "strings")
    )
    assert spans.description["dropped"]["train"] == 8
    assert strings.description["dropped"]["train"] == 0


def test_answers_that_are_cut_away_with_their_context(read, byte_tokenizer):
    def row(split, i):
        context = "In Rome. " + "Nothing more. " * 40 + "In Oslo."
        return {"question": f"{split} {i}?", "context": context, "answer": ["Rome", "Oslo"][i % 2]}

    data = encode(read(QA, row, {"max_length": 120}), byte_tokenizer)
    assert data.description["dropped"] == {"train": 4, "validation": 2, "test": 2}
    assert data.description["recall_left"] == {"validation": 0.5, "test": 0.5}
