"""Tasks as Label Studio exports them: a text in `data`, what people marked in `annotations`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scd_lightning.data.rows import Row
from scd_lightning.data.splits import Splits, all_rows, as_lists
from scd_lightning.errors import DataError

# The first is what it is called now, the others were and are in other exports.
_ANNOTATED = ("annotations", "completions", "result")
_OTHERS = (*_ANNOTATED, "data", "predictions", "drafts", "meta")


def unwrap_tasks(task: str, splits: Splits, notes: list[str], renamed: Collection[str]) -> dict[str, list[Row]]:
    """Rows with a task's own columns and what was marked in it, where all rows are such tasks; else as they are.

    Args:
        task: "ner", "qa" or "classification".
        splits: Split -> rows as they were read.
        notes: Takes a sentence for what was recognised.
        renamed: Columns that get another name afterwards.

    Raises:
        DataError: Texts were annotated several times, or none was.
    """
    rows = all_rows(splits)
    if not rows or not all(_is_task(row) for row in rows):
        return as_lists(splits)
    several = [row for row in rows if len(_answers(row)) > 1]
    if several:
        raise DataError(
            "Texts were annotated several times",
            where=several[0].where,
            got=f"{len(several)} of {len(rows)} rows with more than one annotation, not the same",
            expected="one annotation of each text, or one that is marked as ground truth",
            remedy="keep one of each row's annotations, such as the reviewed one, and export or write the file again",
        )
    without = sum(not _answers(row) for row in rows)
    if without == len(rows):
        raise _unannotated(rows)
    left_out = f" {without} of them have no annotation, or were skipped, and are left out." if without else ""
    notes.append(f"The rows are Label Studio's tasks with their annotations, and read so.{left_out}")
    sole = len({name for row in rows for name in _choices(row)}) == 1
    return {
        split: [_of_task(task, row, renamed, sole) for row in part if _answers(row)] for split, part in splits.items()
    }


def unwrap_texts(rows: Sequence[Row], notes: list[str], renamed: Collection[str]) -> list[Row]:
    """The same of texts without labels: what was marked in them is for none to read, and all of them are kept."""
    if not rows or not all(isinstance(row.values.get("data"), dict) for row in rows):
        return [*rows]
    notes.append("The texts without labels are Label Studio's tasks, and read so.")
    return [_with(row, _own(row, renamed)) for row in rows]


def _is_task(row: Row) -> bool:
    annotated = any(isinstance(row.values.get(name), list) for name in _ANNOTATED)
    return isinstance(row.values.get("data"), dict) and annotated


def _answers(row: Row) -> list[list[Any]]:
    """What each annotation of a task holds that was not cancelled; of equal ones, or beside a ground truth, one."""
    if isinstance(row.values.get("result"), list):
        return [row.values["result"]]
    given: list[Any] = next((row.values[name] for name in _ANNOTATED if isinstance(row.values.get(name), list)), [])
    done = [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
    kept = [each for each in done if each.get("ground_truth")][:1] or done
    results = [each["result"] for each in kept if isinstance(each.get("result"), list)]
    return [each for i, each in enumerate(results) if _marks(each) not in map(_marks, results[:i])]


def _marks(result: Sequence[Any]) -> list[tuple[Any, Any]]:
    """What results have in common that say the same: each has an id of its own, and their order says nothing."""
    return sorted(((each.get("from_name"), each.get("value")) for each in result if isinstance(each, dict)), key=repr)


def _of_task(task: str, row: Row, renamed: Collection[str], sole: bool) -> Row:
    columns = _own(row, renamed)
    if task == "ner":
        return _with(row, columns | {"entities": list(_regions(row))})
    if task == "classification":
        # One question is the label; of several, task.data.columns may name it.
        chosen = _choices(row)
        label = {"label": next(iter(chosen.values()))} if sole and chosen else {}
        return _with(row, columns | chosen | label)
    return _with(row, columns)


def _own(row: Row, renamed: Collection[str]) -> dict[str, Any]:
    """The columns of a task's data, its only text as `text`."""
    columns = dict(row.values["data"])
    texts = [name for name, value in columns.items() if isinstance(value, str)]
    if "text" not in columns and len(texts) == 1 and texts[0] not in renamed:
        columns["text"] = columns[texts[0]]
    return columns


def _with(row: Row, columns: Mapping[str, Any]) -> Row:
    kept = {name: value for name, value in row.values.items() if name not in _OTHERS}
    return replace(row, values={**kept, **columns})


def _values(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of the control and the value of each mark."""
    for answer in _answers(row)[:1]:
        for each in answer:
            if isinstance(each, dict) and isinstance(each.get("value"), dict):
                yield str(each.get("from_name", "label")), each["value"]


def _regions(row: Row) -> Iterator[dict[str, Any]]:
    """Marked parts of the text; of hypertext, the offsets in all of it stand beside those in an element."""
    for _, value in _values(row):
        if "labels" in value:
            offsets = value.get("globalOffsets")
            yield {**value, **offsets} if isinstance(offsets, dict) else value


def _choices(row: Row) -> dict[str, list[Any]]:
    """What was chosen, by the name of the question."""
    found: dict[str, list[Any]] = {}
    for name, value in _values(row):
        if isinstance(value.get("choices"), list):
            found.setdefault(name, []).extend(value["choices"])
    return found


def _unannotated(rows: Sequence[Row]) -> DataError:
    guessed = sum(bool(row.values.get("predictions")) for row in rows)
    models = f"; {guessed} have a model's predictions, which are not read as labels" if guessed else ""
    return DataError(
        "None of Label Studio's tasks has an annotation",
        where=rows[0].file,
        got=f"{len(rows)} tasks without one, or skipped{models}",
        expected="tasks that people have annotated",
        remedy="annotate some and export them; as texts without labels: task.data.unlabelled=",
    )
