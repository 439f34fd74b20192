"""Checks of settings: numbers, names, signals."""

import math
import signal
from collections.abc import Sequence
from typing import Any

from scd_lightning.errors import ConfigError

# In minutes: libraries count milliseconds in numbers that have an end.
_LONGEST_WAIT = 7 * 24 * 60


def require_one_of(allowed: Sequence[str], *, what: str | None = None, **arguments: str) -> None:
    """Raises a ConfigError for the first argument that is none of the names allowed.

    Args:
        allowed: The names.
        what: What is wrong, for the message; None: that the setting is unknown.
        **arguments: Place in the configuration -> value.
    """
    *others, last = allowed
    for place, value in arguments.items():
        if value not in allowed:
            unknown = f"{place.partition('.')[2]} is unknown"
            expected = f"{', '.join(others)} or {last}" if others else last
            raise ConfigError(what or unknown, where=place, got=value, expected=expected)


def require_at_least(minimum: float, **arguments: float | None) -> None:
    """Raises a ConfigError for the first argument that is no number from the minimum; None passes."""
    for name, value in arguments.items():
        if value is not None and not (isinstance(value, int | float) and value >= minimum):
            raise ConfigError("A number is too small", where=name, got=value, expected=f"{minimum} or more")


def require_positive(**arguments: float) -> None:
    """Raises a ConfigError for the first argument that is no finite number above 0."""
    for name, value in arguments.items():
        if not 0 < value < math.inf:
            raise ConfigError("A factor can't be used", where=name, got=value, expected="a finite number above 0")


def require_share(**arguments: float) -> None:
    """Raises a ConfigError that names the argument and its value if one is no part of a whole, neither none nor all."""
    for name, value in arguments.items():
        if not 0 < value < 1:
            raise ConfigError("There is no such share", where=name, got=value, expected="above 0 and below 1")


def require_wait(**arguments: Any) -> None:
    """Raises a ConfigError for the first argument that is no number of minutes that a library can wait for."""
    for name, value in arguments.items():
        if type(value) not in (int, float) or not 0 < value <= _LONGEST_WAIT:
            expected = f"minutes above 0 and up to {_LONGEST_WAIT}, a week"
            raise ConfigError("Nothing can wait so long", where=name, got=value, expected=expected)


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
