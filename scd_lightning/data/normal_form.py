"""What a tokenizer makes of a text's characters, so that an answer is told to be a text that is spelled otherwise."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerFast

# Parts of a normaliser that are about characters. Others serve how tokens are spelled (Prepend, ByteLevel), or see to
# a text's ends, which answers have none of (Strip).
_OF_CHARACTERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Precompiled", "Replace"}
# What stands for a blank in tokens.
_METASPACE = "▁"


class NormalForm:
    """One spelling for all texts that a tokenizer can't tell apart, or that Unicode says are the same.

    A text is looked at piece by piece, a character with all that combines with it (accents, voiced marks, the vowel and
    final of a Hangul syllable), so that a place in the form is one in the text.

    Args:
        normaliser: What a fast tokenizer does to characters, or None; composing goes before and after.
        folds: Whether several blanks are one.
    """

    def __init__(self, normaliser: "Normalizer | None" = None, *, folds: bool = False) -> None:
        self._normaliser = normaliser
        self._folds = folds

    def __call__(self, text: str) -> str:
        """The text in this form."""
        return text if self.has(text) else "".join(piece for _, _, piece in self.pieces(text))

    def has(self, text: str) -> bool:
        """Whether a text is in this form already; False also where that is not certain at once."""
        if self._normaliser is None and not self._folds:
            return unicodedata.is_normalized("NFC", text)
        # Each character once: a text has many, and few different ones.
        fixed = all(not _combines(char) and _spelled(self, char) == char for char in set(text))
        return fixed and not (self._folds and "  " in text)

    def pieces(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, their form) of the characters that belong together; the form may be "", and have any length."""
        combining = {char for char in set(text) if _combines(char)}
        starts = [place for place, char in enumerate(text) if char not in combining or place == 0]
        before = ""
        for start, end in pairwise([*starts, len(text)]):
            piece = _spelled(self, text[start:end])
            if self._folds and before.endswith(" ") and piece.startswith(" "):
                piece = piece.lstrip(" ")
            before = piece or before
            yield start, end, piece

    def apply(self, piece: str) -> str:
        """The form of characters that belong together."""
        composed = unicodedata.normalize("NFC", piece)
        given = composed if self._normaliser is None else self._normaliser.normalize_str(composed)
        return unicodedata.normalize("NFC", given)

    def among(self, name: str, names: Collection[str]) -> str:
        """A name as one of some is spelled: as it is, or as the first that has the same form, if there is one."""
        if name in names:
            return name
        form = self(name)
        return next((each for each in names if self(each) == form), name)


# Composed accents: what Unicode calls canonically equivalent is one.
NFC = NormalForm()


@lru_cache(1 << 16)
def _spelled(form: NormalForm, piece: str) -> str:
    return form.apply(piece)


@lru_cache(1 << 16)
def _combines(char: str) -> bool:
    """Whether a character may become one with the character before it, in some form."""
    first = unicodedata.normalize("NFKD", char)[0]  # of half-width voiced marks and Hangul: what they stand for
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"


def normal_form_of(tokenizer: "PreTrainedTokenizerFast") -> NormalForm:
    """The form in which a tokenizer gives text back that it was given; `NFC` where it leaves characters as they are."""
    from tokenizers.normalizers import Sequence  # not at once: a task is declared and checked without

    normaliser = tokenizer.backend_tokenizer.normalizer
    if normaliser is None:
        return NFC
    parts = [part for part in map(_of_characters, _parts(normaliser)) if part is not None]
    folds = re.search(f"a[ {_METASPACE}]b", normaliser.normalize_str("a  b")) is not None
    composed = {type(part).__name__ for part in parts} <= {"NFC", "NFD"}
    return NFC if composed and not folds else NormalForm(Sequence(parts), folds=folds)


def _parts(normaliser: Any) -> Iterator[Any]:
    if type(normaliser).__name__ == "Sequence":
        for part in normaliser:
            yield from _parts(part)
    else:
        yield normaliser


def _of_characters(part: Any) -> Any:
    """What a part of a normaliser does to characters, or None."""
    kind = type(part).__name__
    if kind == "BertNormalizer":
        # The blanks that it would put around Chinese characters only part tokens.
        return type(part)(part.clean_text, False, part.strip_accents, part.lowercase)
    if kind not in _OF_CHARACTERS or (kind == "Replace" and _METASPACE in part.content):
        return None
    return part
