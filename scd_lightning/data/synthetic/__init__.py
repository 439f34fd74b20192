"""The embedded data sets: generated, so that the whole method can be tried without a download.

All three tasks are written about one invented world (`synthetic_world`) in English and Japanese: some names must be
remembered, some can only be told by a cue some words away. The training labels carry a known rate of noise, so
that even a large model is not perfect. Each seed is a draw of rows; which split a text may stand in is a fixed matter
of the text (`synthetic_homes`), so no draw's training rows are another's test rows.
"""

from collections.abc import Callable
from functools import cache, partial
from inspect import signature
from random import Random
from typing import Any

from scd_lightning.data.synthetic.homes import draw
from scd_lightning.data.synthetic.text import write_sentence
from scd_lightning.data.synthetic.world import COMMON_TYPES, DOMAINS, LANGUAGES, NAMES, PHRASES, TYPES

Row = dict[str, Any]

KINDS = {
    "en": {"PERSON": "person", "COMPANY": "company", "PLACE": "place", "MEDICINE": "medicine", "PRODUCT": "product"},
    "ja": {"PERSON": "人", "COMPANY": "会社", "PLACE": "場所", "MEDICINE": "薬", "PRODUCT": "製品"},
}
QUESTIONS = {"en": "Which {kind} is named?", "ja": "{kind}はどれか。"}


def generate(
    task: str,
    *,
    train: int = 600,
    validation: int = 200,
    test: int = 600,
    seed: int = 0,
    label_noise: float = 0.02,
) -> dict[str, list[Row]]:
    """Generate an embedded data set.

    The texts of equal seeds are equal whatever the noise, and a smaller split is the beginning of a larger one, noise
    included. Every input is unique over all splits, and no text of a split stands in another one of any seed, task
    or size; validation and test labels are always true. A split of 30 rows or more has every label (every kind of
    question, in QA) and both languages.

    Args:
        task: "ner", "qa" or "classification".
        train: Number of training rows.
        validation: Number of validation rows.
        test: Number of test rows.
        seed: Draws the rows; the world they are about stays the same.
        label_noise: Share of training labels (entities, answers, classes) that are made wrong.

    Returns:
        The rows of each split, in the columns that a JSONL file of the task has.

    Raises:
        ValueError: For an unknown task or a noise rate outside [0, 1].
    """
    if task not in _TASKS:
        raise ValueError(f"task must be one of {sorted(_TASKS)}, got {task!r}")
    if not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise must be in [0, 1], got {label_noise}")
    write, corrupt = _TASKS[task]
    sizes = {"train": train, "validation": validation, "test": test}
    splits = {split: _split(write, f"{task} {split} {seed}", split, size) for split, size in sizes.items()}
    noise = Random(f"{task} noise {seed}")
    splits["train"] = [corrupt(noise, row, label_noise) for row in splits["train"]]
    return splits


def generate_texts(task: str, size: int, seed: int) -> list[Row]:
    """Generate texts without labels, of which none stands in a split of any seed; equal seeds begin alike.

    Args:
        task: "ner", "qa" or "classification".
        size: Number of texts, of questions about texts in QA.
        seed: Draws them, apart from what it draws of labelled rows.

    Returns:
        Rows as in `generate`, without the columns of labels.
    """
    write, _ = _TASKS[task]
    rows = draw("pool", size, partial(write, Random(f"{task} pool {seed}")), _input)
    inputs = ("question", "context", "text")
    return [{name: row[name] for name in inputs if name in row} for row in rows]


def answer_wording() -> list[str]:
    """The names of labels, classes and questions, which no text about the world holds."""
    classes = [f"{domain}: {kind.lower()}" for domain in DOMAINS for kind in COMMON_TYPES]
    questions = [QUESTIONS[language].format(kind=kind) for language in LANGUAGES for kind in KINDS[language].values()]
    return [*(f"{label}: " for label in TYPES), *classes, *questions]


def _split(write: Callable[[Random, int], Row], seed: str, split: str, size: int) -> list[Row]:
    """Write rows whose texts may stand in this split, none with the input of another."""
    rows = draw(split, size, partial(write, Random(seed)), _input)
    return [{"id": f"{split}-{index}", **row} for index, row in enumerate(rows)]


def _input(row: Row) -> tuple[str, str]:
    """The text, and the question about it where there is one."""
    return (row.get("text") or row["context"], row.get("question", ""))


def _ner_row(rng: Random, index: int) -> Row:
    """Alternate the languages; a split's first rows go through all types, so that it has them all."""
    forced = TYPES[index // 2] if index < 2 * len(TYPES) else None
    sentence = write_sentence(rng, LANGUAGES[index % 2], forced)
    return {"text": sentence.text, "entities": [vars(mention).copy() for mention in sentence.mentions]}


def _ner_noise(rng: Random, row: Row, rate: float) -> Row:
    """Give each entity, at the rate, a wrong type or drop it (half and half)."""
    entities = []
    for entity in row["entities"]:
        wrong = rng.choice([label for label in TYPES if label != entity["label"]])
        draw = rng.random()
        if draw >= rate:
            entities.append(entity)
        elif draw >= rate / 2:
            entities.append({**entity, "label": wrong})
    return {**row, "entities": entities}


def _qa_row(rng: Random, index: int) -> Row:
    """Ask for the one name of a common type, in a text that names something else besides; the answer is the name."""
    language = LANGUAGES[index % 2]
    kind = COMMON_TYPES[index // 2 % len(COMMON_TYPES)]
    while True:
        mentions = (sentence := write_sentence(rng, language)).mentions
        answers = [mention.text for mention in mentions if mention.label == kind]
        if len(answers) == 1 < len(mentions):
            question = QUESTIONS[language].format(kind=KINDS[language][kind])
            return {"question": question, "context": sentence.text, "answer": answers[0]}


def _qa_noise(rng: Random, row: Row, rate: float) -> Row:
    """Answer with another name of the text."""
    others = [name for name in _all_names() if name in row["context"] and name != row["answer"]]
    wrong = rng.choice(others)
    return {**row, "answer": wrong if rng.random() < rate else row["answer"]}


@cache
def _all_names() -> tuple[str, ...]:
    coined = (name for language in LANGUAGES for names in NAMES[language].values() for name in names)
    return (*coined, *(name for language in LANGUAGES for name in PHRASES[language].ambiguous))


def _classification_row(rng: Random, index: int) -> Row:
    """The class is the domain together with the main name's type; both take turns."""
    turn, language = divmod(index, len(LANGUAGES))
    turn, kind = divmod(turn, len(COMMON_TYPES))
    sentence = write_sentence(rng, LANGUAGES[language], COMMON_TYPES[kind], DOMAINS[turn % len(DOMAINS)])
    return {"text": sentence.text, "label": f"{sentence.domain}: {COMMON_TYPES[kind].lower()}"}


def _classification_noise(rng: Random, row: Row, rate: float) -> Row:
    """Keep the domain and get the type wrong."""
    domain, kind = row["label"].split(": ")
    wrong = rng.choice([other.lower() for other in COMMON_TYPES if other.lower() != kind])
    return {**row, "label": f"{domain}: {wrong}" if rng.random() < rate else row["label"]}


_TASKS: dict[str, tuple[Callable[[Random, int], Row], Callable[[Random, Row, float], Row]]] = {
    "ner": (_ner_row, _ner_noise),
    "qa": (_qa_row, _qa_noise),
    "classification": (_classification_row, _classification_noise),
}
# What `generate` takes where nothing else is said, the seed aside.
DEFAULTS = {name: each.default for name, each in signature(generate).parameters.items() if name not in ("task", "seed")}
