"""Which label a line of an answer begins with."""

import re
from collections.abc import Iterable
from functools import lru_cache

from scd_lightning.data.normal_form import NormalForm

_COLON = re.compile("[:：]")


class KnownLabels:
    """The labels that answers may have.

    Args:
        labels: Their names.
        form: What counts as the same name.
    """

    def __init__(self, labels: Iterable[str], form: NormalForm) -> None:
        self._form = form
        self._labels = set(labels)
        self._formed: dict[str, str] = {}
        for label in sorted(self._labels):
            self._formed.setdefault(form(label), label)

    def split(self, line: str) -> tuple[str, str] | None:
        """A line's label and what is said behind its colon; None where either is missing.

        A label may hold a colon itself, and one may start another: the longest one that fits is meant.
        """
        for colon in reversed([found.start() for found in _COLON.finditer(line)]):
            label, said = self._label(line[:colon].rstrip()), line[colon + 1 :].strip()
            if label and said:
                return label, said
        return None

    def _label(self, name: str) -> str | None:
        return name if name in self._labels else self._formed.get(self._form(name))


@lru_cache(64)
def known_labels(labels: frozenset[str], form: NormalForm) -> KnownLabels:
    """The same labels are known for all samples but those with one that train lacks."""
    return KnownLabels(labels, form)
