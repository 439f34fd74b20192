"""`on_bad_row=skip`: what is left out, where that is said, and what stays an error."""

import json
from pathlib import Path

import pytest

from scd_lightning.data.bad_rows import BadRows
from scd_lightning.data.converters import AskedEntities, PlacedStrings, RowConverter
from scd_lightning.data.rows import Row
from scd_lightning.data.sources import DataSource
from scd_lightning.errors import ConfigError, DataError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.qa import QA
from scd_lightning.training.data_module import encode


def rows(split, count):
    return [{"id": f"{split}{i}", "text": f"{split} text {i}", "label": "ab"[i % 2]} for i in range(count)]


SPLITS = {split: rows(split, count) for split, count in (("train", 8), ("validation", 3), ("test", 3))}
CLEAN = {"train": 0, "validation": 0, "test": 0}


def read(folder, **settings):
    return Classification(DataSource(folder, on_bad_row="skip", **settings), max_length=60).read()


def test_rows_left_out_are_noted_and_the_rest_is_as_if_they_had_never_been(write_folder):
    bad = [{"id": "x", "text": "no label"}, {"id": "train0", "text": "other", "label": "a"}, {"id": "\ud800"}]
    module = read(write_folder("dirty", **{**SPLITS, "train": [*SPLITS["train"], *bad]}))
    clean = read(write_folder("clean", **SPLITS))
    assert module.description == clean.description | {"rejected": CLEAN | {"train": 3}}
    assert module.digest == clean.digest
    assert clean.description["rejected"] == CLEAN
    assert [record["line"] for record in module.rejected] == [11, 9, 10]
    missing = module.rejected[1]
    assert missing.pop("file").endswith("dirty/train.jsonl")
    assert missing.pop("reason").startswith('Field "label" is missing; got fields')
    assert missing == {"split": "train", "line": 9, "id": "x", "values": {"id": "x", "text": "no label"}}


def test_what_is_left_out_changes_the_digest(write_folder):
    spoilt = [*SPLITS["train"][:-1], SPLITS["train"][-1] | {"label": 1.5}]
    assert read(write_folder("one", **SPLITS)).digest != read(write_folder("two", **{**SPLITS, "train": spoilt})).digest


