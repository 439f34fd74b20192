"""Text of the user's in Markdown: it is shown as it is, and neither markup nor HTML."""

import re


def in_line(text: object) -> str:
    r"""A text within a line or a table's cell.

    >>> print(in_line("a|b <b>\n`c`"))
    a\|b \<b> \`c\`
    """
    return " ".join(re.sub(r"([\\`<|*])", r"\\\1", str(text)).split())


def code(text: object) -> str:
    """A text as code, in as many backticks as it takes.

    >>> print(code("scd_aw"), code("say `x`"))
    `scd_aw` `` say `x` ``
    """
    line = " ".join(str(text).split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{line}{room}{fence}"
