"""Names and labels in Markdown: they stand there as they are, whatever they spell."""

import re

_MARKS = re.compile(r"([\\`*_\[\]<>|~$&]|^#|^[+=-](?=[\s=-]|$)|(?<=^\d)[.)](?=\s))")


def inline(text: object) -> str:
    r"""A text in one line that begins no emphasis, link, element or cell.

    >>> inline("<b>x</b>|[a](b)"), inline("scd_aw"), inline("1. a")
    ('\\<b\\>x\\</b\\>\\|\\[a\\](b)', 'scd\\_aw', '1\\. a')
    """
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def code(text: object) -> str:
    """A text in one line as code.

    >>> code("a"), code("`a"), code("")
    ('`a`', '`` `a ``', '` `')
    """
    line = " ".join(str(text).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if not line or line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room if line else ''}{fence}"
