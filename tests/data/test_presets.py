"""Each preset on a small folder with the online set's own columns, and on one with ours. The texts are invented."""

import csv
import json

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from scd_lightning.errors import DataError
from scd_lightning.tasks.ner import NER

COUNT = 40  # rows of a training file; the cut splits are then large enough to look at
JMED_CHOICE = {"jmmlu_med": "ABCD", "crade": "ABCD", "rrtnm": "ABCDE", "smdis": "AB"}
JMED_NER = ("crner", "rrner", "nrner")
PRESETS = ("pubmedqa", *JMED_CHOICE, *JMED_NER, "ncbi_disease", "banking77")


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def jmed_choice(folder, letters):
    """One document in two rows each; where there are five options, a second question has two of them."""
    rows = []
    for i in range(COUNT):
        question = f"「熱」は？{i}" if len(letters) == 4 else f"どうですか？{i}"
        used = letters[:2] if len(letters) == 5 and i % 2 else letters
        options = {f"option{letter}": f"答え{letter}{i}" if letter in used else "" for letter in letters}
        document = f"症例{i // 2}。\n「つらい」と言う, 熱あり。"
        rows.append({"tag": "t", "question": f"{question}\n「{document}」"} | options | {"answer": used[i % len(used)]})
    write_csv(folder / "train.csv", rows)


def jmed_ner(folder):
    rows = []
    for i in range(COUNT // 2):
        question = f"表す表現は？\n「症例{i}。\n「熱」があり、解熱薬Ａと発熱。」"
        rows.append({"tag": "d", "question": question, "answer": "['発熱', '熱', '咳']"})
        rows.append({"tag": "m-key", "question": question, "answer": "['解熱薬Ａ']"})
    write_csv(folder / "train.csv", rows)


def pubmedqa(folder):
    rows = [
        {
            "pubid": 1000 + i,
            "question": f"Does tea {i} help?",
            "context": {"contexts": [f"Tea {i}.", "It did."], "labels": ["AIM", "RESULTS"], "meshes": ["Tea"]},
            "long_answer": "It does.",
            "final_decision": ("yes", "no", "maybe")[i % 3],
        }
        for i in range(COUNT)
    ]
    Dataset.from_list(rows).to_parquet(folder / "train.parquet")


def ncbi_disease(folder):
    names = ["O", "B-Disease", "I-Disease"]
    features = Features(
        {"id": Value("string"), "tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))}
    )
    for split in ("train", "validation", "test"):
        rows = [
            {"id": str(i), "tokens": ["Patient", f"{split}{i}", "has", "lung", "cancer"], "ner_tags": [0, 0, 0, 1, 2]}
            for i in range(6)
        ]
        rows.append({"id": "6", "tokens": [], "ner_tags": []})  # as the set has it at each split's end
        Dataset.from_list(rows, features=features).to_parquet(folder / f"{split}.parquet")


def banking77(folder):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["Refund_late", "card_lost"])})
    for split in ("train", "test"):
        rows = [{"text": f"{split} query {i}", "label": i % 2} for i in range(COUNT)]
        Dataset.from_list(rows, features=features).to_parquet(folder / f"{split}.parquet")


def online(preset, folder):
    """Writes a folder as the online set is."""
    folder.mkdir()
    if preset in JMED_CHOICE:
        jmed_choice(folder, JMED_CHOICE[preset])
    elif preset in JMED_NER:
        jmed_ner(folder)
    else:
        {"pubmedqa": pubmedqa, "ncbi_disease": ncbi_disease, "banking77": banking77}[preset](folder)
    return folder


def own_rows(preset, count):
    """Rows in our own columns."""
    if preset in JMED_CHOICE:
        choices = list(JMED_CHOICE[preset])
        return [{"question": f"甲{i}？\n「症例{i // 2}」", "choices": choices, "answer": i % 2} for i in range(count)]
    if preset == "banking77":
        return [{"text": f"query {i}", "label": "ab"[i % 2]} for i in range(count)]
    if preset == "pubmedqa":
        return [{"question": f"Tea {i}?", "context": "AIM: Tea.", "answer": ("yes", "no")[i % 2]} for i in range(count)]
    entity = {"start": 0, "end": 1, "label": "disease", "text": "熱"}
    return [{"text": f"熱{i}", "entities": [entity]} for i in range(count)]


