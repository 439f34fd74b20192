"""Which columns of rows are tokens and their tags: told by all rows together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scd_lightning.data.cells import check_numpy, list_cell
from scd_lightning.data.converters.base import Converter
from scd_lightning.data.converters.entities import TaggedTokens, words_of
from scd_lightning.data.converters.tags import read_tag
from scd_lightning.data.rows import Row, is_blank
from scd_lightning.data.splits import Splits, all_rows
from scd_lightning.errors import DataError

# Names of columns that settle which of several is meant.
_TOKENS = ("tokens", "words", "text", "sentence")
# Letters of Thai, Lao, Khmer, and of Chinese and Japanese, which put no blanks between words.
_WITHOUT_BLANKS = ((0x0E00, 0x0EFF), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF))
_LOOKED_AT = 200


def find_tags(splits: Splits, converters: Sequence[Converter], notes: list[str]) -> TaggedTokens | None:
    """What makes entities of tokens and tags, where rows have them and no converter of the data's own takes them.

    Args:
        splits: Split -> rows, columns renamed.
        converters: The data's own.
        notes: Takes a sentence where there is one.

    Raises:
        DataError: The tags are of no scheme, stand in several columns, or each row is a token.
    """
    # Splits may have their entities in different forms.
    rows = [row for row in all_rows(splits) if "entities" not in row.values]
    taken = {name for converter in converters for name in converter.answers}
    names = [name for name in dict.fromkeys(name for row in rows for name in row.values) if name not in taken]
    if not rows or any(isinstance(each, TaggedTokens) for each in converters):
        return None
    marks = {name: found for name in names if (found := _lists(rows, name, words_of)) is not None}
    tags = [name for name, found in marks.items() if _are_tags(found)]
    lists = {name: found for name in names if (found := _lists(rows, name, _split)) is not None}
    if not tags:
        _check_unknown(rows, names, lists)
        return None
    column = _only(tags, [name for name in tags if "ner" in name.lower()], rows)
    tokens = _tokens({name: words for name, words in lists.items() if name not in tags}, marks[column])
    if tokens is None:
        _check_tokens(rows, marks[column], column)
        return None
    joiner = "" if _lack_blanks(word for words in lists[tokens][:_LOOKED_AT] for word in words) else " "
    joined = "" if all(isinstance(row.values.get(tokens), str | None) for row in rows) else _said(joiner)
    notes.append(f'Entities are read from the tokens in "{tokens}" and the tags in "{column}"{joined}.')
    return TaggedTokens(tokens, column, joiner)


def joined_tokens(rows: Sequence[Row], tokens: TaggedTokens) -> list[Row]:
    """Rows with a text in place of tokens, where they have none of their own.

    Args:
        rows: Texts without labels.
        tokens: What labelled rows are made of, or would be.
    """
    return [tokens.joined(row) for row in rows]


def _said(joiner: str) -> str:
    other = '""' if joiner else '" "'
    how = "a blank between tokens" if joiner else "nothing between tokens"
    way = f"task.data.converters=[{{_target_: scd_lightning.data.converters.TaggedTokens, joiner: {other}}}]"
    return f", with {how} (otherwise: '{way}')"


def _split(cell: Any) -> Any:
    return cell.split() if isinstance(cell, str) else cell


def _lists(rows: Sequence[Row], name: str, split: Callable[[Any], Any]) -> list[list[Any]] | None:
    """The lists, or the words of texts, that a column has, none in empty cells; None where some are something else."""
    found = []
    for row in rows:
        try:
            words = [] if is_blank(row.values.get(name)) else split(list_cell(row, name))
        except DataError:
            return None
        if not isinstance(words, list):
            return None
        found.append(words)
    return found


def _are_tags(lists: Sequence[Sequence[Any]]) -> bool:
    read = [read_tag(each) if isinstance(each, str) else None for words in lists for each in words]
    return None not in read and any(each and each[0] for each in read)


def _only(tags: Sequence[str], preferred: Sequence[str], rows: Sequence[Row]) -> str:
    for names in (preferred, tags):
        if len(names) == 1:
            return names[0]
    raise DataError(
        "Several columns have tags of tokens",
        where=rows[0].file,
        got=", ".join(tags),
        expected="one such column",
        remedy="name it: 'task.data.converters=[{_target_: scd_lightning.data.converters.TaggedTokens, tags: NAME}]'",
    )


def _tokens(lists: Mapping[str, Sequence[Sequence[Any]]], tags: Sequence[Sequence[Any]]) -> str | None:
    """The column of strings that has as many of them in each row as there are tags, or nearly so."""
    fitting = [name for name, words in lists.items() if _fit(words, tags)]
    known = [name for name in _TOKENS if name in fitting]
    return known[0] if known else fitting[0] if len(fitting) == 1 else None


def _fit(words: Sequence[Sequence[Any]], tags: Sequence[Sequence[Any]]) -> bool:
    """Whether nine of ten rows have as many: what others lack is said of each."""
    same = sum(len(a) == len(b) for a, b in zip(words, tags, strict=True))
    text = all(isinstance(word, str) for each in words for word in each)
    return text and 10 * same >= 9 * len(tags) and any(len(each) > 1 for each in tags)


def _check_unknown(rows: Sequence[Row], names: Sequence[str], lists: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Says what is missing of tags that are numbers or of no scheme, and of lists as numpy prints them."""
    if "text" not in names:
        for name in names:
            check_numpy(rows[0], name)
    if "tokens" not in lists:
        return
    others = [name for name in lists if name != "tokens" and _fit_any(lists["tokens"], lists[name])]
    named = [name for name in others if "ner" in name.lower() or "tag" in name.lower()]
    if len(others) == 1 or len(named) == 1:
        TaggedTokens("tokens", (named or others)[0]).look(rows)


def _fit_any(words: Sequence[Sequence[Any]], tags: Sequence[Sequence[Any]]) -> bool:
    return all(len(a) == len(b) for a, b in zip(words, tags, strict=True))


def _check_tokens(rows: Sequence[Row], tags: Sequence[Sequence[Any]], column: str) -> None:
    if all(len(each) < 2 for each in tags) and all(isinstance(row.values.get(column), str | None) for row in rows):
        raise DataError(
            "Each row is one token with its tag",
            where=rows[0].file,
            got=f'{len(rows)} rows with one tag each in "{column}"',
            expected="a row for each sentence, with a list of tokens and a list of their tags",
            remedy="join the rows of each sentence: with pandas, frame.groupby(SENTENCE)[[TOKEN, "
            f'"{column}"]].agg(list), SENTENCE filled down; or write a token a line to a .conll file, an empty line '
            "behind each sentence",
        )


def _lack_blanks(words: Iterable[str]) -> bool:
    """Whether most letters are of scripts that put no blanks between words."""
    letters = [ord(char) for word in words for char in word if char.isalpha()]
    return 2 * sum(any(a <= letter <= b for a, b in _WITHOUT_BLANKS) for letter in letters) > len(letters)
