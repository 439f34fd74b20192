"""What the processes of a job have to see alike before any of them makes something: settings, data, keys.

Each reads its input by itself. Files that change meanwhile, and machines that have other ones, would have them make
different things side by side, or wait for what no other makes.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from scd_lightning import distributed
from scd_lightning.errors import ConfigError, ScdError
from scd_lightning.store.manifest import sha256_json

# Set in the processes that a parent starts: what it has seen itself.
SEEN = "SCD_SEEN"
# Enough of a digest to tell two apart; the environment has limits.
_DIGITS = 12
Outline = Mapping[str, str]


def outline(values: Mapping[str, Any]) -> dict[str, str]:
    """The name of each value, or of each one in it, with a digest: what differs can be named, and is not shown.

    >>> list(outline({"seed": 0, "data": {"train": "a", "test": "b"}}))
    ['seed', 'data.train', 'data.test']
    """
    found: dict[str, str] = {}
    for name, value in values.items():
        inner = value if isinstance(value, Mapping) else {}
        parts = {f"{name}.{key}": each for key, each in inner.items()} or {name: value}
        found |= {part: sha256_json(each)[:_DIGITS] for part, each in parts.items()}
    return found


class Agreement:
    """What this process has seen, and whether the others of its job see the same: their parent, or else process 0.

    A process on its own agrees with itself, and notes what it sees for those that it may start.
    """

    def __init__(self) -> None:
        given = os.environ.get(SEEN)
        self._of_parent = None if given is None else dict(parse_qsl(given, keep_blank_values=True))
        self._seen: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        """What the processes that this one starts are to agree with, as a variable."""
        return {SEEN: urlencode(self._seen)}

    def require(self, what: str, seen: Outline, where: str, kind: type[ScdError] = ConfigError) -> None:
        """Ends the job where a process sees something else. All processes of a job call it, in the same order.

        Args:
            what: What it is.
            seen: Name of each part -> digest, as this process sees it.
            where: The place that the names are in.
            kind: The class of the error.

        Raises:
            ScdError: They differ; the message names the parts.
        """
        self._seen |= {f"{what}/{name}": digest for name, digest in seen.items()}
        for rank, one, other in self._pairs(what, seen):
            names = [name for name in {**other, **one} if one.get(name) != other.get(name)]
            if names:
                first = "the one that started it" if self._of_parent is not None else "process 0"
                raise kind(
                    f"The processes of this job do not see the same {what}",
                    where=f"{where}: {', '.join(names)}",
                    got=f"process {rank} has something else than {first}",
                    remedy="give all of them the same files and change none while a job begins, then start it again",
                )

    def _pairs(self, what: str, seen: Outline) -> list[tuple[int, Outline, Outline]]:
        """Processes, with what each sees and what it is to agree with."""
        if self._of_parent is None:
            views = distributed.gather_lists([dict(seen)])
            return [(rank, view, views[0]) for rank, view in enumerate(views)]
        part = f"{what}/"
        wanted = {name.removeprefix(part): each for name, each in self._of_parent.items() if name.startswith(part)}
        return [(distributed.rank(), seen, wanted)]
