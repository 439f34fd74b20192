"""How much a server takes: of a request, of a text, and of all that wait."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What is more than this is refused, before it costs memory or time.

    Attributes:
        texts: Most texts of a request.
        characters: Most characters of a text, or of a row's fields together.
        body: Most bytes of a request's body.
        queue: Most texts that wait; those that the model has begun are not counted.
        requests: Most requests that are open at once.
        body_seconds: How long a request's body may take to arrive.
        head_seconds: How long the lines before it may take.
    """

    texts: int = 512
    characters: int = 100_000
    body: int = 4 * MEBIBYTE
    queue: int = 2048
    requests: int = 1024
    body_seconds: float = 30.0
    head_seconds: float = 10.0
