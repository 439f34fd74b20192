"""Cutting the splits that a data set lacks, and the check that no sample stands in two."""

import random
from collections.abc import Mapping, Sequence, Set
from itertools import combinations

from scd_lightning.data.rows import Row
from scd_lightning.errors import DataError

SPLITS = ("train", "validation", "test")
# What a split's file, or a hub set's split, may be called.
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}

Splits = Mapping[str, Sequence[Row]]


def all_rows(splits: Splits) -> list[Row]:
    """The rows of all splits, one after the other."""
    return [row for part in splits.values() for row in part]


def as_lists(splits: Splits) -> dict[str, list[Row]]:
    """The same splits, each in a list of its own."""
    return {split: [*part] for split, part in splits.items()}


def cut_missing(
    given: Mapping[str, list[Row]], ratios: Mapping[str, float], seed: int, group_column: str | None
) -> tuple[dict[str, list[Row]], str]:
    """Cuts validation and test from train where they are missing.

    Rows of one group, or with the same input, always go to the same split.

    Args:
        given: Split -> rows; has "train".
        ratios: Split -> share of train's rows that it gets, for "validation" and "test".
        seed: Seed of the draw.
        group_column: Column that names a row's group, or None.

    Returns:
        The three splits and the rule in words.

    Raises:
        DataError: A row lacks the group column, or train is too small to cut.
    """
    missing = [split for split in SPLITS if split not in given]
    if not missing:
        return dict(given), "as given"
    groups = _groups(given["train"], group_column)
    order = list(groups)
    random.Random(seed).shuffle(order)
    splits = dict(given)
    for split in missing:
        wanted = max(1, round(ratios[split] * len(given["train"])))
        # Groups stay whole, so that a split may get some rows more than its share.
        taken: set[str] = set()
        while order and wanted > 0:
            taken.add(order[-1])
            wanted -= len(groups[order.pop()])
        splits[split] = _members(groups, taken)
    splits["train"] = _members(groups, set(order))
    if not all(splits.values()):
        raise DataError(
            f"Train is too small to cut {' and '.join(missing)} from it",
            where=given["train"][0].file,
            got=f"{len(given['train'])} rows in {len(groups)} groups",
            expected=f"at least {len(missing) + 1} groups",
            remedy="add rows, or files for the missing splits",
        )
    shares = ", ".join(f"{split} {ratios[split]:g}" for split in missing)
    grouped = f"grouped by {group_column}" if group_column else "equal inputs kept together"
    return splits, f"cut from train: {shares}, seed {seed}, {grouped}"


def _groups(rows: Sequence[Row], group_column: str | None) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = row.input_key if group_column is None else str(row.require(group_column, "the group column's value"))
        groups.setdefault(key, []).append(row)
    return groups


def _members(groups: Mapping[str, list[Row]], keys: Set[str]) -> list[Row]:
    return [row for key, rows in groups.items() if key in keys for row in rows]


def subsample(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    """At most `limit` rows, drawn by the seed, in their old order."""
    if limit is None or limit >= len(rows):
        return rows
    chosen = sorted(random.Random(seed).sample(range(len(rows)), limit))
    return [rows[i] for i in chosen]


def by_input(rows: Sequence[Row]) -> dict[str, Row]:
    """Rows by what a model reads of them; of equal ones the first."""
    return {row.input_key: row for row in reversed(rows)}


def check_overlap(rows: Mapping[str, Sequence[Row]], *, allowed: bool) -> dict[str, int]:
    """Counts the samples that stand in two splits.

    Args:
        rows: Split -> rows.
        allowed: Count only.

    Returns:
        "earlier/later" -> rows of the later split whose input stands in the earlier one too, where there are any.

    Raises:
        DataError: There are such samples and they are not allowed.
    """
    keys = {split: by_input(rows[split]) for split in SPLITS}
    counts, examples = {}, []
    for earlier, later in combinations(SPLITS, 2):
        common = [row for row in rows[later] if row.input_key in keys[earlier]]
        if common:
            counts[f"{earlier}/{later}"] = len(common)
            examples += [f"{keys[earlier][row.input_key].where} = {row.where}" for row in common[:2]]
    if counts and not allowed:
        raise DataError(
            "The same sample stands in two splits",
            where="; ".join(examples[:2]),
            got=", ".join(f"{pair}: {count}" for pair, count in counts.items()),
            expected="splits without common samples",
            remedy="remove them, or pass task.data.allow_overlap=true to let them pass, counted",
        )
    return counts
