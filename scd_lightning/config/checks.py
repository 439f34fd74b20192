"""Checks of settings: numbers, names, signals."""

import math
import signal
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


def require_at_least(minimum: float, **arguments: float | None) -> None:
    """Raises a ConfigError for the first argument that is a number below the minimum; None passes."""
    for name, value in arguments.items():
        if value is not None and value < minimum:
            raise ConfigError("A number is too small", where=name, got=value, expected=f"{minimum} or more")


def require_positive(**arguments: float) -> None:
    """Raises a ConfigError for the first argument that is no finite number above 0."""
    for name, value in arguments.items():
        if not 0 < value < math.inf:
            raise ConfigError("A factor can't be used", where=name, got=value, expected="a finite number above 0")


def signal_number(name: str) -> signal.Signals:
    """The signal of a name.

    Raises:
        ConfigError: There is none, or no process can handle it.
    """
    found = signal.Signals.__members__.get(name)
    if found is None or name in ("SIGKILL", "SIGSTOP"):
        raise ConfigError(
            "A run can't end at such a signal",
            where="resume.signals",
            got=name,
            expected="names of signals that a process can handle, such as SIGTERM, SIGUSR1 or SIGUSR2",
        )
    return found
