"""How people and other programs write values, in the narrower spelling that Hydra can read.

Hydra knows ASCII letters and a few signs without quotes, and no quotes at all around a dictionary's keys. Python, JSON
and people write more: `{"本文": text}`, `data (v2)`, `year=2024`.
"""

import re
from collections.abc import Callable

from hydra.core.override_parser.types import Quote, QuotedString

# What Hydra reads without quotes, in values and in the keys of dictionaries.
_BARE = re.compile(r"(?:[\w/\-\\+.$%*@?|: \t]|\$\{[^{}]*\})*", re.ASCII)
_KEY = re.compile(r"[\w/\-+.$%*@?|]+(?: +[\w/\-+.$%*@?|]+)*", re.ASCII)
_SEGMENT = re.compile(r"[\w/\-$@:]*", re.ASCII)
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
_CALL = re.compile(r"(choice|range|interval|tag|sort|shuffle|glob|str|int|float|bool|extend_list)\s*\(.*\)", re.DOTALL)
# Hydra's function for text.
_TEXT = re.compile(r"str\s*\((.*)\)", re.DOTALL)
_PAIRS = {"(": ")", "[": "]", "{": "}"}
# What Hydra takes for numbers, true, false and null where it has no quotes.
_NO_WORD = re.compile(r"[+-]?(?:[\d._]+(?:e[+-]?[\d_]+)?|inf|nan)|true|false|null", re.ASCII | re.IGNORECASE)
# Stands for a key in what Hydra is given.
_CODE = re.compile(r"scd_key_((?:[0-9a-f]{2})+)")


class Unreadable(ValueError):
    """A value that means nothing for certain."""


def in_hydras_words(override: str, *, all_text: bool = False) -> str:
    """An override that Hydra can't read as it stands, in words that it can; keys beyond its grammar are codes.

    >>> in_hydras_words("task.data.path=data (v2)"), in_hydras_words('columns={"body": text}')
    ("task.data.path='data (v2)'", 'columns={body: text}')
    >>> in_hydras_words("labels=[1_000, yes]", all_text=True)
    "labels=['1_000',yes]"

    Args:
        override: What was written.
        all_text: Whether numbers, true, false and null without quotes are to be read as the text that they are.

    Raises:
        Unreadable: It may mean several things, or a bracket or a quote is left open.
    """
    key, sign, value = override.partition("=")
    if not sign:
        raise Unreadable(override)
    signs = re.match(r"[+~]*", key)
    assert signs is not None
    segments = [each if _SEGMENT.fullmatch(each) else _code(each) for each in key[signs.end() :].split(".")]
    return f"{signs[0]}{'.'.join(segments)}={_Reader(value.strip(), all_text=all_text).read()}"


def decoded(key: str) -> str:
    """What a person has written for a key, or for each part of a dotted one.

    >>> decoded(in_hydras_words("task.data.columns.本文=text").partition("=")[0])
    'task.data.columns.本文'
    """
    return _CODE.sub(lambda found: bytes.fromhex(found[1]).decode(), key)


def is_no_word(text: str) -> bool:
    """Whether Hydra takes a text for a number, for true, false or null where it has no quotes."""
    return _NO_WORD.fullmatch(text) is not None


