import json
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from scd_lightning.data.synthetic import KINDS, QUESTIONS, generate
from scd_lightning.data.synthetic.world import (
    AMBIGUOUS_TYPES,
    COMMON_TYPES,
    DOMAINS,
    LANGUAGES,
    NAMES,
    PHRASES,
    RARE_TYPES,
    TYPES,
)

TASKS = ("ner", "qa", "classification")
SPLITS = ("train", "validation", "test")


def has_japanese(text):
    return any("\u3040" <= char <= "\u30ff" for char in text)


def inputs(rows):
    return [(row.get("text"), row.get("question"), row.get("context")) for row in rows]


def labels(task, rows):
    if task == "ner":
        return {entity["label"] for row in rows for entity in row["entities"]}
    return {row["question" if task == "qa" else "label"] for row in rows}


@pytest.mark.parametrize("task", TASKS)
def test_another_process_generates_the_same_rows(task):
    program = "import json, sys; from scd_lightning.data.synthetic import generate; "
    program += f"print(json.dumps(generate({task!r}, train=40, validation=20, test=20, seed=3)))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {json.dumps(generate(task, train=40, validation=20, test=20, seed=3)) + "\n"}


@pytest.mark.parametrize("task", TASKS)
def test_sizes_ids_and_seeds(task):
    data = generate(task, train=50, validation=35, test=30, seed=1)
    assert {split: len(rows) for split, rows in data.items()} == {"train": 50, "validation": 35, "test": 30}
    assert len({row["id"] for rows in data.values() for row in rows}) == 115
    assert inputs(data["train"]) != inputs(generate(task, train=50, validation=35, test=30, seed=2)["train"])


@pytest.mark.parametrize("task", TASKS)
def test_no_input_occurs_twice(task):
    data = generate(task)
    everything = [item for split in SPLITS for item in inputs(data[split])]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(5))
def test_small_splits_have_all_labels_and_both_languages(task, seed):
    data = generate(task, train=30, validation=30, test=30, seed=seed, label_noise=0.0)
    expected = {
        "ner": set(TYPES),
        "qa": {QUESTIONS[language].format(kind=kind) for language in LANGUAGES for kind in KINDS[language].values()},
        "classification": {f"{domain}: {kind.lower()}" for domain in DOMAINS for kind in COMMON_TYPES},
    }[task]
    for rows in data.values():
        assert labels(task, rows) == expected
        assert {has_japanese(row.get("text") or row["context"]) for row in rows} == {True, False}


def test_spans_match_their_text_and_stand_in_order():
    for rows in generate("ner").values():
        for row in rows:
            ends = [0]
            for entity in row["entities"]:
                assert row["text"][entity["start"] : entity["end"]] == entity["text"]
                assert entity["start"] >= ends[-1]
                ends.append(entity["end"])


def test_ner_noise_has_the_stated_rate_in_training_only():
    clean, noisy = (generate("ner", train=4000, label_noise=rate) for rate in (0.0, 0.1))
    assert noisy["validation"] == clean["validation"]
    assert noisy["test"] == clean["test"]
    assert inputs(noisy["train"]) == inputs(clean["train"])
    outcomes: Counter[str] = Counter()
    for true, given in zip(clean["train"], noisy["train"], strict=True):
        kept = {entity["start"]: entity["label"] for entity in given["entities"]}
        for entity in true["entities"]:
            label = kept.pop(entity["start"], None)
            outcomes["dropped" if label is None else "true" if label == entity["label"] else "wrong"] += 1
        assert not kept
    total = outcomes.total()
    # Five standard deviations of a share of 5 % of some 8,000 entities are 1.2 points.
    assert outcomes["dropped"] / total == pytest.approx(0.05, abs=0.012)
    assert outcomes["wrong"] / total == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize(("task", "column"), [("qa", "answer"), ("classification", "label")])
def test_choice_noise_has_the_stated_rate_in_training_only(task, column):
    clean, noisy = (generate(task, train=4000, label_noise=rate) for rate in (0.0, 0.1))
    assert noisy["validation"] == clean["validation"]
    assert noisy["test"] == clean["test"]
    assert inputs(noisy["train"]) == inputs(clean["train"])
    changed = [a[column] != b[column] for a, b in zip(clean["train"], noisy["train"], strict=True)]
    assert sum(changed) / len(changed) == pytest.approx(0.1, abs=0.024)
    assert labels(task, noisy["train"]) == labels(task, clean["train"])


def test_ambiguous_names_have_each_type_and_coined_ones_a_single_type():
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in generate("ner", train=4000, label_noise=0.0)["train"]:
        for entity in row["entities"]:
            types[entity["text"]][entity["label"]] += 1
    for language in LANGUAGES:
        for name in PHRASES[language].ambiguous:
            assert set(types.pop(name)) == set(AMBIGUOUS_TYPES)
    assert all(len(found) == 1 for found in types.values())


def test_a_domain_cue_means_another_type_in_each_domain():
    for language in LANGUAGES:
        cues = PHRASES[language].domain_cues
        for meanings in cues.values():
            assert sorted(meanings) == sorted(AMBIGUOUS_TYPES)
        for column in range(len(DOMAINS)):
            assert {meanings[column] for meanings in cues.values()} == set(AMBIGUOUS_TYPES)


def test_rare_types_are_rare():
    rows = generate("ner", label_noise=0.0)["test"]
    counts = Counter(entity["label"] for row in rows for entity in row["entities"])
    for label in RARE_TYPES:
        assert 0.005 < counts[label] / counts.total() < 0.05
    for label in COMMON_TYPES:
        assert counts[label] / counts.total() > 0.1


def test_some_texts_have_no_entity():
    assert any(not row["entities"] for row in generate("ner", label_noise=0.0)["test"])


def test_the_answer_is_the_only_name_of_the_type_that_is_asked_for():
    types = {name: kind for language in LANGUAGES for kind in TYPES for name in NAMES[language][kind]}
    ambiguous = {name for language in LANGUAGES for name in PHRASES[language].ambiguous}
    for row in generate("qa")["test"]:
        language = "ja" if has_japanese(row["context"]) else "en"
        asked = next(
            kind for kind, word in KINDS[language].items() if QUESTIONS[language].format(kind=word) == row["question"]
        )
        assert row["answer"] in row["context"]
        assert types.get(row["answer"], asked) == asked
        assert row["answer"] in types or (row["answer"] in ambiguous and asked in AMBIGUOUS_TYPES)
        others = [name for name in types if name in row["context"] and name != row["answer"]]
        assert asked not in {types[name] for name in others}


def test_wrong_answers_are_names_of_the_context():
    for row in generate("qa", label_noise=1.0)["train"]:
        assert row["answer"] in row["context"]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="task must be one of .*'poetry'"):
        generate("poetry")
    with pytest.raises(ValueError, match=r"label_noise must be in \[0, 1\], got 1.5"):
        generate("ner", label_noise=1.5)
