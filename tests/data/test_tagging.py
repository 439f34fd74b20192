"""Tokens with tags, in columns, in cells and a token a line, are the same data as entities with places."""

import csv
import io
import json

import datasets
import pytest

from scd_lightning.data.converters import RowConverter, TaggedTokens
from scd_lightning.data.converters.base import with_values
from scd_lightning.data.hub_sets import HubSet
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import DataError
from scd_lightning.tasks.ner import NER
from tests.data.examples import TAGGED

ROWS = [{"tokens": words, "tags": tags} for words, tags in TAGGED]
NAMES = ["O", "B-WHO", "I-WHO", "B-TOWN", "I-TOWN"]


def read(path, **settings):
    return NER(DataSource(str(path), **settings)).read()


@pytest.fixture
def own(write_folder):
    """The data as the converter reads them."""
    return read(write_folder("own", train=ROWS), converters=[TaggedTokens()])


def table(rows, write, separator=","):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(rows[0])
    writer.writerows([write(value) for value in row.values()] for row in rows)
    return out.getvalue()


@pytest.mark.parametrize("names", [("tokens", "tags"), ("words", "ner_tags"), ("text", "labels"), ("Wort", "Etikett")])
def test_columns_of_lists(write_folder, own, names):
    rows = [dict(zip(names, row.values(), strict=True), note=i) for i, row in enumerate(ROWS)]
    data = read(write_folder(train=rows))
    assert data.digest == own.digest
    tokens, tags = names
    assert data.doubts[0].startswith(
        f'Entities are read from the tokens in "{tokens}" and the tags in "{tags}", with a'
    )


@pytest.mark.parametrize("write", [" ".join, json.dumps, repr])
@pytest.mark.parametrize("converters", [(), [TaggedTokens()]])
def test_cells(tmp_path, own, write, converters):
    (tmp_path / "train.csv").write_text(table(ROWS, write))
    data = read(tmp_path, converters=converters)
    assert (data.digest, len(data.doubts)) == (own.digest, 1 - len(converters))


def test_tags_between_commas(tmp_path, own):
    rows = [{"sentence": " ".join(words), "word_labels": ",".join(tags)} for words, tags in TAGGED]
    (tmp_path / "train.csv").write_text(table(rows, str))
    assert read(tmp_path).digest == own.digest


def test_a_text_in_a_cell_stays_as_it_stands(write_folder):
    rows = [{"text": f"Ann  Lee\tleft {i}", "tags": "B-WHO I-WHO O O"} for i in range(9)]
    sample = read(write_folder(train=rows)).samples["train"][0]
    assert (sample.fields["text"][:9], sample.gold[0].start, sample.gold[0].end) == ("Ann  Lee\t", 0, 8)


def lines(columns="{0} {1}", behind="\n"):
    return "\n".join("".join(columns.format(*pair) + "\n" for pair in zip(*each, strict=True)) for each in TAGGED)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.conll", "-DOCSTART- -X- -X- O\n\n" + lines("{0} NN B-NP {1}")),
        ("train.txt", lines()),
        ("train.iob2", lines("{0}\t_\t_\t{1}").replace("\n\n", "\r\n \r\n")),
        ("train.bio", "# id 7\n" + lines("{0}\t{1}").replace("\n\n", "\n\n# id 8\n")),
        ("train.tsv", lines("{0}\t{1}")),
        ("train.csv", lines("{0},{1}")),
        ("train.tsv", "#\tsource\n" + lines("7\t{0}\t{1}\tO").replace("\n\n", "\n\n#\tsource\n")),
    ],
)
def test_a_token_a_line(tmp_path, own, name, content):
    (tmp_path / name).write_text(content, newline="")
    data = read(tmp_path)
    assert data.digest == own.digest
    assert "has a token a line" in data.doubts[0]


