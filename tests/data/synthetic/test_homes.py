"""No text stands in two places, whatever the task, the seed and the sizes."""

from collections import Counter
from hashlib import sha256
from itertools import product

import pytest

from scd_lightning.data.synthetic import generate
from scd_lightning.data.synthetic.corpus import write_sentences
from scd_lightning.data.synthetic.homes import SHARES, home

TASKS = ("ner", "qa", "classification")
SEEDS = (0, 1, 10, 100)


def texts(rows):
    return {row.get("text") or row["context"] for row in rows}


def test_shares_of_many_texts():
    counts = Counter(home(f"text {number}") for number in range(20_000))
    for name, share in SHARES.items():
        assert counts[name] / 200 == pytest.approx(share, abs=1.6)
    assert sum(SHARES.values()) == 100


def test_a_home_never_changes():
    for text in ("", "a", "b", "病棟では"):
        assert home(text) == by_hand(text)


def by_hand(text):
    place = int(sha256(text.encode()).hexdigest()[:16], 16) % 100
    borders = {25: "train", 35: "validation", 50: "test", 75: "pool", 100: "corpus"}
    return next(name for border, name in borders.items() if place < border)


def test_splits_pool_and_corpus_share_no_text_over_tasks_and_seeds():
    found: dict[str, set[str]] = {split: set() for split in ("train", "validation", "test")}
    for task, seed in product(TASKS, SEEDS):
        for split, rows in generate(task, train=200, validation=80, test=80, seed=seed).items():
            found[split] |= texts(rows)
    found |= {place: {each.text for each in write_sentences(place, 2000, 0)} for place in ("pool", "corpus")}
    everything = [text for part in found.values() for text in part]
    assert len(everything) == len(set(everything))


@pytest.mark.parametrize("task", TASKS)
def test_a_split_depends_on_no_other_split_and_a_smaller_one_is_its_beginning(task):
    large = generate(task, train=300, validation=60, test=90, seed=7, label_noise=0.3)
    small = generate(task, train=100, validation=60, test=40, seed=7, label_noise=0.3)
    assert small["train"] == large["train"][:100]
    assert small["validation"] == large["validation"]
    assert small["test"] == large["test"][:40]


def test_sentences_of_a_place_are_the_beginning_of_more_of_them():
    assert write_sentences("pool", 50, 3) == write_sentences("pool", 200, 3)[:50]
    assert write_sentences("pool", 50, 3) != write_sentences("pool", 50, 4)
