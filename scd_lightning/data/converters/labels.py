"""Labels that were written in several ways."""

from collections.abc import Sequence
from typing import Any

from scd_lightning.data.converters.base import RowConverter, with_values
from scd_lightning.data.rows import Row
from scd_lightning.data.spelling import as_name
from scd_lightning.errors import ConfigError


class MergedLabels(RowConverter):
    """Labels that mean the same to one of them, a row's own and those of its entities; others pass.

    Args:
        same: Lists of labels that mean the same; the first of each stays.
    """

    answers = ("label", "entities")

    def __init__(self, same: Sequence[Sequence[Any]]) -> None:
        groups = [[as_name(label) for label in group] for group in same]
        if not all(groups) or any(None in group for group in groups):
            expected = "lists of labels, such as [[Spam, SPAM]]"
            raise ConfigError("Labels can't be merged", where="MergedLabels, same", got=same, expected=expected)
        self.first = {label: group[0] for group in groups for label in group}

    def convert(self, row: Row) -> Row:
        """Writes the first of a list for each of its labels."""
        values = {"label": self._merged(row.values)} if "label" in row.values else {}
        if isinstance(entities := row.values.get("entities"), list):
            values["entities"] = [
                {**each, "label": self._merged(each)} if isinstance(each, dict) and "label" in each else each
                for each in entities
            ]
        return row if all(row.values[name] == value for name, value in values.items()) else with_values(row, **values)

    def _merged(self, labelled: Any) -> Any:
        return self.first.get(as_name(labelled["label"]), labelled["label"])


def merging(groups: Sequence[Sequence[str]]) -> str:
    """The converter that makes labels one, as it is written on the command line."""
    same = ", ".join(f"[{', '.join(map(_quoted, group))}]" for group in groups)
    return f"'task.data.converters=[{{_target_: scd_lightning.data.converters.MergedLabels, same: [{same}]}}]'"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
