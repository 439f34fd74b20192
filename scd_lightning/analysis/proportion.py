"""How sure a share is that was counted."""

import math

# Two-sided 95 % of a normal distribution.
_Z = 1.959963984540054


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score, which stays within 0 and 1 and holds for small counts too.

    Args:
        hits: How many.
        count: Of how many, at least 1.

    >>> [round(bound, 4) for bound in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    share, spread = hits / count, _Z**2 / count
    middle = share + spread / 2
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    # At the ends, rounding alone would leave them.
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)