def _code(text: str) -> str:
    return f"scd_key_{text.encode().hex()}"


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def _unquoted(text: str) -> str:
    """What is in quotes: backslashes are doubled in front of such a quote alone."""
    pattern = rf"(\\+)({text[0]}|$)"
    return re.sub(pattern, lambda found: "\\" * (len(found[1]) // 2) + found[2], text[1:-1])


class _Reader:
    """Reads a value from its beginning to its end, and gives it in Hydra's spelling."""

    def __init__(self, text: str, *, all_text: bool) -> None:
        self._text, self._at, self._all_text = text, 0, all_text

    def read(self) -> str:
        """One value, or the several of a sweep.

        Raises:
            Unreadable: See `in_hydras_words`.
        """
        parts = [self._element("")]
        while self._at < len(self._text):
            self._at += 1  # The comma, at which an element ends.
            parts.append(self._element(""))
        return ",".join(parts)

    def read_one(self) -> str:
        """One value.

        Raises:
            Unreadable: See `in_hydras_words`; or there are several.
        """
        made = self._element("")
        if self._next():
            raise Unreadable(self._text)
        return made

    def _element(self, closer: str) -> str:
        self._skip()
        begin = self._at
        for form in (self._list, self._dictionary, self._tuple, self._quotation):
            try:
                made = form()
                self._skip()
                if self._next() in ("", ",", closer):
                    return made
            except Unreadable:
                pass
            self._at = begin
        return self._bare(closer)

    def _list(self) -> str:
        return f"[{','.join(self._within('[', lambda: self._element(']')))}]"

    def _dictionary(self) -> str:
        return f"{{{','.join(self._within('{', self._pair))}}}"

    def _tuple(self) -> str:
        """A list, where Python has written it as a tuple; what else is in round brackets is text."""
        begin = self._at
        parts = self._within("(", self._literal)
        if len(parts) == 1 and not re.search(r",\s*\)$", self._text[begin : self._at]):
            raise Unreadable(self._text)
        return f"[{','.join(parts)}]"

    def _within(self, opener: str, part: Callable[[], str]) -> list[str]:
        self._take(opener)
        parts: list[str] = []
        self._skip()
        while self._next() != _PAIRS[opener]:
            parts.append(part())
            self._skip()
            if self._next() != _PAIRS[opener]:
                self._take(",")
                self._skip()
        self._at += 1
        return parts

    def _literal(self) -> str:
        begin = self._at
        made = self._element(")")
        written = self._text[begin : self._at].strip()
        if written[:1] not in tuple("'\"[{(") and written != "None" and not is_no_word(written):
            raise Unreadable(self._text)
        return made

    def _pair(self) -> str:
        self._skip()
        found, is_text = _QUOTED.match(self._text, self._at), self._all_text
        if found:
            self._at = found.end()
            name, is_text = _unquoted(found[0]), True
        else:
            name = _ESCAPED.sub(r"\1", self._until(":", "}"))
        self._skip()
        self._take(":")
        if not _KEY.fullmatch(name) or is_text and is_no_word(name):
            name = _code(name)
        return f"{name}: {self._element('}')}"

    def _quotation(self) -> str:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            raise Unreadable(self._text)
        self._at = found.end()
        return found[0]

    def _bare(self, closer: str) -> str:
        text = self._until(",", closer)
        if cast := _TEXT.fullmatch(text):
            return _Reader(cast[1].strip(), all_text=True).read_one()
        meant_as_more = text[:1] in ("'", '"') or text[:1] in ("[", "{") and text.endswith(_PAIRS[text[0]])
        if meant_as_more or _CALL.fullmatch(text):
            raise Unreadable(text)
        bare = _BARE.fullmatch(text) and not (self._all_text and is_no_word(text))
        return text if bare else _quoted(_ESCAPED.sub(r"\1", text))

    def _until(self, end: str, closer: str) -> str:
        """Text up to a sign or a closing bracket that is not within brackets of its own."""
        begin, opened = self._at, list[str]()
        while self._at < len(self._text):
            sign = self._text[self._at]
            if not opened and sign in (end, closer, ","):
                break
            if sign in _PAIRS:
                opened.append(_PAIRS[sign])
            elif sign in _PAIRS.values() and (not opened or opened.pop() != sign):
                raise Unreadable(self._text)
            self._at += 2 if sign == "\\" else 1
        if opened or closer and self._next() == "":
            raise Unreadable(self._text)
        return self._text[begin : self._at].strip()

    def _skip(self) -> None:
        while self._next().isspace():
            self._at += 1

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> None:
        if self._next() != sign:
            raise Unreadable(self._text)
        self._at += 1
