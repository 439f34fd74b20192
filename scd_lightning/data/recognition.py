"""What other tools write of a task's rows, to our form: all of it, for each task."""

from collections.abc import Mapping, Sequence

from scd_lightning.data.annotations import recognise_entities, recognise_labels
from scd_lightning.data.offsets import recount
from scd_lightning.data.rows import Row

_OF_TASK = {"ner": (recognise_entities, recount), "classification": (recognise_labels,)}


def recognise(task: str, splits: Mapping[str, Sequence[Row]], notes: list[str]) -> dict[str, list[Row]]:
    """Rows in our form, where those of the data are in one that is known; others stay as they are.

    Args:
        task: "ner", "qa" or "classification".
        splits: Split -> rows, columns renamed.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: The rows together are in a form that can't be read with certainty.
    """
    rows = {split: [*part] for split, part in splits.items()}
    for each in _OF_TASK.get(task, ()):
        rows = each(rows, notes)
    return rows
