"""Labels that were written in several ways."""

from collections.abc import Sequence
from typing import Any

from scd_lightning.config.pasting import override_of
from scd_lightning.data.converters.base import RowConverter, with_values
from scd_lightning.data.rows import Row
from scd_lightning.data.spelling import as_name, look, spelled
from scd_lightning.errors import ConfigError


class MergedLabels(RowConverter):
    """Labels that mean the same to one of them, a row's own and those of its entities; others pass.

    Args:
        same: Labels to keep, to which those that look alike turn; in place of one a list of labels that mean the same,
            of which the first is kept.
    """

    answers = ("label", "entities")

    def __init__(self, same: Sequence[Any]) -> None:
        groups = [each if isinstance(each, Sequence) and not isinstance(each, str) else [each] for each in same]
        names = [[as_name(label) for label in group] for group in groups]
        if any(None in group or not group for group in names):
            expected = "labels to keep, or lists of labels that mean the same"
            raise ConfigError("Labels can't be merged", where="MergedLabels, same", got=same, expected=expected)
        self._kept = {name: group[0] for group in names for name in group if name is not None}
        self._alike = {look(name): kept for name, kept in self._kept.items()}

    def convert(self, row: Row) -> Row:
        """Writes the label that is kept for each that is not."""
        values = {"label": self._merged(row.values)} if "label" in row.values else {}
        if isinstance(entities := row.values.get("entities"), list):
            values["entities"] = [
                {**each, "label": self._merged(each)} if isinstance(each, dict) and "label" in each else each
                for each in entities
            ]
        return row if all(row.values[name] == value for name, value in values.items()) else with_values(row, **values)

    def _merged(self, labelled: Any) -> Any:
        name = as_name(labelled["label"])
        return labelled["label"] if name is None else self._kept.get(name) or self._alike.get(look(name), name)


def merging(groups: Sequence[Sequence[str]]) -> str:
    """The converter that makes labels one, as it is written on the command line.

    Args:
        groups: Labels that look alike, in each the one to keep first.
    """
    call = {"_target_": "scd_lightning.data.converters.MergedLabels", "same": [spelled(group[0]) for group in groups]}
    return override_of("task.data.converters", [call])
