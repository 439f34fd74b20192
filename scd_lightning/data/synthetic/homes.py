"""Where a generated text may stand: a fixed matter of the text alone.

So what a model is tested on was never trained on, by it or by its base model, whatever the task, the seed and the
sizes: splits, the pool of texts without labels and the base models' corpus share no text.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")
# Home -> its share of all texts, in percent.
SHARES = {"train": 25, "validation": 10, "test": 15, "pool": 25, "corpus": 25}


def home(text: str) -> str:
    """The one place where a text may stand: "train", "validation", "test", "pool" or "corpus".

    Args:
        text: The sentence that a row is about; of a question, its context.
    """
    place = int.from_bytes(sha256(text.encode()).digest()[:8], "big") % 100
    for name, share in SHARES.items():
        place -= share
        if place < 0:
            return name
    raise AssertionError("the shares add up to 100")


def draw(place: str, size: int, write: Callable[[int], T], key: Callable[[T], tuple[str, ...]]) -> list[T]:
    """Draws different things whose texts may stand in one place; a smaller number is the beginning of a larger one.

    Args:
        place: Where, see `home`.
        size: How many.
        write: Writes one, given how many there are.
        key: What makes two the same; its first part is the text.
    """
    seen, found = set[tuple[str, ...]](), list[T]()
    while len(found) < size:
        each = write(len(found))
        if (own := key(each)) not in seen and home(own[0]) == place:
            seen.add(own)
            found.append(each)
    return found
