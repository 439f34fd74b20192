"""What class numbers stand for, as the `datasets` library describes it in its features and in its Parquet files."""

from collections.abc import Mapping, Sequence
from typing import Any

from scd_lightning.data.rows import as_whole


def named_columns(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns that hold class numbers, or lists of them, with the names of the classes.

    Args:
        features: Column -> feature, as `datasets.Features.to_dict()` has it.
    """
    found = {column: _names(feature) for column, feature in features.items()}
    return {column: names for column, names in found.items() if names is not None}


def _names(feature: Any) -> list[str] | None:
    if isinstance(feature, list) and len(feature) == 1:  # An older way to write a list.
        return _names(feature[0])
    if not isinstance(feature, Mapping):
        return None
    return list(feature["names"]) if feature.get("_type") == "ClassLabel" else _names(feature.get("feature"))


def apply_names(values: Mapping[str, Any], named: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A record with names in place of class numbers; what has no name stays.

    Args:
        values: Column -> value.
        named: Column -> names of its classes.
    """
    return {column: _named(value, named[column]) if column in named else value for column, value in values.items()}


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    number = as_whole(value)
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(names)
    return names[number] if known else value