@pytest.fixture
def read(make_job):
    """Composes a preset, checks its constructor calls, makes it and reads."""

    def call(preset, *overrides):
        return make_job(f"task={preset}", *overrides, prepared=False).task.read()

    return call


@pytest.mark.parametrize("preset", PRESETS)
def test_a_folder_with_the_online_sets_own_columns(read, preset, tmp_path):
    data = read(preset, f"task.data.path={online(preset, tmp_path / 'set')}")
    assert data.description["name"] == data.task.name == preset
    assert data.description["source"] == "local folder"
    assert str(tmp_path) not in json.dumps(data.description)
    assert all(data.samples.values())
    assert data.task.language == ("ja" if preset in JMED_CHOICE or preset in JMED_NER else "en")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_folder_with_our_own_columns(read, preset, write_folder):
    rows = own_rows(preset, 60)
    split = read(preset, f"task.data.path={write_folder(train=rows[:40], dev=rows[40:50], test=rows[50:])}")
    assert [len(samples) for samples in split.samples.values()] == [40, 10, 10]
    assert split.description["split"] == "as given"
    whole = read(preset, f"task.data.path={write_folder('whole', train=rows)}")
    assert sum(len(samples) for samples in whole.samples.values()) == 60
    assert whole.description["split"].startswith("cut from train: validation")


@pytest.mark.parametrize("preset", JMED_CHOICE)
def test_jmed_choices(read, preset, tmp_path):
    data = read(preset, f"task.data.path={online(preset, tmp_path / 'set')}")
    everything = [sample for samples in data.samples.values() for sample in samples]
    letters = JMED_CHOICE[preset]
    assert {sample.candidates for sample in everything} == (
        {tuple("AB"), tuple("ABCDE")} if preset == "rrtnm" else {tuple(letters)}
    )
    first = next(sample for sample in everything if sample.fields["question"].split("\n")[0].endswith("？1"))
    assert (first.gold, first.fields["choices"].split("\n")[1]) == ("B", "B. 答えB1")
    assert data.task.ordered == (preset == "crade")
    assert data.description["split"].endswith("; not the benchmark's own sample of 100 questions")
    if preset != "jmmlu_med":
        documents = {
            split: {sample.fields["question"].split("\n", 1)[1] for sample in samples}
            for split, samples in data.samples.items()
        }
        assert sum(len(found) for found in documents.values()) == COUNT // 2
        assert "grouped by group" in data.description["split"]


@pytest.mark.parametrize("preset", JMED_NER)
def test_jmed_entities(read, preset, tmp_path):
    data = read(preset, f"task.data.path={online(preset, tmp_path / 'set')}")
    assert isinstance(data.task, NER)
    assert data.primary_metric == "string_f1"
    assert data.description["sizes"] == {"train": 16, "validation": 2, "test": 2}
    assert data.description["lost"] == {"strings that the text does not have": 20}
    sample = data.samples["train"][0]
    assert sample.fields["text"].count("\n") == 1
    assert [(e.label, e.text) for e in sample.gold] == [
        ("disease", "熱"),
        ("medicine_name", "解熱薬Ａ"),
        ("disease", "発熱"),
    ]


def test_pubmedqa(read, tmp_path):
    data = read("pubmedqa", f"task.data.path={online('pubmedqa', tmp_path / 'set')}")
    assert data.description["sizes"] == {"train": 18, "validation": 2, "test": 20}
    assert data.description["split"] == (
        "cut from train: validation 0.05, test 0.5, seed 0, equal inputs kept together; "
        "not the official list of 500 test questions"
    )
    sample = data.samples["train"][0]
    number = int(sample.id) - 1000
    assert sample.fields["context"] == f"AIM: Tea {number}.\nRESULTS: It did."
    assert sample.gold == ("yes", "no", "maybe")[number % 3]


