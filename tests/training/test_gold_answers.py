"""What a model could score at most: gold answers, decoded from their token ids and judged."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scd_lightning.data.sources import DataSource
from scd_lightning.pipeline import gold
from scd_lightning.pipeline.gold import with_reachable_scores
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import encode
from scd_lightning.training.gold_answers import gold_doubts, judge_gold
from tests.tasks.conftest import measured  # noqa: F401

TEXT = "Mara Lind met Olaf in Oslo"


def entities(text, *found):
    return {
        "text": text,
        "entities": [{"start": text.index(s), "end": text.index(s) + len(s), "label": label} for s, label in found],
    }


def named(split, text=TEXT, *found):
    return [entities(f"{split} {i}. {text}", *(found or [("Mara Lind", "PERSON"), ("Oslo", "CITY")])) for i in range(4)]


def classes(split, *labels):
    return [{"text": f"{split} note {i}", "label": label} for i, label in enumerate(labels)]


@pytest.fixture
def checked(write_folder, byte_tokenizer):
    """(task class, tokenizer or None, settings, splits) -> encoded data, what was found, and the sentences on it."""

    def check(task, splits, tokenizer=byte_tokenizer, **settings):
        others = {split: splits["train"][:1] for split in ("validation", "test") if split not in splits}
        data = task(DataSource(write_folder(**splits, **others), allow_overlap=True), **settings).read()
        encoded = encode(data, tokenizer)
        found = judge_gold(encoded, tokenizer)
        return encoded, found, list(gold_doubts(encoded, found))

    return check


def bare_bpe(characters, normalizer=None):
    """Characters alone: what is none of them can't be written."""
    vocab = {token: i for i, token in enumerate(["</s>", *dict.fromkeys(characters)])}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("\n", "isolated"), decoders.Fuse()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


PRINTABLE = "".join(map(chr, range(32, 127))) + "\n"


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        (NER, named("train")),
        (Classification, classes("train", "a b", "c", "</s>", "<pad>")),
        (QA, [{"question": f"Who, {i}?", "context": TEXT, "answer": f"Mara </s> {i}"} for i in range(3)]),
        (QA, [{"question": f"Who, {i}?", "choices": ["<s>", "Olaf"], "answer": i % 2} for i in range(4)]),
    ],
)
def test_of_ordinary_rows_all_can_be_reached(checked, task, rows):
    assert checked(task, {"train": rows})[1:] == ({}, [])


def test_answers_longer_than_may_be_generated(checked, measured):  # noqa: F811
    splits = {"train": named("train"), "test": named("test", TEXT, ("Oslo", "CITY"))[:3] + named("more")[:1]}
    data, found, doubts = checked(NER, splits, max_new_tokens=11)
    assert found["test"]["causes"] == {"long": 1}
    # The last one has both entities, of which the first one fits, and no more is understood.
    cut = data.task.judge(data.samples["test"][3], found["test"]["example"]["read"])
    oracle = measured(data, "test", [(i, "CITY: Oslo") for i in range(3)] + [(3, cut.answer)])
    assert found["test"]["highest"] == pytest.approx(oracle["f1"])
    assert 0 < oracle["f1"] < 1
    [train, *_, test] = doubts
    assert train.startswith(
        "Not all gold answers of train would score 1 if a model gave just them: of 4, 4 are longer than the 11"
    )
    assert test.startswith(f"No model can reach f1 above {int(1000 * oracle['f1']) / 1000:.3f} on test")


def test_labels_that_train_lacks(checked, measured):  # noqa: F811
    splits = {"train": classes("train", *"abab"), "test": classes("test", *"abcb")}
    data, found, [sentence] = checked(Classification, splits, primary_metric="kappa")
    assert found["test"]["causes"] == {"unseen": 1}
    assert found["test"]["highest"] == pytest.approx(measured(data, "test", enumerate([0, 1, 0, 1]))["kappa"])
    assert sentence.endswith("on test, by its gold answers: of 4, 1 has a label that train lacks.")


