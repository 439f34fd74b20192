"""Tables and paragraphs in Markdown."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean, stdev

from scd_lightning.analysis.formatting import MISSING, number

_WIDTH = 120


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table, the first columns of text and the others of numbers."""
    rule = ["---"] * text + ["---:"] * (len(head) - text)
    return "\n".join(f"| {' | '.join(each)} |" for each in (head, rule, *rows))


def spread(values: Mapping[int, float]) -> str:
    """Mean and sample standard deviation over draws.

    >>> spread({10: 0.5, 11: 0.7}), spread({10: 0.5}), spread({})
    ('0.600 ±0.141', '0.500', '–')
    """
    if not values:
        return MISSING
    mean = number(fmean(values.values()))
    return f"{mean} ±{number(stdev(values.values()))}" if len(values) > 1 else mean


def listed(draws: Iterable[int]) -> str:
    """Draws in words.

    >>> listed([10, 11, 12]), listed([10, 12]), listed([10])
    ('10 to 12', '10, 12', '10')
    """
    found = sorted(draws)
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found))


def paragraphs(*texts: str) -> str:
    """Joins the parts of a page, each plain one filled to the width of a line; empty ones are left out."""
    fill = partial(textwrap.fill, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    filled = [part if part.startswith(("#", "|", "-", "!", "    ")) else fill(part) for part in texts if part]
    return "\n\n".join(filled)
