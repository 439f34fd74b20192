"""The pages for people: single files that load nothing from elsewhere, and may run no other script than their own."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import Response

_PAGES = Path(__file__).parent / "pages"
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def page(name: str) -> Response:
    """A page of this package, with headers that hold a browser to it.

    Args:
        name: Its file.
    """
    content, policy = _read(name)
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(content, headers=headers, media_type="text/html; charset=utf-8")


@cache
def _read(name: str) -> tuple[str, str]:
    """A page, and what a browser may do with it: its own script and style are told by their digests."""
    content = (_PAGES / name).read_text(encoding="utf-8")
    allowed = " ".join(f"{kind}-src {_digest(inside)};" for kind, inside in _INLINE.findall(content))
    return (
        content,
        f"default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; {allowed}",
    )


def _digest(inside: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
