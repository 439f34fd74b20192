"""Where a generated text may stand: a fixed matter of the text alone.

So what a model is tested on was never trained on, by it or by its base model, whatever the task, the seed and the
sizes: splits, the pool of texts without labels and the base models' corpus share no text.
"""

from hashlib import sha256

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
