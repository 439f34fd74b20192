"""Rows and files as nobody should write them: a usable data module, or an error of ours that names file and line.

The files are written here line by line, so that what they hold is known without reading them: how many rows, on which
lines they start, and which of them were spoilt.
"""

import csv
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scd_lightning.config.batch_size import SampleCount
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ScdError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import Batching, DomainDataModule, encode

pytestmark = pytest.mark.filterwarnings("ignore:The test split has labels")

TASKS: dict[str, Callable[..., Any]] = {
    "ner": NER,
    "qa": QA,
    "classification": Classification,
}
SIZES = {"train": 7, "validation": 5, "test": 5}
# What is read and scored as text although it looks odd: right to left, combining, invisible, special tokens, braces.
ODD = [
    "\u05d0\u05d1\u05d2",
    "e\u0301\u0323",
    "\u202eabc\u202c",
    "\u200b",
    "👩\u200d👩\u200d👧",
    "a\x00b",
    "\x1b[1m",
    "</s>",
]
ODD += [
    "{text}",
    "a\u2028b",
    "one\r\ntwo",
    "\ufeff",
    "Ａ１",
    "\ud7ff",
    "\U0010ffff",
    "x" * 300,
    'say "a,b"',
    "[1",
    "9" * 30,
]

TEXTS = st.one_of(
    st.sampled_from([*ODD, "", " ", "\n", "\ud800", "a\udfff", "9" * 5000, "NaN", "[" * 200, "null", "y" * 20_000]),
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Mn", "Zl", "Nd"]), max_size=6),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.sampled_from([10**30, -(10**400), 1e308]), st.floats(), TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
KEYS = st.sampled_from(
    ["text", "entities", "label", "question", "choices", "answer", "context", "id", "start", "extra"]
)


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@st.composite
def good_rows(draw: st.DrawFn, task: str, split: str, number: int) -> dict[str, Any]:
    """A row that must be usable, with odd texts in it; the first three alone differ enough to learn from."""
    parts = [f"{split}{number}", *draw(st.lists(st.sampled_from(ODD), max_size=3)), "end"]
    text = " ".join(parts)
    if task == "classification":
        return {"text": text, "label": "ab"[number % 2]}
    if task == "qa":
        choices = ["one", "two", draw(st.sampled_from([each for each in ODD if len(each) < 40])) + "."]
        return {"question": text, "choices": choices, "answer": draw(st.integers(0, 2)) if number > 2 else number}
    start = sum(len(part) + 1 for part in parts[:-1])
    spans = [(start, len(text)), (0, len(parts[0])), (len(parts[0]) - 1, start + 1)]
    chosen = draw(st.lists(st.sampled_from(spans), min_size=int(number < 3), max_size=2, unique=True))
    return {
        "text": text,
        "entities": [{"start": a, "end": b, "label": "X", "text": text[a:b]} for a, b in chosen],
    }


@st.composite
def spoilt(draw: st.DrawFn, row: dict[str, Any]) -> dict[str, Any]:
    """The row with something else in it, which may make it unusable."""
    row = dict(row)
    how = draw(st.sampled_from(["set", "set own", "delete", "span", "deep", "twin", "entity", "columns"]))
    if how == "set":
        row[draw(KEYS)] = draw(VALUES)
    elif how == "set own":
        row[draw(st.sampled_from(sorted(row)))] = draw(VALUES)
    elif how == "delete":
        del row[draw(st.sampled_from(sorted(row)))]
    elif how == "span":
        start, end = draw(st.integers(-2, 60)), draw(st.integers(-2, 60) | st.just(10**30))
        row["entities"] = [{"start": start, "end": end, "label": draw(SCALARS)}]
    elif how == "deep":
        row[draw(KEYS)] = deep(draw(st.sampled_from([90, 120, 400])))
    elif how == "twin":
        row["id"] = "twin"
    elif how == "entity":
        row["entities"] = [draw(st.dictionaries(st.sampled_from(["start", "end", "label", "text"]), SCALARS))]
    else:
        row |= {f"column {i}": "x" for i in range(200)}
    return row


@dataclass
class Written:
    """A file as it was written.

    Attributes:
        content: Its bytes.
        rows: How many rows stand in it; None where nobody knows.
        lines: Line -> whether the row that starts there was spoilt.
        whole: Whether something was done to it that may make all of it unreadable.
    """

    content: bytes = b""
    rows: int | None = 0
    lines: dict[int, bool] = field(default_factory=dict)
    whole: bool = False


@st.composite
def split_rows(draw: st.DrawFn, task: str, split: str) -> list[tuple[dict[str, Any], bool]]:
    """The rows of a split, each with whether it was spoilt."""
    chosen = draw(st.sets(st.integers(0, SIZES[split] - 1), max_size=2))
    rows = [draw(good_rows(task, split, number)) for number in range(SIZES[split])]
    return [(draw(spoilt(row)), True) if i in chosen else (row, False) for i, row in enumerate(rows)]


RAW_LINES = st.sampled_from([
    b"{", b'{"text": "a"', b"[]", b"null", b"\x00", b'{"text": "\x01"}', b'{"text": NaN}', b'{"a": -Infinity}',
    b"9" * 5000, b"[" * 100_000, b'{"a":' * 3000, b'{"text": "\\ud800"}', b'{"text": 1e999}', b"\xef\xbb\xbf{}",
    b'{"a": 1}\r{"b": 2}', b'{"text": "a", "text": "b"}', b"'single'", b'{"id": ' + b"8" * 4000 + b"}", b"\xc2\xa0{}",
    b"{}{}", b'"\\u0000"',
])  # fmt: skip


@st.composite
def jsonl(draw: st.DrawFn, rows: list[tuple[dict[str, Any], bool]]) -> Written:
    """Rows as lines, some of them broken, with line breaks of all kinds."""
    file = Written(draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])), len(rows))
    for row, bad in rows:
        escape = draw(st.booleans())
        line = json.dumps(row, ensure_ascii=escape).encode("utf-8", "surrogatepass")
        raw = draw(st.integers(0, 39)) == 0
        if raw:
            line = draw(RAW_LINES)
        file.lines[file.content.count(b"\n") + 1] = bad or raw
        file.content += line + draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b"\n \t\n"]))
    file.whole = _is_not_utf8(file.content)
    return file


