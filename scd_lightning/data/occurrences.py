"""Where a string stands in a text: character for character, or in the form that a tokenizer gives both."""

from collections.abc import Iterator
from functools import cached_property

from scd_lightning.data.normal_form import NFC, NormalForm

# Start and end in characters, the end exclusive.
Place = tuple[int, int]


class SearchedText:
    """A text in which strings are looked for.

    Args:
        text: The text; places are counted in it as it is.
        form: What counts as the same string.
    """

    def __init__(self, text: str, form: NormalForm = NFC) -> None:
        self.text, self.form = text, form
        self._found: dict[str, list[Place]] = {}

    def places(self, string: str) -> list[Place]:
        """All places of a string that is not empty, from left to right, those that overlap too.

        They depend on the string's form alone, so that all strings of one form are found at the same places.
        """
        if string not in self._found:
            self._found[string] = self._places(self.form(string)) or list(_occurrences(string, self.text))
        return self._found[string]

    def _places(self, form: str) -> list[Place]:
        """Those of a form. Where whole characters have it from the same start on, they go before a part of some."""
        as_it_is = dict(_occurrences(form, self.text))
        text, begins, ends = self._form
        formed = [(begins[a], ends[b]) for a, b in _occurrences(form, text) if a in begins and b in ends]
        return sorted((as_it_is | dict(formed)).items())

    @cached_property
    def _form(self) -> tuple[str, dict[int, int], dict[int, int]]:
        """The text's form, and where in the text its pieces begin and end; nothing where it is the text itself."""
        if self.form.has(self.text):
            return "", {}, {}
        begins: dict[int, int] = {}
        ends: dict[int, int] = {}
        pieces, length = [], 0
        for start, end, piece in self.form.pieces(self.text):
            if piece:
                begins[length] = start
                length += len(piece)
                ends[length] = end
                pieces.append(piece)
        return "".join(pieces), begins, ends


def _occurrences(string: str, text: str) -> Iterator[Place]:
    at = text.find(string) if string else -1
    while at >= 0:
        yield at, at + len(string)
        at = text.find(string, at + 1)