def test_labels_of_which_the_tokenizer_makes_the_same(checked):
    tokenizer = bare_bpe(PRINTABLE, normalizers.Lowercase())
    data, found, doubts = checked(Classification, {"train": classes("train", "Bug", "bug", "Wish", "Bug")}, tokenizer)
    assert found["train"]["causes"] == {"merged": 1}
    [of_train] = doubts
    assert of_train.endswith(
        "of which the tokenizer makes the same as of another one; train-2 has 'bug', which becomes 'Bug'."
    )


def test_what_a_tokenizer_can_t_write(checked):
    splits = {"train": named("train", TEXT, ("Oslo", "CITY")), "test": named("test", "Zoë and Oslo", ("Zoë", "CITY"))}
    _, found, [sentence] = checked(NER, splits, bare_bpe(PRINTABLE))
    assert found["test"] == {
        "rows": 4,
        "causes": {"unwritten": 4},
        "highest": 0.0,
        "example": {"id": "test-1", "meant": "CITY: Zoë", "read": "CITY: Zo"},
    }
    assert "of 4, 4 can't be written by the tokenizer; test-1 has 'CITY: Zoë', which becomes 'CITY: Zo'." in sentence


def test_places_are_told_apart_as_the_tokenizer_spells_them(checked):
    """Lower-cased, the second name is the first one again: by its number it is the second."""
    rows = named("train", "in lyon they call it Lyon", ("Lyon", "CITY"))
    data, found, _ = checked(NER, {"train": rows}, bare_bpe(PRINTABLE, normalizers.Lowercase()))
    assert found == {}
    assert data.samples["train"][0].completion == "CITY: Lyon [2]"
    plain, _, _ = checked(NER, {"train": rows}, bare_bpe(PRINTABLE))
    assert plain.samples["train"][0].completion == "CITY: Lyon"


class Strict(NER):
    """Understands nothing in capitals."""

    def judge(self, sample, answer):
        return super().judge(sample, str(answer).replace("CITY", ""))


def test_what_the_task_itself_reads_otherwise(checked):
    splits = {
        "train": named("train", TEXT, ("Olaf", "PERSON")),
        "validation": named("v"),
        "test": named("t", TEXT, ("Olaf", "PERSON")),
    }
    _, found, [sentence] = checked(Strict, splits, max_new_tokens=60)
    assert {split: each["causes"] for split, each in found.items()} == {"validation": {"misread": 4}}
    assert "of 4, 4 read as something else; validation-1 has" in sentence


def test_entities_that_are_cut_away_count_and_are_told_of_once(checked, measured):  # noqa: F811
    long = named(
        "train", f"Oslo {'and on ' * 60} Mara Lind {'and on ' * 60} Olaf", ("Mara Lind", "PERSON"), ("Oslo", "CITY")
    )
    data, found, doubts = checked(NER, {"train": named("short"), "test": long}, max_length=120)
    assert found["test"]["causes"] == {"cut": 4}
    assert found["test"]["highest"] == pytest.approx(
        measured(data, "test", [(i, "CITY: Oslo") for i in range(4)])["f1"]
    )
    assert doubts == []
    assert sum("can't be seen any more" in each for each in data.doubts) == 1


def test_targets_of_what_is_left_of_training_texts_are_right(checked):
    long = named(
        "train", f"Oslo {'and on ' * 60} Mara Lind {'and on ' * 60} Olaf", ("Mara Lind", "PERSON"), ("Oslo", "CITY")
    )
    assert "train" not in checked(NER, {"train": long, "test": named("test")}, max_length=120)[1]


def test_equal_data_are_checked_once(make_job, monkeypatch):
    first = make_job("task=classification", "task.data.synthetic.train=5")
    assert first.data.description["reachable"]["test"] < 1
    assert any(each.startswith("No model can reach accuracy") for each in first.data.description["warnings"])
    monkeypatch.setattr(gold, "judge_gold", None)
    again = make_job("task=classification", "task.data.synthetic.train=5", "student.optimizer.lr=0.5", "method=td")
    assert again.data.description == first.data.description
    with pytest.raises(TypeError):  # of another length of answers
        make_job("task=ner", "task.data.synthetic.train=5", "task.max_new_tokens=3")


def test_the_report_has_what_can_be_reached(make_job, run_job):
    job = make_job("task=classification", "task.data.synthetic.train=5", "method=sft")
    data = with_reachable_scores(job)
    assert data.description["reachable"] == job.data.description["reachable"]
