import pytest

from scd_lightning.data.rows import Row
from scd_lightning.data.splits import check_overlap, cut_missing, subsample
from scd_lightning.errors import DataError

RATIOS = {"validation": 0.2, "test": 0.1}


def rows_of(texts, **more):
    return [Row(f"r{i}", {"text": text, **more}, "train.jsonl", i) for i, text in enumerate(texts, 1)]


def test_missing_splits_are_cut_by_ratio_and_nothing_is_lost():
    rows = rows_of(f"text {i}" for i in range(100))
    splits, rule = cut_missing({"train": rows}, RATIOS, 0, None)
    assert {split: len(part) for split, part in splits.items()} == {"train": 70, "validation": 20, "test": 10}
    assert sorted(row.line for part in splits.values() for row in part) == list(range(1, 101))
    assert rule == "cut from train: validation 0.2, test 0.1, seed 0, equal inputs kept together"
    assert all([row.line for row in part] == sorted(row.line for row in part) for part in splits.values())


def test_the_cut_depends_on_the_seed_alone():
    rows = rows_of(f"text {i}" for i in range(50))
    cuts = [cut_missing({"train": rows}, RATIOS, seed, None)[0] for seed in (0, 0, 1)]
    assert cuts[0] == cuts[1] != cuts[2]


def test_given_splits_stay():
    given = {"train": rows_of("abcdefghij"), "test": rows_of("x")}
    splits, rule = cut_missing(given, RATIOS, 0, None)
    assert splits["test"] == given["test"]
    assert len(splits["validation"]) == 2
    assert rule == "cut from train: validation 0.2, seed 0, equal inputs kept together"


@pytest.mark.parametrize("seed", range(5))
def test_groups_and_equal_inputs_stay_together(seed):
    grouped = [Row(str(i), {"text": str(i), "patient": i // 4}, "f", i) for i in range(40)]
    splits, rule = cut_missing({"train": grouped}, RATIOS, seed, "patient")
    found = {split: {row.values["patient"] for row in part} for split, part in splits.items()}
    assert sum(len(patients) for patients in found.values()) == 10
    assert rule.endswith("grouped by patient")
    doubled = rows_of([f"text {i // 2}" for i in range(40)])
    check_overlap(cut_missing({"train": doubled}, RATIOS, seed, None)[0], allowed=False)


def test_a_row_without_its_group():
    with pytest.raises(DataError, match=r'"patient" is missing.*train\.jsonl:1 '):
        cut_missing({"train": rows_of("abc")}, RATIOS, 0, "patient")


def test_too_few_rows():
    with pytest.raises(DataError, match=r"too small to cut validation and test.*2 rows"):
        cut_missing({"train": rows_of("ab")}, RATIOS, 0, None)


def test_overlap_is_refused_with_counts_and_examples_or_counted():
    splits = {
        "train": rows_of(["one  text", "b", "c"]),
        "validation": rows_of("cd"),
        "test": rows_of(["one text", "b"]),
    }
    with pytest.raises(DataError, match=r"train/validation: 1, train/test: 2.*allow_overlap=true") as caught:
        check_overlap(splits, allowed=False)
    assert caught.value.where == "train.jsonl:3 = train.jsonl:1; train.jsonl:1 = train.jsonl:1"
    assert check_overlap(splits, allowed=True) == {"train/validation": 1, "train/test": 2}


def test_choices_are_part_of_the_input():
    train = [Row("a", {"question": "q", "choices": ["x", "y"]}, "f", 1)]
    other = [Row("b", {"question": "q", "choices": ["x", "z"]}, "f", 1)]
    assert check_overlap({"train": train, "validation": other, "test": rows_of("t")}, allowed=False) == {}


def test_subsample():
    rows = rows_of("abcdefgh")
    assert subsample(rows, None, 0) == subsample(rows, 8, 0) == rows
    assert len(subsample(rows, 3, 0)) == 3
