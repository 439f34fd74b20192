"""Results as they are written down: without secrets, and with labels as the data have them."""

from collections.abc import Mapping
from typing import Any

from scd_lightning.redaction.cleaning import clean, clean_text

# Names that the data give: some are called `password`, and reports find answers by them.
_OF_DATA = ("labels", "unseen_labels", "metrics")
_SETTINGS = "settings"


def shown_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """The content of results.json or partial.json, whose numbers and names stay as they are.

    Args:
        results: JSON values.
    """
    return {name: inner if name in _OF_DATA else _shown(name, inner) for name, inner in results.items()}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, Mapping) and name == _SETTINGS:
        return {each: inner if each in _OF_DATA else clean({each: inner})[each] for each, inner in value.items()}
    if isinstance(value, Mapping):
        return shown_results(value)
    if isinstance(value, list | tuple):
        return [_shown("", inner) for inner in value]
    return clean_text(value) if isinstance(value, str) else value