@st.composite
def csv_file(draw: st.DrawFn, rows: list[tuple[dict[str, Any], bool]]) -> Written:
    """Rows as records, all cells quoted; some with a cell too many or too few."""
    names = list(dict.fromkeys(name for row, _ in rows for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])))
    writer.writerow(names)
    file = Written(rows=len(rows))
    for row, bad in rows:
        cells = [_cell(row[name]) if name in row else "" for name in names]
        cells = draw(st.sampled_from([cells] * 38 + [[*cells, "more"], cells[:-1] or ["", ""]]))
        line = len(re.findall(r"\r\n|\r|\n", out.getvalue())) + 1
        file.lines[line] = bad or len(cells) != len(names)
        writer.writerow(cells)
    file.content = out.getvalue().encode("utf-8", "surrogatepass")
    file.whole = _is_not_utf8(file.content)
    return file


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_not_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


COLUMNS = st.one_of(
    st.lists(st.text(max_size=5), min_size=7, max_size=7),
    st.lists(st.binary(max_size=5) | st.none(), min_size=7, max_size=7),
    st.lists(st.floats() | st.none(), min_size=7, max_size=7),
    st.lists(st.datetimes(), min_size=7, max_size=7),
    st.lists(st.decimals(-10, 10, places=2), min_size=7, max_size=7),
    st.lists(st.lists(st.integers(-5, 5), max_size=3), min_size=7, max_size=7),
    st.lists(st.fixed_dictionaries({"start": st.integers(0, 9), "label": st.text(max_size=3)}), min_size=7, max_size=7),
)


