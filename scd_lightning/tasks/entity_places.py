"""Where the entities of an answer stand in the text: they are looked for one after the other, from left to right."""

import re
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import islice

from scd_lightning.data.occurrences import Place, SearchedText

# Behind a string: which of its occurrences is meant, from 1.
_NUMBERED = re.compile(r"(.+) \[0*([1-9][0-9]{0,8})\]", re.DOTALL)


class EntityPlaces:
    """What the entities of one answer have taken of a text so far.

    Each one is looked for behind the one before it, then from the start of the one before it (nested entities), then
    anywhere; a place is taken once per label.

    Args:
        text: The whole input text.
    """

    def __init__(self, text: SearchedText) -> None:
        self._text = text
        self._last: Place = (0, 0)
        self._taken: set[tuple[str, Place]] = set()

    def find(self, label: str, said: str) -> Place | None:
        """Where an entity of this label would be read next; None where the text has no free place for it.

        Args:
            label: Its label.
            said: Its string; a number behind it counts where the string with the number does not stand in the text.
        """
        places = self._text.places(said)
        found = self._next(label, places) if places else self._by_number(said)
        return None if (label, found) in self._taken else found

    def take(self, label: str, place: Place) -> None:
        """Goes on from there."""
        self._last = place
        self._taken.add((label, place))

    def numbered(self, said: str, place: Place) -> str:
        """A string with the number that says which of its places is meant; without one where it is not found there.

        Args:
            said: The string.
            place: A place of it.
        """
        places = self._text.places(said)
        if place not in places:
            return said
        number = str(places.index(place) + 1)
        while self._text.places(marked := f"{said} [{number}]"):
            number = f"0{number}"  # "Lyon [2]" stands in the text: it is read as a name there.
        return marked

    def _by_number(self, said: str) -> Place | None:
        if (found := _NUMBERED.fullmatch(said)) is None:
            return None
        places, number = self._text.places(found[1]), int(found[2])
        return places[number - 1] if number <= len(places) else None

    def _next(self, label: str, places: Sequence[Place]) -> Place | None:
        start, end = self._last
        behind = (self._first(label, islice(places, bisect(places, (origin, 0)), None)) for origin in (end, start, 0))
        return next((place for place in behind if place is not None), None)

    def _first(self, label: str, places: Iterable[Place]) -> Place | None:
        """The first place that is not taken; whole words first."""
        within = None
        for place in places:
            if (label, place) not in self._taken:
                if self._is_whole(place):
                    return place
                within = within or place
        return within

    def _is_whole(self, place: Place) -> bool:
        """Whether a place is not cut out of a longer word in a script that has blanks between words."""
        start, end = place
        text = self._text.text
        return not (_joins(text[start - 1 : start + 1]) or _joins(text[end - 1 : end + 1]))


def _joins(pair: str) -> bool:
    return len(pair) == 2 and pair.isascii() and pair.isalnum()
