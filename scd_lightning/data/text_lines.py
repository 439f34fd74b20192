"""Rows of files that have no columns by name: tokens with their tags as CoNLL has them, fastText's, and plain texts."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_lightning.data.converters.tags import read_tag
from scd_lightning.data.rows import shorten
from scd_lightning.data.splits import SPLITS
from scd_lightning.data.text_files import read_text
from scd_lightning.errors import DataError

Records = list[tuple[int, dict[str, Any]]]
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t\u3000]+")
_DOCUMENT = "-DOCSTART-"
_LABEL = "__label__"
# Of lines that tell a file's form, fewer may be mistakes.
_MOST = 0.9


@dataclass(frozen=True)
class _Line:
    """A line of columns.

    Attributes:
        number: From 1.
        cells: Its columns; none of a line that ends a sentence.
        marked: Whether it begins as comments do.
    """

    number: int
    cells: list[str]
    marked: bool = False


def line_records(file: Path, split: str, notes: list[str]) -> Records:
    """The records of a file: sentences of tagged tokens, else lines that begin with labels, else lines that are texts.

    Args:
        file: The file.
        split: Whose rows they are.
        notes: Takes a sentence for what was recognised.

    Raises:
        DataError: It can't be read, lines are not as the others, or the texts of a split have no labels.
    """
    text = read_text(file, notes)
    tagged = tagged_records(text, file, notes, broken=True)
    if tagged is not None:
        return tagged
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_ENDS.split(text), 1) if line.strip()]
    if lines and all(line.startswith(_LABEL) for _, line in lines):
        notes.append(f"{file.name} has fastText's labels before its texts, and is read so.")
        return [(number, _labelled(line)) for number, line in lines]
    if split in SPLITS:
        raise DataError(
            "The file is lines of text, without labels",
            where=file,
            got=shorten(lines[0][1]) if lines else "nothing",
            expected="a token and its tag on each line, or fastText's labels before each text",
            remedy="bring labels and texts together in a .jsonl or .csv file; as texts without: task.data.unlabelled=",
        )
    notes.append(f"{file.name} has neither columns nor labels: each line is read as a text.")
    return [(number, {"text": line}) for number, line in lines]


def tagged_records(text: str, file: Path, notes: list[str], *, broken: bool = False) -> Records | None:
    """Sentences of a text that has a token and its tag on each line; None of another.

    Args:
        text: What the file says.
        file: The file, for messages.
        notes: Takes a sentence where it is such a text.
        broken: Whether some lines may differ: they are an error then, and else it is no such text.

    Raises:
        DataError: Few lines are not as the others.
    """
    for separator in ("\t", None, ","):
        found = list(_cells(text, separator))
        lines = [line for line in found if not line.marked]
        width = _width(lines, broken)
        tags = None if width is None else _tag_column(lines, width, broken)
        if width is not None and tags is not None:
            read = (read_tag(line.cells[tags]) for line in lines if len(line.cells) == width)
            known = {label for _, label in filter(None, read)}
            lines = [line for line in found if not line.marked or _is_token(line, width, tags, known)]
            _check(lines, width, tags, file)
            return _sentences(lines, tags, file, notes)
    return None


def _cells(text: str, separator: str | None) -> Iterator[_Line]:
    """All lines; those that begin documents as ones that end sentences."""
    for number, line in enumerate(_LINE_ENDS.split(text), 1):
        if not line.strip() or line.startswith(_DOCUMENT):
            yield _Line(number, [])
        else:
            # Other white space, such as a blank that does not break lines, is a part of tokens.
            cells = _BLANKS.split(line.strip(" \t\u3000")) if separator is None else line.split(separator)
            yield _Line(number, [cell.strip() for cell in cells], line.startswith(("# ", "#\t")))


def _is_token(line: _Line, width: int, tags: int, known: Set[str]) -> bool:
    """Whether a line that looks like a comment, such as "# id 7", is of the token "#" and a label that others have."""
    tag = read_tag(line.cells[tags]) if len(line.cells) == width else None
    return tag is not None and (line.cells[tags] == "O" or tag[1] in known)


def _width(lines: Sequence[_Line], broken: bool) -> int | None:
    """How many columns lines have: two or more, and the same number in all, or nearly all, of them."""
    counts = Counter(len(line.cells) for line in lines if line.cells)
    if not counts:
        return None
    (width, found), *others = counts.most_common()
    fits = not others or (broken and found >= _MOST * counts.total())
    return width if width > 1 and fits else None


def _tag_column(lines: Sequence[_Line], width: int, broken: bool) -> int | None:
    """The last column that has tags in all, or nearly all, lines; rather one that has some besides O."""
    full = [line.cells for line in lines if len(line.cells) == width]
    found = {}
    for column in reversed(range(1, width)):
        known = [tag for cells in full if (tag := read_tag(cells[column])) is not None]
        if len(known) == len(full) or (broken and len(known) >= _MOST * len(full)):
            found[column] = any(prefix for prefix, _ in known)
    return next((column for column, entities in found.items() if entities), next(iter(found), None))


def _check(lines: Sequence[_Line], width: int, tags: int, file: Path) -> None:
    for line in lines:
        if line.cells and (len(line.cells) != width or read_tag(line.cells[tags]) is None):
            raise DataError(
                "The line has no token and tag as the others have",
                where=f"{file}:{line.number}",
                got=shorten(" ".join(line.cells)),
                expected=f"{width} columns, of which the {_nth(tags)} is a tag such as O or B-label",
                remedy="correct or remove the line",
            )


def _sentences(lines: Sequence[_Line], tags: int, file: Path, notes: list[str]) -> Records:
    sentences: list[list[_Line]] = [[]]
    for line in lines:
        if line.cells:
            sentences[-1].append(line)
        elif sentences[-1]:
            sentences.append([])
    found = [each for each in sentences if each]
    # Some have the token's number in front.
    numbered = tags > 1 and all(line.cells[0].isdecimal() for each in found for line in each)
    tokens = int(numbered)
    notes.append(
        f"{file.name} has a token a line: tokens are its {_nth(tokens)} column, tags the {_nth(tags)}, and sentences "
        "end at empty lines."
    )
    return [
        (each[0].number, {"tokens": [line.cells[tokens] for line in each], "tags": [line.cells[tags] for line in each]})
        for each in found
    ]


def _nth(column: int) -> str:
    return {0: "1st", 1: "2nd", 2: "3rd"}.get(column, f"{column + 1}th")


def _labelled(line: str) -> dict[str, Any]:
    words = line.split()
    labels = [word.removeprefix(_LABEL) for word in words if word.startswith(_LABEL)]
    text = " ".join(word for word in words if not word.startswith(_LABEL))
    return {"text": text, "label": labels[0] if len(labels) == 1 else labels}
