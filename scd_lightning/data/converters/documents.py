"""Questions that quote the document they are about within 「」, as the sets of JMED-LLM do."""

import ast
from collections import Counter
from collections.abc import Mapping, Sequence

from typing_extensions import override

from scd_lightning.data.converters.base import Converter, RowConverter, with_values
from scd_lightning.data.rows import Row


class DocumentGroups(RowConverter):
    """Names each row's document in a column, so that all questions about one can stay in one split.

    Args:
        column: The column with the question; the whole of it is the document where none is quoted.
        group: The column that is made; one that is there stays.
    """

    def __init__(self, column: str = "question", group: str = "group") -> None:
        self.column, self.group = column, group

    def convert(self, row: Row) -> Row:
        """Adds the column."""
        if self.group in row.values:
            return row
        question = row.string(self.column)
        return with_values(row, **{self.group: quoted_document(question) or question})


class AskedEntities(Converter):
    """Rows that ask for one kind of entity each, to one row a document: {"text", "entities": [{"label", "text"}]}.

    A row has a tag, a question that quotes the document, and as answer a list of strings as Python writes it. A row
    with `entities` passes unchanged.

    Args:
        labels: Tag -> label.
        tag: The column of the tag.
    """

    def __init__(self, labels: Mapping[str, str], tag: str = "tag") -> None:
        self.labels, self.tag = dict(labels), tag

    @override
    def __call__(self, rows: Sequence[Row], lost: Counter[str]) -> list[Row]:
        documents: dict[str, Row] = {}
        converted = []
        for row in rows:
            if "entities" in row.values:
                converted.append(row)
                continue
            text = self._document(row)
            if text not in documents:
                documents[text] = with_values(row, [self.tag, "question", "answer"], text=text, entities=[])
                converted.append(documents[text])
            documents[text].values["entities"] += self._entities(row)
        return converted

    def _document(self, row: Row) -> str:
        text = quoted_document(row.string("question"))
        if text is None:
            question = row.values["question"]
            raise row.error("question", "quotes no document", question, "an instruction, then the document within 「」")
        return text

    def _entities(self, row: Row) -> list[dict[str, str]]:
        tag = row.string(self.tag).strip()
        if tag not in self.labels:
            raise row.error(self.tag, "is unknown", tag, f"one of {', '.join(self.labels)}")
        return [{"label": self.labels[tag], "text": string} for string in _answer(row)]


def _answer(row: Row) -> list[str]:
    cell = row.string("answer")
    try:
        answer = ast.literal_eval(cell.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        answer = None
    if not isinstance(answer, list) or not all(isinstance(each, str) and each.strip() for each in answer):
        raise row.error("answer", "is no list", cell, "a list of strings as Python writes it, such as ['one', 'two']")
    return answer


def quoted_document(question: str) -> str | None:
    """The text within the outermost 「」, which may hold such quotes itself; None where there is none.

    The quote that begins a line is the document: the instruction before it may quote a word.
    """
    start = question.find("\n「")
    start = question.find("「") if start < 0 else start + 1
    end = question.rfind("」")
    text = question[start + 1 : end] if 0 <= start < end else ""
    return text if text.strip() else None