def test_a_split_without_entities_beside_others(tmp_path):
    (tmp_path / "train.txt").write_text(lines())
    (tmp_path / "test.txt").write_text("No O\nnames O\n\nNone O\n")
    assert [sample.fields["text"] for sample in read(tmp_path).samples["test"]] == ["No names", "None"]


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_the_token_that_comments_begin_with(tmp_path, blank):
    tagged = [("C", "B-LANG"), ("#", "I-LANG"), ("and", "O"), ("#", "O")]
    content = f"#{blank}id I-95\n#{blank}I-95\n" + "".join(f"{token}{blank}{tag}\n" for token, tag in tagged)
    (tmp_path / "train.conll").write_text(content + "\n" + lines(f"{{0}}{blank}{{1}}"))
    assert read(tmp_path).texts()[0].endswith("LANG: C #")
    assert read(tmp_path).samples["train"][0].fields["text"] == "C # and #"


def test_blanks_that_break_no_lines_are_within_tokens(tmp_path):
    (tmp_path / "train.conll").write_text("10\u00a0mg B-WHO\nleft O\n\n" + lines())
    assert read(tmp_path).samples["train"][0].gold[0].text == "10\u00a0mg"


def test_splits_in_different_forms(tmp_path, own):
    (tmp_path / "train.conll").write_text(lines())
    row = {"text": "Ann left", "entities": [{"start": 0, "end": 3, "label": "WHO"}]}
    (tmp_path / "test.jsonl").write_text(json.dumps(row))
    data = read(tmp_path)
    assert [sample.completion for sample in data.samples["test"]] == ["WHO: Ann"]
    assert {sample.completion for split in own.samples.values() for sample in split} >= {
        sample.completion for sample in data.samples["train"]
    }


def test_a_line_that_is_not_as_the_others(tmp_path):
    (tmp_path / "train.conll").write_text(lines().replace("left O", "left", 1))
    with pytest.raises(DataError, match=r"no token and tag.*train\.conll:\d+.*Got: left\..*2 columns.*2nd is a tag"):
        read(tmp_path)


def test_scripts_without_blanks(write_folder):
    rows = [
        {"tokens": ["第", str(i), "回", "東京", "都", "で"], "tags": ["O"] * 3 + ["B-L", "I-L", "O"]} for i in range(9)
    ]
    data = read(write_folder(train=rows))
    assert data.samples["train"][0].fields["text"].endswith("回東京都で")
    assert "nothing between tokens (otherwise: " in data.doubts[0]


def test_the_way_that_is_named_for_another_joiner(write_folder):
    folder = write_folder(train=ROWS)
    [doubt] = read(folder).doubts
    assert doubt.endswith("""TaggedTokens, joiner: ""}]').""")
    assert " " not in read(folder, converters=[TaggedTokens(joiner="")]).samples["train"][0].fields["text"]


FEATURES = datasets.Features(
    {
        "tokens": datasets.Sequence(datasets.Value("string")),
        "ner_tags": datasets.Sequence(datasets.ClassLabel(names=NAMES)),
        "chunk_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-NP"])),
    }
)


