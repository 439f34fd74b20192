"""Answers in free text, held against the gold ones unit by unit."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Kana, kanji and hanzi stand alone; all else goes by white space.
_UNITS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


def answer_units(text: str) -> list[str]:
    """The units of an answer: lower case, without punctuation and English articles, width variants made equal.

    Example:
        >>> answer_units("The  Eiffel Tower!")
        ['eiffel', 'tower']
        >>> answer_units("東京タワー、２０")
        ['東', '京', 'タ', 'ワ', 'ー', '20']
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    bare = "".join(char for char in folded if not unicodedata.category(char).startswith("P"))
    return _UNITS.findall(_ARTICLES.sub(" ", bare))


def exact_match(answer: str, golds: Sequence[str]) -> bool:
    """Whether an answer has the same units as one of the gold ones."""
    units = answer_units(answer)
    return any(units == answer_units(gold) for gold in golds)


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """F1 of an answer's units against the gold answer that fits best; 1 where both have none."""
    return max(_overlap_f1(answer_units(answer), answer_units(gold)) for gold in golds)


def _overlap_f1(units: list[str], gold: list[str]) -> float:
    if not units and not gold:
        return 1.0
    common = (Counter(units) & Counter(gold)).total()
    return 2 * common / (len(units) + len(gold))
