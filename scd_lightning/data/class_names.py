"""What class numbers stand for, as the `datasets` library describes it in its features and in its Parquet files."""

from collections.abc import Mapping, Sequence
from typing import Any

from scd_lightning.data.rows import as_whole

# Names of a column's classes; of one that holds objects, those of each of its fields that has classes.
Names = Sequence[str] | Mapping[str, Any]


def named_columns(features: Mapping[str, Any]) -> dict[str, Names]:
    """The columns that hold class numbers, or lists or objects with them, with the names of the classes.

    Args:
        features: Column -> feature, as `datasets.Features.to_dict()` has it.
    """
    found = {column: _names(feature) for column, feature in features.items()}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> Names | None:
    if isinstance(feature, list) and len(feature) == 1:  # An older way to write a list.
        return _names(feature[0])
    if not isinstance(feature, Mapping):
        return None
    if feature.get("_type") == "ClassLabel":
        return list(feature["names"])
    # A feature says its kind; an object is its fields.
    return _names(feature.get("feature")) if "_type" in feature else named_columns(feature)


def apply_names(values: Mapping[str, Any], named: Mapping[str, Names]) -> dict[str, Any]:
    """A record with names in place of class numbers; what has no name stays.

    Args:
        values: Column -> value.
        named: Column -> names of its classes.
    """
    return {column: _named(value, named[column]) if column in named else value for column, value in values.items()}


def _named(value: Any, names: Names) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(names, Mapping):
        return apply_names(value, names) if isinstance(value, dict) else value
    number = as_whole(value)
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(names)
    return names[number] if known else value