@pytest.fixture
def hub_file(tmp_path, monkeypatch):
    """A Parquet file as the hub has it, with class numbers."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [
        {"tokens": words, "ner_tags": [NAMES.index(tag) for tag in tags], "chunk_tags": [1] * len(tags)}
        for words, tags in TAGGED
    ]
    datasets.Dataset.from_list(rows, features=FEATURES).to_parquet(tmp_path / "set.parquet")
    return str(tmp_path / "set.parquet")


def test_class_numbers_of_tags_and_several_columns_of_them(hub_file, own):
    assert read(hub_file).digest == own.digest
    assert NER(DataSource(hub=HubSet("parquet", data_files=hub_file))).read().digest == own.digest


def test_class_numbers_within_objects(tmp_path, own, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    label = datasets.ClassLabel(names=["WHO", "TOWN"])
    place = datasets.Value("int32")
    samples = [sample for part in own.samples.values() for sample in part]
    entities = [
        [{"start": each.start, "end": each.end, "label": label.str2int(each.label)} for each in sample.gold]
        for sample in samples
    ]
    columns = [{name: [each[name] for each in found] for name in ("start", "end", "label")} for found in entities]
    lists = {name: datasets.Sequence(kind) for name, kind in (("start", place), ("end", place), ("label", label))}
    objects = [{"start": place, "end": place, "label": label}]
    for name, kind, values in (("columns", lists, columns), ("objects", objects, entities)):
        features = datasets.Features({"text": datasets.Value("string"), "spans": kind})
        rows = [{"text": sample.fields["text"], "spans": each} for sample, each in zip(samples, values, strict=True)]
        datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / f"{name}.parquet")
        data = read(tmp_path / f"{name}.parquet")
        assert {entity.label for sample in data.samples["train"] for entity in sample.gold} == {"WHO", "TOWN"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"tokens": words, "ner_tags": [*map(len, tags)]} for words, tags in TAGGED], "names: .*of TaggedTokens"),
        ([{**row, "more": row["tags"]} for row in ROWS], r"Several columns have tags.*Got: tags, more.*tags: NAME"),
        (
            [{"word": word, "tag": tag} for row in ROWS for word, tag in zip(*row.values(), strict=True)],
            r'Each row is one token.*one tag each in "tag".*groupby.*\.conll',
        ),
        ([*ROWS, {"tokens": ["a"], "tags": ["O", "O"]}], r'"tags" does not fit the tokens.*train\.jsonl:21'),
        ([*ROWS, {"tokens": ["a"], "tags": None}], r'"tags" is empty.*train\.jsonl:21'),
        ([{"tokens": words, "marks": ["X"] * len(words)} for words, _ in TAGGED], "of no scheme that is known"),
        ([{"words": words, "kind": "O"} for words, _ in TAGGED], '"text" is missing'),
        ([{"text": "B-52 over Oslo", "names": ["B-52"]}] * 3, '"entities" is missing'),
    ],
)  # fmt: skip
def test_what_is_not_certain(write_folder, rows, said):
    with pytest.raises(DataError, match=said):
        read(write_folder(train=rows))


def test_bad_rows_are_left_out_as_those_of_the_converter(write_folder):
    data = read(write_folder(train=[*ROWS, {"tokens": ["a"], "tags": ["O", "O"]}]), on_bad_row="skip")
    assert data.description["rejected"]["train"] == 1


def test_numpys_print_is_named_for_any_column(tmp_path):
    (tmp_path / "train.csv").write_text(table(ROWS, lambda words: f"[{' '.join(map(repr, words))}]"))
    with pytest.raises(DataError, match=r"as numpy prints it.*column tokens.*Parquet"):
        read(tmp_path)


def test_tokens_of_texts_without_labels(write_folder, tmp_path):
    texts = tmp_path / "more.jsonl"
    texts.write_text('{"tokens": ["Eva", "left"]}\n{"tokens": ["So", "it", "is"], "tags": ["O", "O", "O"]}\n')
    for train in (
        ROWS,
        [{"text": "Ann left", "entities": [[0, 3, "WHO"]]}] + [{"text": f"a{i}", "entities": []} for i in range(9)],
    ):
        data = NER(DataSource(write_folder(train=train), unlabelled=str(texts))).read()
        assert [sample.fields["text"] for sample in data.samples["unlabelled"]] == ["Eva left", "So it is"]


class Joined(RowConverter):
    """One of one's own that does not say which columns it takes."""

    def convert(self, row):
        text = "".join(row.values["tokens"])
        return with_values(
            row, text=text, entities=[{"start": 0, "end": len(text), "label": row.values["tags"][0][2:]}]
        )


def test_tokens_are_left_to_a_converter_of_ones_own(write_folder):
    rows = [{"tokens": ["Ann", str(i)], "tags": [f"B-{'XY'[i % 2]}", "O"]} for i in range(9)]
    data = read(write_folder(train=rows), converters=[Joined()])
    assert data.samples["train"][0].gold[0].text == "Ann0"
    assert not data.doubts
