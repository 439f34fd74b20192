"""HTML pages from the templates beside this file. Whatever comes from data or configuration is escaped."""

import json
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scd_lightning.analysis.formatting import FORMATS


def environment(*, escape: bool) -> Environment:
    """What fills the templates beside this file; `FORMATS` are its filters.

    Args:
        escape: Whether values are escaped for HTML.
    """
    made = Environment(
        loader=PackageLoader("scd_lightning.analysis"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {each.__name__: each for each in FORMATS}
    return made


def render(template: str, **context: Any) -> str:
    """Fills a template of a page."""
    return _pages().get_template(template).render(**context)


@cache
def _pages() -> Environment:
    """Keeps what the templates are compiled to, for the jobs of a sweep."""
    return environment(escape=True)


def script_json(value: Any) -> str:
    r"""JSON that can stand in a <script> element: nothing in it ends the element, opens a comment or breaks a line.

    >>> script_json({"a": "</script><!--"})
    '{"a":"\\u003c/script>\\u003c!--"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Lone surrogates, which JSON can hold and UTF-8 can't, go the same way.
    return re.sub("[<&\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