def test_records_can_be_written_whatever_the_row_holds(tmp_path, write_folder):
    folder = write_folder(**SPLITS)
    bad = {"text": "\ud800\x00\u202e\n" + "x" * 10_000, "label": ["\ud800"], **{f"c{i}": i for i in range(100)}}
    for line in (json.dumps(bad), '{"text": "\x1b[31m', "9" * 5000, "[" * 100_000):
        with Path(folder, "train.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    records = read(folder).rejected
    text = json.dumps(records, ensure_ascii=False)
    assert len(records) == 4
    assert text.encode("utf-8")
    assert len(text) < 10_000
    assert not set(text) & set("\x1b\u202e\x00")


def test_samples_too_long_without_their_free_text_are_left_out(write_folder, byte_tokenizer):
    splits = {
        split: [
            {"id": f"{split}{i}", "question": f"{split} {i}", "choices": ["one", "two"], "answer": i % 2} for i in part
        ]
        for split, part in (("train", range(6)), ("validation", range(2)), ("test", range(2)))
    }
    splits["train"][2]["choices"] = ["one " * 100, "two"]
    folder = write_folder(**splits)
    strict, skipping = (QA(DataSource(folder, on_bad_row=mode), max_length=80) for mode in ("error", "skip"))
    read_strictly = strict.read()
    with pytest.raises(DataError, match=r"too long.*train\.jsonl:3 \(train, id train2\)"):
        encode(read_strictly, byte_tokenizer)
    read_all = skipping.read()
    assert read_all.digest == read_strictly.digest
    kept = encode(read_all, byte_tokenizer)
    assert kept.description["sizes"] == {"train": 5, "validation": 2, "test": 2}
    assert kept.description["rejected"] == CLEAN | {"train": 1}
    assert [sample.id for sample in kept.samples["train"]] == [f"train{i}" for i in (0, 1, 3, 4, 5)]
    assert [sample.index for sample in kept.tokenized["train"]] == list(range(5))
    assert kept.digest == kept.description["digest"] != read_strictly.digest
    assert kept.rejected[0]["id"] == "train2"


def test_more_than_half_is_an_error(write_folder):
    half = [{"id": str(i), "text": "t"} for i in range(8)]
    folder = write_folder("half", **{**SPLITS, "train": SPLITS["train"] + half})
    assert read(folder).description["rejected"]["train"] == 8
    more = {**SPLITS, "train": [*SPLITS["train"], *half, {"id": "more"}]}
    with pytest.raises(DataError, match=r"More than half of the train rows.*train\.jsonl:9.*9 of 17.*is missing.*task"):
        read(write_folder("more", **more))


def test_the_half_is_counted_over_all_steps():
    """Each of two steps refuses two of six rows and of the four that are left: four of six in all."""
    bad_rows = BadRows(skip=True)

    def refuse(limit):
        def convert(number):
            if number < limit:
                raise Row(str(number), {}, "f", number).error("x", "is bad", None, "better")
            return number

        return convert

    left = bad_rows.keep("test", refuse(2), range(6))
    assert left == [2, 3, 4, 5]
    with pytest.raises(DataError, match="4 of 6 rows"):
        bad_rows.keep("test", refuse(4), left)


def test_rows_are_left_out_before_splits_are_cut(write_folder):
    bad = {"id": "bad", "text": "t"}
    with_bad = read(write_folder("dirty", train=[*SPLITS["train"], bad]), validation_ratio=0.25, test_ratio=0.25)
    without = read(write_folder("clean", train=SPLITS["train"]), validation_ratio=0.25, test_ratio=0.25)
    assert with_bad.digest == without.digest
    assert with_bad.description["rejected"] == CLEAN | {"train": 1}


def test_a_row_without_its_group_is_left_out(write_folder):
    grouped = [row | {"group": i // 2} for i, row in enumerate(SPLITS["train"])]
    folder = write_folder(train=[*grouped, {"text": "alone", "label": "a"}])
    assert read(folder, group_column="group").description["rejected"] == CLEAN | {"train": 1}


class Refusing(RowConverter):
    """Refuses one row."""

    def convert(self, row):
        if row.id == "train3":
            raise row.error("text", "is refused", row.id, "another")
        return row


def test_what_converters_refuse(write_folder):
    folder = write_folder(**SPLITS)
    assert read(folder, converters=[Refusing()]).description["rejected"] == CLEAN | {"train": 1}
    with pytest.raises(DataError, match="is refused"):
        Classification(DataSource(folder, converters=[Refusing()])).read()


def test_a_row_is_not_left_out_of_what_a_converter_joins(write_folder):
    def asked(tag):
        return {"question": "Which?\n「a b」", "tag": tag, "answer": "['a']"}

    others = [asked("d") | {"question": f"Which?\n「c {i}」"} for i in range(4)]
    folder = write_folder(train=[asked("d"), asked("unknown"), *others])
    source = DataSource(folder, on_bad_row="skip", converters=[AskedEntities({"d": "X"}), PlacedStrings()])
    with pytest.raises(DataError, match=r'"tag" is unknown.*train\.jsonl:2'):
        source.read("ner")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.jsonl", b'{"text": "a", "label": "x"}\n{"text": "\xff"}\n', r"not UTF-8.*train\.jsonl:2"),
        ("train.csv", b"text,text\na,b\n", r"Two columns have one name.*train\.csv:1"),
        ("train.csv", b'text,label\na,b\n"a"x,b\n', r"not CSV.*train\.csv:3"),
        ("train.csv", b"text,label\n", r"holds no rows.*train\.csv"),
        ("train.parquet", b"PAR1", r"not Parquet.*train\.parquet"),
    ],
)
def test_errors_of_a_whole_file_stay(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(str(tmp_path))


def test_a_record_of_csv_with_another_number_of_cells(tmp_path):
    lines = ["text,label", *(f"text {i},{'ab'[i % 2]}" for i in range(6)), "", "lonely", "one,a,more", "last,a"]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    module = read(str(tmp_path))
    assert [(record["line"], record["id"]) for record in module.rejected] == [(9, "train-7"), (10, "train-8")]
    assert module.rejected[0]["values"] == {"line": "['lonely']"}


def test_other_words_than_error_and_skip():
    with pytest.raises(ConfigError, match=r"task\.data\.on_bad_row.*ignore.*error or skip"):
        DataSource(on_bad_row="ignore")  # type: ignore[arg-type]
