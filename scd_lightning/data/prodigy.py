"""What Prodigy writes beside its examples: whether each was accepted, and which options were."""

from collections import Counter
from dataclasses import replace

from scd_lightning.data.rows import Row
from scd_lightning.data.splits import Splits, all_rows, as_lists

# No set: a value may be a list.
_ANSWERS = ("accept", "reject", "ignore")
_MARKS = {"_task_hash", "_input_hash", "spans", "accept"}


def keep_accepted(splits: Splits, notes: list[str]) -> dict[str, list[Row]]:
    """Rows that were accepted, with the option that was as label, where the data are Prodigy's; else all of them.

    What was rejected is not what stands in the row, and what was ignored was not looked at.

    Args:
        splits: Split -> rows.
        notes: Takes a sentence for what was recognised.
    """
    rows = all_rows(splits)
    if not rows or not all(_is_example(row) for row in rows):
        return as_lists(splits)
    counts = Counter(row.values["answer"] for row in rows)
    others = counts.total() - counts["accept"]
    left_out = f" {counts['reject']} were rejected and {counts['ignore']} ignored: they are left out." if others else ""
    notes.append(f"The rows are Prodigy's, and read so.{left_out}")
    return {
        split: [_with_label(row) for row in part if row.values["answer"] == "accept"] for split, part in splits.items()
    }


def _is_example(row: Row) -> bool:
    return row.values.get("answer") in _ANSWERS and bool(_MARKS & row.values.keys())


def _with_label(row: Row) -> Row:
    accepted = row.values.get("accept")
    if "label" in row.values or not isinstance(accepted, list):
        return row
    return replace(row, values={**row.values, "label": accepted})
