"""Checks of a task's settings."""

from collections.abc import Sequence

from scd_lightning.errors import ConfigError


def check_numbers(**values: int | None) -> None:
    """Raises ConfigError where a setting is neither None nor a whole number from 1."""
    for name, value in values.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"{name} can't be used", where=f"task.{name}", got=value, expected="a number from 1")


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises ConfigError where a setting is not one of those allowed."""
    if value not in allowed:
        expected = f"one of {', '.join(allowed)}"
        raise ConfigError(f"{name} is unknown", where=f"task.{name}", got=value, expected=expected)
