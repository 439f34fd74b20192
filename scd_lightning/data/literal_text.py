"""Texts that spell special tokens, as logs and scraped chats do: they are taken as text, and never as those tokens.

Templates are trusted, rows are not: what a template spells is a special token, what a row spells is text. Tokenizers
know no such difference, so a row's spelling travels through templates as a mark, and becomes itself again only where
special tokens have other names.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Code points that are no characters: Unicode has them for internal use, and texts don't. Between two stands a number.
_SPELLED, _NAMED, _PIECE, _END = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_MARK = re.compile(f"{_SPELLED}([0-9]+){_END}")


class LiteralText:
    """Encodes texts of which parts must stay text for one tokenizer.

    Args:
        tokenizer: A fast tokenizer.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        self._backend = tokenizer.backend_tokenizer
        # The longest first, as tokenizers take them.
        self._contents = sorted(_special_tokens(tokenizer), key=len, reverse=True)
        self._places = {content: place for place, content in enumerate(self._contents)}
        self._special = re.compile("|".join(map(re.escape, self._contents)) or "(?!)")

    def guard(self, text: str) -> str:
        """The text with a mark in place of each special token that it spells."""
        return self._special.sub(lambda found: f"{_SPELLED}{self._places[found[0]]}{_END}", text)

    @staticmethod
    def is_guarded(text: str) -> bool:
        """Whether a text has marks."""
        return _SPELLED in text

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts in which marks mean the spelling, and all else that spells a special token is one."""
        if not texts:
            return []
        tokenizer, of_ours = self._renamed
        found = tokenizer.encode_batch_fast([self._spelled_out(text) for text in texts], add_special_tokens=False)
        return [[of_ours.get(id_, id_) for id_ in each.ids] for each in found]

    def _spelled_out(self, text: str) -> str:
        named = self._special.sub(lambda found: self._name(found[0]), text)
        return _MARK.sub(lambda found: self._content(found), named)

    def _content(self, mark: re.Match[str]) -> str:
        place = int(mark[1])
        # A text may hold what looks like a mark, after all.
        return self._contents[place] if place < len(self._contents) else mark[0]

    def _name(self, content: str) -> str:
        return f"{_NAMED}{self._places[content]}{_END}"

    @cached_property
    def _renamed(self) -> tuple[Tokenizer, dict[int, int]]:
        """The same tokenizer under other names for its special tokens, and its added tokens' ids -> the right ones."""
        backend: dict[str, Any] = json.loads(self._backend.to_str())
        added = backend["added_tokens"]
        backend |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        if backend["model"]["type"] == "Unigram":
            # It finds pieces in a text whether they are special or not.
            backend["model"]["vocab"] = [self._unfound(*piece) for piece in backend["model"]["vocab"]]
        renamed = Tokenizer.from_str(json.dumps(backend))
        names = {token["id"]: self._name(token["content"]) for token in added if token["content"] in self._places}
        for add, special in ((renamed.add_special_tokens, True), (renamed.add_tokens, False)):
            add([_renamed(token, names.get(token["id"])) for token in added if (token["id"] in names) == special])
        found = [(renamed.token_to_id(names.get(token["id"], token["content"])), token["id"]) for token in added]
        return renamed, {ours: id_ for ours, id_ in found if ours is not None}

    def _unfound(self, piece: str, score: float) -> list[Any]:
        return [f"{_PIECE}{piece}" if piece in self._places else piece, score]


def _special_tokens(tokenizer: "PreTrainedTokenizerFast") -> set[str]:
    """Those that the tokenizer finds in texts and leaves out of what it decodes; none where it is told to find none."""
    if getattr(tokenizer, "split_special_tokens", False):
        return set()
    added = tokenizer.added_tokens_decoder.values()
    return {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)


def _renamed(token: dict[str, Any], name: str | None) -> AddedToken:
    options = {option: value for option, value in token.items() if option not in ("id", "content")}
    return AddedToken(name or token["content"], **options)
