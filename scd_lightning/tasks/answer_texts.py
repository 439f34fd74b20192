"""Answers in free text, held against the gold ones unit by unit."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_ARTICLES = {"a", "an", "the"}
# Words of English alone. In English texts more than one word in so many is one of them.
_ENGLISH = {"the", "of", "and", "with", "that", "from"}
_ONE_IN = 50
# Kana, kanji and hanzi stand alone; all else goes by white space.
_UNITS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
# Numbers in groups: 1,000 and 1,00,000, and 1.000.000, while 1.000 may be one or a thousand.
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,\d{2,3})*,\d{3}|(?:\.\d{3}){2,})(?!\d)")
# What else stands between digits, and tells 2.5 from 25.
_WITHIN_NUMBERS = re.compile(r"(?<=\d)[.,:/\-](?=\d)")


def are_english(texts: Iterable[str]) -> bool:
    """Whether texts are English by their small words, so that `a`, `an` and `the` in answers to them are articles.

    >>> are_english(["The river rises in the hills."]), are_english(["Quê ông ở Nghệ An."])
    (True, False)
    """
    words = Counter(word for text in texts for word in text.lower().split())
    return sum(words[word] for word in _ENGLISH) * _ONE_IN >= max(1, words.total())


def answer_units(text: str, *, english: bool = True) -> list[str]:
    """The units of an answer, after SQuAD: lower case, without punctuation and articles, width variants made equal.

    Unlike there, what tells one number from another stays, articles are taken from English answers alone, and an
    article that is the whole answer stays.

    Args:
        text: The answer.
        english: Whether it is in English.

    Example:
        >>> answer_units("The  Eiffel Tower!")
        ['eiffel', 'tower']
        >>> answer_units("東京タワー、２０")
        ['東', '京', 'タ', 'ワ', 'ー', '20']
        >>> answer_units("2.5 of 1,000"), answer_units("Hội An", english=False)
        (['2.5', 'of', '1000'], ['hội', 'an'])
    """
    folded = unicodedata.normalize("NFKC", text).lower().translate(_DASHES)
    folded = _GROUPED.sub(lambda number: number[0].replace(",", "").replace(".", ""), folded)
    within = {match.start() for match in _WITHIN_NUMBERS.finditer(folded)}
    bare = "".join(
        char for i, char in enumerate(folded) if i in within or not unicodedata.category(char).startswith("P")
    )
    units = _UNITS.findall(bare)
    return ([unit for unit in units if unit not in _ARTICLES] or units) if english else units


def exact_match(answer: str, golds: Sequence[str], *, english: bool = True) -> bool:
    """Whether an answer has the same units as one of the gold ones."""
    units = answer_units(answer, english=english)
    return any(units == answer_units(gold, english=english) for gold in golds)


def token_f1(answer: str, golds: Sequence[str], *, english: bool = True) -> float:
    """F1 of an answer's units against the gold answer that fits best; 1 where both have none."""
    units = answer_units(answer, english=english)
    return max(_overlap_f1(units, answer_units(gold, english=english)) for gold in golds)


def _overlap_f1(units: list[str], gold: list[str]) -> float:
    if not units and not gold:
        return 1.0
    common = (Counter(units) & Counter(gold)).total()
    return 2 * common / (len(units) + len(gold))
