"""Questions as other sets have them: choices with letters, answers by letter or text, SQuAD's answers with places."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scd_lightning.data.cells import list_cell
from scd_lightning.data.rows import Row, as_whole, is_blank, whole_number
from scd_lightning.data.splits import Splits, all_rows, as_lists
from scd_lightning.errors import DataError

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Other names of our columns, in the sets that have their forms.
_NAMES = {
    "question": ("question_stem",),
    "context": ("passage", "article"),
    "choices": ("options",),
    "answer": ("answerKey", "answer_idx"),
}
_ASKED = ("stem", "text")


@dataclass(frozen=True)
class _Choices:
    """A row's choices.

    Attributes:
        texts: What they say.
        names: What an answer calls them by.
    """

    texts: list[str]
    names: list[str]


def recognise_questions(splits: Splits, notes: list[str]) -> dict[str, list[Row]]:
    """Rows with choices as a list and answers as an index or a text, where those of the data are in a known form.

    Args:
        splits: Split -> rows, columns renamed.
        notes: Takes a sentence for what was recognised.
    """
    renamed = {split: [_renamed(row) for row in part] for split, part in splits.items()}
    rows = all_rows(renamed)
    if renamed != splits:
        notes.append("Questions, contexts, choices or answers stand under other names, and are read so.")
    choices = {id(row): _choices(row) for row in rows}
    chosen = [row for row in rows if choices[id(row)] is not None]
    if not chosen:
        return _with_texts(renamed, notes)
    read, form = _answers(chosen, choices)
    if apart := sum(not _is_plain(row) for row in chosen):
        notes.append(f"{apart} questions have choices with names or in columns, and are read so.")
    if form is not None:
        notes.append(f"Answers are {form}, and read so.")
    return {split: [_filled(row, choices[id(row)], read) for row in part] for split, part in renamed.items()}


def _renamed(row: Row) -> Row:
    """A row under our names, and a question apart from the choices that stand in it."""
    values = dict(row.values)
    asked = values.get("question")
    if isinstance(asked, dict) and any(isinstance(asked.get(name), str) for name in _ASKED):
        text = next(asked[name] for name in _ASKED if isinstance(asked.get(name), str))
        values |= {"question": text} | ({"choices": asked["choices"]} if "choices" in asked else {})
    for ours, others in _NAMES.items():
        theirs = next((name for name in others if name in values), None)
        if ours not in values and theirs is not None:
            values[ours] = values[theirs]
    return row if values == row.values else replace(row, values=values)


def _choices(row: Row) -> _Choices | None:
    """The choices of a row in whichever form they are; None where they are in none, or not there."""
    try:
        value = list_cell(row, "choices")
    except DataError:  # It is said where the row is checked.
        return None
    if value is None:
        return _in_columns(row)
    if isinstance(value, Mapping):
        return _named_apart(value) or _named_each(value)
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        names, texts = ([each.get(field) for each in value] for field in ("label", "text"))
        return _of(texts, names)
    return _of(value, _LETTERS[: len(value)]) if isinstance(value, list) else None


def _named_apart(value: Mapping[str, Any]) -> _Choices | None:
    """Of `{"label": ["A", "B"], "text": ["one", "two"]}`."""
    texts, names = value.get("text"), value.get("label")
    return _of(texts, names) if isinstance(texts, list) and isinstance(names, list) else None


def _named_each(value: Mapping[str, Any]) -> _Choices | None:
    """Of `{"A": "one", "B": "two"}`."""
    return _of([*value.values()], [*value])


def _in_columns(row: Row) -> _Choices | None:
    """Of columns that are called A, B and so on."""
    for letters in (_LETTERS, _LETTERS.lower()):
        names = [letter for letter in letters if not is_blank(row.values.get(letter))]
        if len(names) > 1 and names == [*letters[: len(names)]]:
            return _of([str(as_whole(row.values[name])) for name in names], [*_LETTERS[: len(names)]])
    return None


def _of(texts: Sequence[Any], names: Sequence[Any]) -> _Choices | None:
    fitting = len(texts) == len(names) == len({str(name) for name in names}) and len(texts) > 1
    if not fitting or not all(isinstance(text, str) for text in texts):
        return None
    return _Choices([*texts], [str(name).strip() for name in names])


def _is_plain(row: Row) -> bool:
    value = row.values.get("choices")
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


# What makes an index of an answer, None where it can't.
Reading = Callable[[Any, _Choices], int | None]


def _by_name(answer: Any, choices: _Choices) -> int | None:
    name = str(as_whole(answer)).strip()
    # As it stands, else in upper case, else without what letters are written with, such as "(B)", "B." or a wide one.
    for form in (str, str.upper, _bare):
        known = [form(each) for each in choices.names]
        if form(name) in known:
            return known.index(form(name))
    return None


def _bare(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip(" ().").upper()


def _by_number(answer: Any, choices: _Choices) -> int | None:
    index = whole_number(answer) if isinstance(answer, str) else None
    return index if isinstance(index, int) and 0 <= index < len(choices.texts) else None


def _by_text(answer: Any, choices: _Choices) -> int | None:
    texts = [text.strip() for text in choices.texts]
    found = answer.strip() if isinstance(answer, str) else None
    return texts.index(found) if found is not None and texts.count(found) == 1 else None


_READINGS: dict[str, Reading] = {
    "letters or names of choices": _by_name,
    "texts of choices": _by_text,
    "indices of choices as text": _by_number,
}


def _answers(rows: Sequence[Row], choices: Mapping[int, _Choices | None]) -> tuple[Reading | None, str | None]:
    """How answers name their choices, if one way goes for all of them and no other says otherwise; else none."""
    given = [
        (row.values["answer"], found)
        for row in rows
        if (found := choices[id(row)]) is not None and not is_blank(row.values.get("answer"))
    ]
    named = any(found.names != [*_LETTERS[: len(found.names)]] for _, found in given)
    if not named and not any(isinstance(answer, str) for answer, _ in given):
        return None, None
    found_indices = {form: [read(*each) for each in given] for form, read in _READINGS.items()}
    fitting = {form: indices for form, indices in found_indices.items() if None not in indices}
    form = next(iter(fitting), None)
    if form is None or any(indices != fitting[form] for indices in fitting.values()):
        return None, None
    return _READINGS[form], form


def _filled(row: Row, choices: _Choices | None, read: Reading | None) -> Row:
    if choices is None:
        return row
    answer = row.values.get("answer")
    index = read(answer, choices) if read is not None and not is_blank(answer) else None
    return replace(row, values=row.values | {"choices": choices.texts} | ({} if index is None else {"answer": index}))


def _with_texts(splits: Splits, notes: list[str]) -> dict[str, list[Row]]:
    """Rows with SQuAD's answers as a list of texts, each once; a question without any has none."""
    texts = {id(row): found for part in splits.values() for row in part if (found := _texts(row)) is not None}
    if not texts:
        return as_lists(splits)
    empty = sum(not found for found in texts.values())
    without = f" {empty} questions have no answer in their context." if empty else ""
    notes.append(f"{len(texts)} questions have answers with places as SQuAD has them, and are read so.{without}")
    return {split: [_answered(row, texts.get(id(row))) for row in part] for split, part in splits.items()}


def _texts(row: Row) -> list[str] | None:
    answers = row.values.get("answers", row.values.get("answer"))
    if isinstance(answers, Mapping):
        found = answers.get("text")
    elif isinstance(answers, list) and all(isinstance(each, Mapping) for each in answers) and "answers" in row.values:
        found = [each.get("text") for each in answers]
    else:
        return None
    strings = isinstance(found, list) and all(isinstance(each, str) for each in found)
    return list(dict.fromkeys(found)) if isinstance(found, list) and strings else None


def _answered(row: Row, texts: list[str] | None) -> Row:
    return row if texts is None else replace(row, values={**row.values, "answer": texts or None})
