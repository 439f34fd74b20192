"""How a table's quotes and separators are written is told by all of it; no record vanishes without a word."""

import pytest

from scd_lightning.data.files import read_folder
from scd_lightning.errors import DataError

ROWS = [{"text": f"case {i}", "label": ("open", "shut")[i % 2]} for i in range(12)]


def lines(separator=",", rows=ROWS, cell=str):
    return [separator.join(row) for row in [["text", "label"], *([cell(v) for v in row.values()] for row in rows)]]


def read(tmp_path, text, name="train.csv"):
    (tmp_path / name).write_text(text, newline="")
    notes: list[str] = []
    return [row.values for row in read_folder(tmp_path, notes=notes)["train"]], notes


def altered(changes, separator=","):
    """The table with some lines replaced, by number from 0, the header's."""
    made = lines(separator)
    for number, line in changes.items():
        made[number] = line
    return "\n".join(made) + "\n"


@pytest.mark.parametrize(
    "changes",
    [
        {3: '"case 2,open', 4: 'case 3",shut'},
        {3: '"case 2,open', 7: 'case 6",open'},
        {3: 'case 2,"open', 8: 'case 7,shut"'},
    ],
)
def test_a_quote_that_encloses_records(tmp_path, changes):
    with pytest.raises(DataError, match=r"A quote encloses several records.*train\.csv:4.*over \d lines.*stray quote"):
        read(tmp_path, altered(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {3: '"case\t2\topen'},
        {3: '"case 2\topen', 7: 'case 6"\topen'},
        {3: '"case" 2, he said\topen'},
        {3: 'case 2"\topen', 4: '"case 3\tshut', 9: 'case "8"\topen'},
    ],
)
def test_tabs_with_quotes_as_they_are(tmp_path, changes):
    changes = {at: line.replace("case\t2", "case 2") for at, line in changes.items()}
    found, notes = read(tmp_path, altered(changes, "\t"), "train.tsv")
    expected = [*ROWS]
    for at, line in changes.items():
        expected[at - 1] = dict(zip(("text", "label"), line.split("\t"), strict=True))
    assert found == expected
    assert notes in ([], ["train.tsv has quotes that enclose no cell and is read so."])


def test_a_stray_quote_among_quoted_cells_stays_an_error(tmp_path):
    text = altered({2: '"case 1"\tshut', 3: '"case 2\topen'}, "\t")
    with pytest.raises(DataError, match="not CSV"):
        read(tmp_path, text, "train.tsv")


@pytest.mark.parametrize(
    "cell",
    ["Dear all, it\nis open, still\n", "a,open\nand more text\nand more,shut", "one\n\ntwo", 'say ""no""\nor, yes'],
)
def test_texts_of_several_lines_are_texts(tmp_path, cell):
    found, notes = read(tmp_path, altered({3: f'"{cell}",open', 8: f'"{cell}!",shut'}))
    assert found[2] == {"text": cell.replace('""', '"'), "label": "open"}
    assert (len(found), notes) == (12, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join(lines(", ", cell='"{0}"'.format)), ["blanks between separators and quotes"]),
        ("\n".join(lines(cell="'{0}'".format)).replace("case 5", "case, 5"), ["single quotes"]),
        ('"sep=;"\r\n' + "\r\n".join(lines(";")), ["semicolons"]),
        ("SEP=;\r" + "\r".join(lines(";")), ["semicolons"]),
        ("\n".join([*lines()[:5], *lines()[:1], *lines()[5:]]), ["repeats its header 1 times"]),
        ("\n".join([*lines()[:5], "   ", *lines()[5:], "\t", ""]), []),
        ("\r\n".join(lines()[:5]) + "\n" + "\r".join(lines()[5:]), []),
        ("\n".join([" text ,label\t", *lines()[1:]]), []),
    ],
)
def test_other_ways(tmp_path, text, said):
    found, notes = read(tmp_path, text)
    assert [{**row, "text": row["text"].replace(",", "")} for row in found] == ROWS
    assert len(notes) == len(said)
    assert all(word in note for word, note in zip(said, notes, strict=True))


def test_a_column_of_texts_may_have_the_words_of_its_header(tmp_path):
    assert read(tmp_path, "text\none\ntext\n")[0] == [{"text": "one"}, {"text": "text"}]


@pytest.mark.parametrize("above", ["Export of cases", "# made in May by me"])
def test_a_line_above_the_header(tmp_path, above):
    with pytest.raises(DataError, match=r"no header of the lines below.*1 cells.*13 of 13 lines below have 2.*remove"):
        read(tmp_path, "\n".join([above, *lines()]))


def test_one_longer_line_is_an_error_of_its_row(tmp_path):
    with pytest.raises(DataError, match=r"another number of cells.*train\.csv:4"):
        read(tmp_path, altered({3: "case 2,open,and more"}))


@pytest.mark.parametrize("which", [[3], range(1, 13)], ids=["one", "all"])
def test_texts_with_commas_and_without_quotes(tmp_path, which):
    with pytest.raises(DataError, match=r"put texts that hold separators in double quotes"):
        read(tmp_path, altered({at: f"Hello, case {at},{'ab'[at % 2]}" for at in which}))
    # As the remedy has it.
    quoted, _ = read(tmp_path, altered({at: f'"Hello, case {at}",{"ab"[at % 2]}' for at in which}))
    assert [row["text"] for row in quoted if row["text"].startswith("Hello, ")] == [f"Hello, case {at}" for at in which]
