"""Texts without labels: where they are read from, and what they may have in common with labelled rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scd_lightning.data.bad_rows import BadRows
from scd_lightning.data.files import read_only_file
from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.rows import Row
from scd_lightning.data.splits import by_input
from scd_lightning.errors import DataError

# What they are called beside the splits of labelled rows.
UNLABELLED = "unlabelled"
WHERE = "task.data.unlabelled"
# How a path begins that is no hub id, whether or not it exists.
_PATHS = (".", "/", "~")


@dataclass(frozen=True)
class Texts:
    """Rows without labels.

    Attributes:
        rows: What is used of them; labels are placeholders.
        facts: What results.json says: "source", "rows" as read, "labelled" ones among them, whose labels are not used,
            those left out as they stand "in_train" or "twice", and "overlap" with other splits where that is allowed.
        notes: What was recognised of them, a sentence each.
    """

    rows: list[Row]
    facts: Mapping[str, Any]
    notes: Sequence[str] = ()


def find_texts(source: str | HubSet, bad_rows: BadRows, notes: list[str]) -> tuple[list[Row], str]:
    """The rows of a folder, a file or a hub set, and where they come from, without local paths.

    Args:
        source: A path, a hub id, or all about a hub set.
        bad_rows: What becomes of rows that can't be read.
        notes: Takes a sentence for what was recognised of the files.

    Raises:
        DataError: They can't be had.
    """
    path = local_texts(source)
    if path is not None:
        rows = read_only_file(path, UNLABELLED, WHERE, bad_rows, notes)
        return rows, "local folder" if path.is_dir() else "local file"
    hub = HubSet(source) if isinstance(source, str) else source
    return hub.read_one(UNLABELLED, bad_rows), hub.origin


def local_texts(source: str | HubSet | None) -> Path | None:
    """The file or folder that texts without labels are named by, there or not; None of a hub set, or of none."""
    if not isinstance(source, str):
        return None
    path = Path(source).expanduser()
    return path if path.exists() or source.startswith(_PATHS) else None


def without_labels(rows: Sequence[Row], placeholders: Mapping[str, Any]) -> tuple[list[Row], int]:
    """Rows with placeholders in place of labels, and how many had labels.

    Args:
        rows: As they were read and converted.
        placeholders: Column of a label -> what stands there.
    """
    labelled = sum(any(row.values.get(column) is not None for column in placeholders) for row in rows)
    return [replace(row, values={**row.values, **placeholders}) for row in rows], labelled


def hold_against(
    texts: Sequence[Row], labelled: Mapping[str, Sequence[Row]], *, overlap_allowed: bool
) -> tuple[list[Row], dict[str, Any]]:
    """Leaves texts out that stand in train or twice; none may stand in what models are chosen and judged by.

    Args:
        texts: The texts.
        labelled: Split -> its rows.
        overlap_allowed: Whether such that stand in validation or test are used and counted.

    Returns:
        The texts that are used, and "in_train", "twice" and "overlap" as in `Texts`.

    Raises:
        DataError: Texts stand in validation or test, or none is left.
    """
    known = {split: by_input(rows) for split, rows in labelled.items()}
    held_out: dict[str, list[str]] = {"validation": [], "test": []}
    left: dict[str, Row] = {}
    out = Counter({"in_train": 0, "twice": 0})
    for row in texts:
        key = row.input_key
        for split, examples in held_out.items():
            if key in known[split]:
                examples.append(f"{row.where} = {known[split][key].where}")
        if key in known["train"]:
            out["in_train"] += 1
        elif key in left:
            out["twice"] += 1
        else:
            left[key] = row
    overlap = {split: len(examples) for split, examples in held_out.items() if examples}
    if overlap and not overlap_allowed:
        raise DataError(
            "Texts without labels stand in the splits that models are chosen and judged by",
            where="; ".join([each for examples in held_out.values() for each in examples[:2]][:2]),
            got=", ".join(f"{split}: {count}" for split, count in overlap.items()),
            expected="texts that are none of the validation and test inputs",
            remedy="remove them, or pass task.data.allow_overlap=true to let them pass, counted",
        )
    if not left:
        raise DataError(
            "No text without labels is left",
            where=WHERE,
            got=f"{len(texts)} rows, {out['in_train']} of them in train",
            expected="texts that train does not have",
        )
    return list(left.values()), {**out, "overlap": overlap}
