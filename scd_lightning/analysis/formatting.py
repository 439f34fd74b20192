"""Numbers as people read them. What was not recorded is a dash."""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

MISSING = "–"


def _or_dash(format_number: Callable[[Any], str]) -> Callable[[Any], str]:
    @wraps(format_number)
    def number_or_dash(value: Any) -> str:
        """A dash for None, NaN and the infinities; anything else as the format has it."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return MISSING
        return format_number(value)

    return number_or_dash


@_or_dash
def number(value: Any) -> str:
    """Formats a metric or a loss; small ones in powers of ten, so that they don't read as zero.

    >>> number(0.8251), number(0.0), number(0.00002), number(None)
    ('0.825', '0.000', '2.0e-05', '–')
    """
    return f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


@_or_dash
def signed(value: Any) -> str:
    """Formats a difference with its sign."""
    return ("+" if value > 0 else "") + number(value)


@_or_dash
def share(value: Any) -> str:
    """Formats a share of a whole as a percentage."""
    return f"{100 * value:.1f} %"


@_or_dash
def count(value: Any) -> str:
    """Formats an integer with thousands set apart."""
    return f"{value:,.0f}"


@_or_dash
def short_count(value: Any) -> str:
    """Formats a count in three digits.

    >>> [short_count(each) for each in (840, 62_304, 109_000_000, 1_235_814_400)]
    ['840', '62.3k', '109M', '1.24B']
    """
    unit, sign = next((each for each in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if value >= each[0]), (1, ""))
    digits = 2 - (value >= 10 * unit) - (value >= 100 * unit)
    return f"{value / unit:.{digits if sign else 0}f}{sign}"


@_or_dash
def mean_count(value: Any) -> str:
    """Formats a mean of integers: a decimal only where it is none itself.

    >>> mean_count(191.0), mean_count(1190.5)
    ('191', '1,190.5')
    """
    return f"{value:,.1f}".removesuffix(".0")


@_or_dash
def duration(seconds: Any) -> str:
    """Formats seconds as the largest units that matter.

    >>> duration(3.21), duration(75), duration(7260)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@_or_dash
def size(size_bytes: Any) -> str:
    """Formats bytes in binary units.

    >>> size(512), size(3 * 2**20)
    ('512 B', '3.0 MiB')
    """
    return _in_units(size_bytes, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


# What templates may format values with, by the names of the functions.
FORMATS = (number, signed, share, count, mean_count, duration, size)


def disk_size(count: float) -> str:
    """Bytes for people.

    >>> disk_size(0), disk_size(999), disk_size(1_500_000), disk_size(2e12)
    ('0 B', '999 B', '1.5 MB', '2.0 TB')
    """
    return _in_units(count, 1000, ("B", "kB", "MB", "GB", "TB"))


def _in_units(value: float, step: int, units: Sequence[str]) -> str:
    place = 0
    while value >= step and place < len(units) - 1:
        value /= step
        place += 1
    return f"{value:.1f} {units[place]}" if place else f"{value:.0f} {units[0]}"
