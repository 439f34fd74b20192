"""Student's t distribution, as far as intervals need it: for a whole number of degrees of freedom."""

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt


@lru_cache
def two_sided_quantile(level: float, freedom: int) -> float:
    """How many standard errors on either side hold a share of Student's t distribution.

    Args:
        level: The share, above 0 and below 1.
        freedom: Degrees of freedom, 1 or more.

    Raises:
        ValueError: One of them is out of its range.

    >>> round(two_sided_quantile(0.95, 2), 3)
    4.303
    """
    if not 0 < level < 1 or freedom < 1:
        raise ValueError(f"level must be in (0, 1) and freedom 1 or more, got {level} and {freedom}")
    # The share grows with the angle, which has an end; t itself has none. 80 halvings are more than a double can tell.
    low, high = 0.0, pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _share(middle, freedom) < level else (low, middle)
    return sqrt(freedom) * sin(low) / cos(low)


def two_sided_share(errors: float, freedom: int) -> float:
    """The share of Student's t distribution within so many standard errors on either side: the quantile's inverse.

    Args:
        errors: Standard errors, 0 or more.
        freedom: Degrees of freedom, 1 or more.

    Raises:
        ValueError: One of them is out of its range.

    >>> round(two_sided_share(4.303, 2), 3)
    0.95
    """
    if not errors >= 0 or freedom < 1:
        raise ValueError(f"errors must be 0 or more and freedom 1 or more, got {errors} and {freedom}")
    return _share(atan(errors / sqrt(freedom)), freedom)


def _share(angle: float, freedom: int) -> float:
    """The share between -t and t, by angle = atan(t / sqrt(n)): Abramowitz and Stegun 26.7.3 and 26.7.4."""
    odd = freedom % 2
    term, total = (cos(angle) if odd else 1.0), 0.0
    for step in range(freedom // 2):
        total += term
        # Odd: x 2/3, x 4/5, ...; even: x 1/2, x 3/4, ...
        factor = 2 * step + 2 if odd else 2 * step + 1
        term *= factor / (factor + 1) * cos(angle) ** 2
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