def test_ncbi_disease(read, tmp_path):
    data = read("ncbi_disease", f"task.data.path={online('ncbi_disease', tmp_path / 'set')}")
    assert data.description["sizes"] == {"train": 6, "validation": 6, "test": 6}
    assert data.description["lost"] == {"rows without tokens": 3}
    assert [(e.label, e.text) for e in data.samples["test"][0].gold] == [("Disease", "lung cancer")]


def test_ncbi_disease_in_a_file_that_names_no_tags(read, write_folder):
    rows = [{"tokens": ["flu", str(i)], "ner_tags": [1, 0]} for i in range(12)]
    data = read("ncbi_disease", f"task.data.path={write_folder(train=rows)}")
    assert data.task.labels == ["Disease"]


def test_banking77(read, tmp_path, write_folder):
    data = read("banking77", f"task.data.path={online('banking77', tmp_path / 'set')}")
    assert data.task.candidates == ("Refund_late", "card_lost")
    assert data.description["sizes"] == {"train": 36, "validation": 4, "test": 40}
    with pytest.raises(DataError, match=r"class number without a name.*train\.jsonl:1"):
        read("banking77", f"task.data.path={write_folder(train=[{'text': 'a', 'label': 3}])}")


@pytest.mark.parametrize("preset", PRESETS)
def test_through_datasets_the_same_files_give_the_same_samples(read, preset, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = online(preset, tmp_path / "set")
    jmed = preset in JMED_CHOICE or preset in JMED_NER
    where = f"task.data.hub.data_files={folder / 'train.csv'}" if jmed else f"task.data.hub={folder}"
    loaded, direct = read(preset, where), read(preset, f"task.data.path={folder}")
    assert loaded.digest == direct.digest
    assert {key: value for key, value in loaded.description.items() if key != "source"} == {
        key: value for key, value in direct.description.items() if key != "source"
    }
    assert loaded.description["source"] == ("local files" if jmed else "local folder")


@pytest.mark.parametrize("preset", PRESETS)
def test_where_the_set_is_stands_in_the_preset(make_job, preset):
    hub = make_job(f"task={preset}", prepared=False).task.source.hub
    assert hub.origin.startswith(("hub set ", "https://raw.githubusercontent.com/sociocom/JMED-LLM/3774a34e"))


def test_columns_and_converters_by_override(read, write_folder):
    tickets = [{"body": f"text {i}", "queue": "ab"[i % 2]} for i in range(12)]
    data = read(
        "classification",
        f"task.data.path={write_folder(train=tickets)}",
        "task.data.columns={body: text, queue: label}",
    )
    assert data.task.candidates == ("a", "b")
    exam = [{"question": f"Which {i}?", "a": "one", "b": "two", "answer": "BA"[i % 2]} for i in range(12)]
    package = "scd_lightning.data.converters"
    converters = f"[{{_target_: {package}.ChoiceColumns, columns: [a, b]}}, {{_target_: {package}.LetterAnswers}}]"
    data = read("qa", f"task.data.path={write_folder(train=exam)}", f"task.data.converters={converters}")
    assert {sample.id: sample.gold for sample in data.samples["train"]}["train-1"] == "B"


def test_a_hub_set_by_override(make_job):
    call = "{_target_: scd_lightning.data.hub_sets.HubSet, path: owner/set, name: english, revision: v2}"
    cases = {
        "task=ner task.data.hub=owner/set": "hub set owner/set",
        "task=banking77 task.data.hub=owner/set": "hub set owner/set",
        "task=banking77 task.data.hub.revision=v2": "hub set PolyAI/banking77 at v2",
    }
    for overrides, origin in cases.items():
        assert make_job(*overrides.split(), prepared=False).task.source.hub.origin == origin
    job = make_job("task=classification", f"task.data.hub={call}", prepared=False)
    assert job.task.source.hub.origin == "hub set owner/set (english) at v2"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_real_set(read, preset, real_data):
    [folder] = [each for each in (real_data / preset, real_data / f"{preset}_sent") if each.is_dir()]
    data = read(preset, f"task.data.path={folder}")
    assert data.description["lost"] == {}
    assert data.description["unseen_labels"] == {}