@st.composite
def parquet(draw: st.DrawFn, rows: list[tuple[dict[str, Any], bool]]) -> Written:
    """Good rows, where others were spoilt without some values; maybe with one column of another type, or damaged."""
    good = [row for row, bad in rows if not bad]
    numbers = range(1, len(good) + 1)
    columns: dict[str, Any] = {name: [row.get(name) for row in good] for name in good[0]}
    gaps = draw(st.sets(st.sampled_from(numbers), max_size=len(rows) - len(good)))
    for number in gaps:
        columns[draw(st.sampled_from(sorted(columns)))][number - 1] = None
    other = draw(st.integers(0, 4)) == 0
    if other:
        columns[draw(KEYS)] = draw(COLUMNS)[: len(good)]
    said = draw(st.sampled_from([None] * 17 + [b"[1]", b"\xff", b"{}"]))
    table = pa.table(columns).replace_schema_metadata(None if said is None else {b"huggingface": said})
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    content = out.getvalue().to_pybytes()
    broken = draw(st.integers(0, 9)) == 0
    if broken:
        at = draw(st.integers(0, len(content) - 1))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 3)) :]
    lines = {number: other or number in gaps for number in numbers}
    return Written(content, None if broken else len(good), lines, broken or said is not None)


FORMATS = {"jsonl": jsonl, "csv": csv_file, "parquet": parquet}


@st.composite
def folders(draw: st.DrawFn, task: str, suffix: str) -> dict[str, Written]:
    """Split -> the file of it."""
    return {split: draw(FORMATS[suffix](draw(split_rows(task, split)))) for split in SIZES}


def outcome(task_name: str, suffix: str, files: dict[str, Written], mode: Any, tokenizer: Any) -> Any:
    """The data, with every sample of it batched; or the error. Nothing else may be raised."""
    with tempfile.TemporaryDirectory() as folder:
        for split, file in files.items():
            Path(folder, f"{split}.{suffix}").write_bytes(file.content)
        try:
            task = TASKS[task_name](DataSource(folder, allow_overlap=True, on_bad_row=mode), max_length=96)
            data = encode(task.read(), tokenizer)
        except ScdError as error:
            return error
    loaders = {split: data.evaluation_loader(split) for split in ("validation", "test")}
    train = DomainDataModule(data, Batching(SampleCount(4))).train_dataloader()
    for split, loader in {"train": train, **loaders}.items():
        seen = [index for batch in loader for index in batch.index[batch.sample_weight > 0].tolist()]
        assert sorted(seen) == list(range(len(data.samples[split])))
    return data


