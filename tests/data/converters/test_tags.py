"""Tags of every scheme mean the same entities; which scheme it is is told by all rows."""

import csv
import json

import pytest

from scd_lightning.data.converters import TaggedTokens
from scd_lightning.data.converters.tags import scheme, unknown
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError

TOKENS = ["Ida", "Maria", "Berg", "Oslo", "Bergen", "met"]
EXPECTED = [("WHO", "Ida Maria Berg"), ("TOWN", "Oslo"), ("TOWN", "Bergen")]
SCHEMES = {
    "BIO": "B-WHO I-WHO I-WHO B-TOWN B-TOWN O",
    "IOB1": "I-WHO I-WHO I-WHO I-TOWN B-TOWN O",
    "BILOU": "B-WHO I-WHO L-WHO U-TOWN U-TOWN O",
    "BIOES": "B-WHO I-WHO E-WHO S-TOWN S-TOWN O",
    "BMES": "B-WHO M-WHO E-WHO S-TOWN S-TOWN O",
    "underscores": "B_WHO I_WHO I_WHO B_TOWN B_TOWN O",
}


def tagged(tags, i=0):
    return {"tokens": [*TOKENS, str(i)], "tags": [*tags.split(), "O"]}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_mean_the_same(convert, name):
    [done], _ = convert(TaggedTokens(), tagged(SCHEMES[name]))
    assert [(each["label"], each["text"]) for each in done["entities"]] == EXPECTED


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("L-X I-X O", [("X", "a"), ("X", "b")]),
        ("U-X I-X L-X", [("X", "a"), ("X", "b c")]),
        ("B-X L-Y O", [("X", "a"), ("Y", "b")]),
        ("I-X E-X E-X", [("X", "a b"), ("X", "c")]),
    ],
)
def test_tags_out_of_order_start_an_entity(convert, tags, expected):
    [done], _ = convert(TaggedTokens(), {"tokens": ["a", "b", "c"], "tags": tags.split()})
    assert [(each["label"], each["text"]) for each in done["entities"]] == expected


def test_names_of_schemes():
    found = {name: scheme(tags.split()) for name, tags in SCHEMES.items()}
    plain = dict.fromkeys(("BIO", "IOB1", "underscores"))
    assert found == {**plain, "BILOU": "BILOU", "BIOES": "BIOES", "BMES": "BMES"}
    assert scheme(["B-X", "L-X", "S-Y"]) == "B-, L-, S-"
    assert (scheme(["O"]), unknown(["O", "O"]), unknown(["O", "X", "B-X"])) == (None, {}, {})


@pytest.mark.parametrize("name", ["BILOU", "BIOES"])
def test_a_scheme_is_said_wherever_it_first_shows(write_folder, name):
    rows = [tagged("O O O O O O", i) for i in range(9)] + [tagged(SCHEMES[name], i) for i in range(9, 20)]
    plain = rows[:9] + [tagged(SCHEMES["BIO"], i) for i in range(9, 20)]
    read = DataSource(write_folder("other", train=rows), converters=[TaggedTokens()]).read("ner")
    bio = DataSource(write_folder("bio", train=plain), converters=[TaggedTokens()]).read("ner")
    assert read.notes == [f'The tags in "tags" are {name}, and read so.']
    assert [row.values for row in read.rows["train"]] == [row.values for row in bio.rows["train"]]


@pytest.mark.parametrize("skip", ["error", "skip"])
@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (["WHO", "WHO", "WHO", "TOWN", "TOWN", "O"], r"no scheme.*train\.jsonl.*such as WHO, TOWN.*write B- before"),
        ([1, 2, 2, 3, 3, 0], "no scheme.*such as 1, 2, 3.*names: "),
    ],
)
def test_tags_of_no_scheme_are_an_error_of_the_whole_file(write_folder, tags, said, skip):
    plain = [{"tokens": ["none", str(i)], "tags": ["O", "O"]} for i in range(9)]
    rows = [*plain, {"tokens": TOKENS, "tags": tags}]
    with pytest.raises(DataError, match=said):
        DataSource(write_folder(train=rows), converters=[TaggedTokens()], on_bad_row=skip).read("ner")


def test_tokens_and_tags_in_cells_of_csv(tmp_path, write_folder):
    rows = [tagged(SCHEMES["BIO"], i) for i in range(12)] + [{"tokens": [], "tags": []}]
    own = DataSource(write_folder("own", train=rows), converters=[TaggedTokens()]).read("ner")
    for write in (json.dumps, repr):
        with (tmp_path / "train.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["tokens", "tags"])
            writer.writerows([write(row["tokens"]), write(row["tags"])] for row in rows)
        read = DataSource(str(tmp_path / "train.csv"), converters=[TaggedTokens()]).read("ner")
        assert [row.values for row in read.rows["train"]] == [row.values for row in own.rows["train"]]
        assert read.lost == own.lost


def test_numpys_print_in_cells_is_refused_with_the_way(tmp_path):
    rows = "".join(f"\"['a' 'it''s {i}']\",\"['O' 'B-X']\"\n" for i in range(5))
    (tmp_path / "train.csv").write_text(f"tokens,tags\n{rows}")
    with pytest.raises(DataError, match=r"numpy prints it.*train\.csv:2, column tokens.*frame\['tokens'\]"):
        DataSource(str(tmp_path), converters=[TaggedTokens()]).read("ner")
