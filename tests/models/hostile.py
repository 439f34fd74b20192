"""Files that no program should have written: what a reader of foreign files must refuse in a paragraph."""

import json
import random
from collections.abc import Iterator

HTML = b"<!DOCTYPE html><html><head><title>403</title></head><body>Sign in to download</body></html>\n" * 3
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f3a\nsize 4821\n"
NO_NUMBER: tuple[object, ...] = (None, "x", -1, 10**13, float("inf"), [], {"a": 1})


def spoilt(content: bytes, count: int = 12, seed: int = 0) -> Iterator[bytes]:
    """A file cut short, replaced, and with bytes of it changed or taken out."""
    drawn = random.Random(seed)
    yield from (content[:at] for at in (0, 1, 9, len(content) // 3, len(content) // 2, len(content) - 3))
    yield from (HTML, POINTER, bytes(2000), b"\xff\xfe" + content, content[:4] + HTML, content[:4] + b"\xff" * 2000)
    for _ in range(count):
        changed, at = bytearray(content), drawn.randrange(len(content) - 9)
        changed[at : at + 4] = drawn.randbytes(4)
        yield bytes(changed)
        yield content[:at] + content[at + drawn.randrange(1, 9) :]


def no_json(content: bytes) -> Iterator[bytes]:
    """A text of JSON that is none, or of another kind, or nested beyond what is read."""
    yield from spoilt(content, count=0)
    yield from (b"null", b"7", b'"x"', b"[1]", b"{}", b"[" * 50_000, b'{"a":' * 20_000, b"9" * 5_000, b'{"a": NaN')
    yield content.decode().encode("utf-16")


def other_values(content: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """A JSON object with one value, at any depth, that is of another type, out of all bounds, or gone."""
    drawn, places = random.Random(seed), list(_places(json.loads(content)))
    for _ in range(count):
        path, other = drawn.choice(places), drawn.choice((*NO_NUMBER, "gone"))
        root = json.loads(content)
        node = root
        for step in path[:-1]:
            node = node[step]
        if other == "gone":
            del node[path[-1]]
        else:
            node[path[-1]] = other
        yield f"{'.'.join(map(str, path))}: {other!r}", json.dumps(root).encode()


def _places(node: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    # Of a vocabulary or merges a few stand for all.
    entries = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())[:30]
    for step, value in entries:
        yield (*path, step)
        yield from _places(value, (*path, step))