def check_error(error: ScdError, files: dict[str, Written], suffix: str) -> None:
    """The message names a file; and a line that was spoilt, unless the file as a whole may be at fault."""
    text = str(error)
    assert len(text) < 2000
    assert not {unicodedata.category(char) for char in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert text.encode("utf-8")
    found = re.search(rf"/(train|validation|test)\.{suffix}(?::(\d+))?", text)
    assert found, text
    file = files[found[1]]
    if not file.whole and not text.startswith(OF_ALL_ROWS):
        assert found[2], text
        assert is_named(file, int(found[2]), text), text


def is_named(file: Written, line: int, reason: str) -> bool:
    """Whether a row was spoilt; or it has a twin, which is no worse, or a label too long for any row is in the way."""
    return file.lines[line] or "too long" in reason or "is not unique" in reason


def check(task: str, suffix: str, files: dict[str, Written], tokenizer: Any) -> None:
    strict = outcome(task, suffix, files, "error", tokenizer)
    if isinstance(strict, ScdError):
        check_error(strict, files, suffix)
    else:
        sizes = strict.description["sizes"]
        assert all(file.rows in (None, sizes[split]) for split, file in files.items())
        assert not strict.rejected
    skipping = outcome(task, suffix, files, "skip", tokenizer)
    if isinstance(skipping, ScdError):
        assert isinstance(strict, ScdError)
        check_error(skipping, files, suffix)
        return
    for split, file in files.items():
        records = [record for record in skipping.rejected if record["split"] == split]
        assert file.rows in (None, len(skipping.samples[split]) + len(records))
        assert len(records) == skipping.description["rejected"][split]
        # Bytes of a whole file that were changed may be those of any row.
        assert file.whole or all(is_named(file, record["line"], record["reason"]) for record in records)
    assert bool(skipping.rejected) == isinstance(strict, ScdError)
    assert json.dumps(skipping.rejected, ensure_ascii=False).encode("utf-8")


# What is wrong with what is left where rows were spoilt, or with the spoilt ones together.
OF_ALL_ROWS = (
    "There is nothing to learn",
    "Train and validation have no label",
    "Train and test have no label",
    "All train rows of a kind",
    "All validation rows of a kind",
    "All test rows of",
)

CASES = pytest.mark.parametrize(("task", "suffix"), [(task, suffix) for task in TASKS for suffix in FORMATS])
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@CASES
@settings(max_examples=25, deadline=None, suppress_health_check=UNHURRIED)
@given(data=st.data())
def test_hostile_rows(byte_tokenizer, task, suffix, data):
    check(task, suffix, data.draw(folders(task, suffix)), byte_tokenizer)


@pytest.mark.slow
@CASES
@settings(max_examples=223, deadline=None, suppress_health_check=UNHURRIED)
@given(data=st.data())
def test_two_thousand_hostile_files(byte_tokenizer, ledger, task, suffix, data):
    files = data.draw(folders(task, suffix))
    with ledger.attempt("a data set of three mutated files"):
        check(task, suffix, files, byte_tokenizer)


@CASES
@settings(max_examples=20, deadline=None, suppress_health_check=UNHURRIED)
@given(data=st.data())
def test_odd_rows_are_all_used(byte_tokenizer, task, suffix, data):
    """Rows that are good in spite of their looks; gold entities are those written, white space at the ends apart."""
    rows = {split: [data.draw(good_rows(task, split, i)) for i in range(size)] for split, size in SIZES.items()}
    files = {split: data.draw(FORMATS[suffix]([(row, False) for row in rows[split]])) for split in rows}
    if any(file.whole or any(file.lines.values()) for file in files.values()):
        return
    module = outcome(task, suffix, files, "error", byte_tokenizer)
    assert module.description["sizes"] == SIZES
    if task == "ner":
        for split, kept in module.samples.items():
            for row, sample in zip(rows[split], kept, strict=True):
                texts = [re.sub(r"[\r\n]", " ", entity["text"].strip()) for entity in row["entities"]]
                assert sorted(entity.text for entity in sample.gold) == sorted(texts)


@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
@given(suffix=st.sampled_from(["jsonl", "csv"]), data=st.data())
def test_files_with_bytes_changed(byte_tokenizer, suffix, data):
    """Anywhere in a file: quotes, line breaks, half characters. How many rows are left only the reader knows."""
    files = data.draw(folders("classification", suffix))
    file = files["train"]
    at = data.draw(st.integers(0, len(file.content)))
    put = data.draw(
        st.sampled_from([b'"', b'""', b"\r", b"\n", b",", b"\x00", b"\xff", b"\xe3\x81", b"\\", b"{", b"\xef\xbb\xbf"])
    )
    file.content = file.content[:at] + put + file.content[at + data.draw(st.integers(0, 2)) :]
    file.whole = True
    for mode in ("error", "skip"):
        found = outcome("classification", suffix, files, mode, byte_tokenizer)
        if isinstance(found, ScdError):
            check_error(found, files, suffix)
        else:
            assert found.rejected == [] or mode == "skip"


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_line_of_ten_megabytes(tmp_path, byte_tokenizer, suffix):
    """Beside the text it is read and left alone; a long text is cut."""
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "extra": "x"} for i in range(6)]
    rows[3]["extra"] = "word " * 2_000_000
    rows[4]["text"] = "word " * 20_000
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    text = out.getvalue() if suffix == "csv" else "\n".join(map(json.dumps, rows))
    (tmp_path / f"train.{suffix}").write_text(text, newline="")
    module = encode(Classification(DataSource(str(tmp_path)), max_length=64).read(), byte_tokenizer)
    assert sum(module.description["sizes"].values()) == 6
    assert sum(module.description["cut"].values()) == 1
