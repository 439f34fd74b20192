"""The hub command of the README, word for word: offline, on tiny stand-ins under the names of the real repositories."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from scd_lightning.data.synthetic import generate

REPO = Path(__file__).parents[2]
COMMAND = ["task=ner", "teacher=llama", "student=tinyllama"]
SMALL = [
    "task.data.synthetic={train: 48, validation: 8, test: 8}",
    "task.max_new_tokens=24",
    "teacher.epochs=1",
    "teacher.checkpoints=2",
    "budget.stages=2",
    "budget.stage_epochs=1",
    "trainer=cpu",
]
TEACHER, STUDENT = "meta-llama/Llama-2-7b-hf", "TinyLlama/TinyLlama_v1.1"


def llama_tokenizer():
    """Llama 2's kind of tokenizer: BPE over a Metaspace with byte fallback."""
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        limit_alphabet=150,
        show_progress=False,
    )
    tokenizer.train_from_iterator([row["text"] for row in generate("ner", train=100)["train"]], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    whole = Tokenizer(BPE(model["vocab"], merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    whole.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    whole.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1)]
    )
    whole.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    whole.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return whole


def save_tokenizer(tokenizer, folder, **config):
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    settings |= {"add_bos_token": True, "add_eos_token": False, "model_max_length": 4096} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def llama(folder, width, layers, *, safe=True):
    torch.manual_seed(width)
    config = LlamaConfig(
        vocab_size=704,  # A little more than the tokenizer has, as padded vocabularies do.
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    if not safe:  # TinyLlama's repository is older than safetensors.
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()


def publish(folder, cache, name):
    """Lays a model folder out as the hub's cache has it: blobs, a snapshot of links, a ref."""
    root = cache / f"models--{name.replace('/', '--')}"
    commit = hashlib.sha1(name.encode()).hexdigest()
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    for file in folder.iterdir():
        blob = hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(root / "blobs" / blob)
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", blob))


def run(tmp_path, *extra):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SCD_", "TRANSFORMERS_"))}
    env |= {
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "SCD_STORE": str(tmp_path / "store"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [sys.executable, "run.py", *COMMAND, *SMALL, f"hydra.run.dir={tmp_path / 'run'}", *extra]
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("standins")
    cache = tmp_path / "hf" / "hub"
    tokenizer = llama_tokenizer()
    for name, width, layers, settings in (
        (TEACHER, 48, 2, {"legacy": False, "pad_token": None}),
        (STUDENT, 32, 1, {"legacy": True, "pad_token": "</s>"}),
    ):
        folder = tmp_path / name.split("/")[0]
        folder.mkdir()
        save_tokenizer(tokenizer, folder, **settings)
        llama(folder, width, layers, safe=name == TEACHER)
        publish(folder, cache, name)
    done = run(tmp_path, "evaluate.base=true")
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path, done


def test_it_runs_to_the_table_and_the_report(finished):
    tmp_path, done = finished
    assert "base teacher" in done.stdout.lower().replace("_", " ")
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    assert not list((tmp_path / "store").glob("*.partial"))


def test_results_have_the_untuned_models_too(finished):
    results = json.loads((finished[0] / "run" / "results.json").read_text())
    assert set(results["metrics"]) == {"base_teacher", "base_student", "teacher", "anchor", "student"}
    assert results["models"]["teacher"]["name"] == TEACHER
    assert results["models"]["student"]["name"] == STUDENT
    assert len(results["schedule"]) == 2


def test_the_trajectory_holds_adapters_alone(finished):
    tmp_path, _ = finished
    (folder,) = (tmp_path / "store").glob("teacher-*/trajectory")
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 2
    for file in files:
        with safe_open(file, "pt") as tensors:
            names = list(tensors.keys())
        assert names
        assert all("lora_" in name for name in names)


def test_the_student_is_a_plain_transformers_folder(finished):
    model = AutoModelForCausalLM.from_pretrained(finished[0] / "run" / "student")
    assert isinstance(model, LlamaForCausalLM)
    assert model.config.hidden_size == 32
    assert (finished[0] / "run" / "student" / "tokenizer.json").is_file()


def test_without_the_models_it_ends_in_a_paragraph_at_once(tmp_path):
    start = time.monotonic()
    done = run(tmp_path)
    assert time.monotonic() - start < 60  # Seconds by itself; tests run beside others.
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in ("ModelError", "can't be reached", "teacher.path", TEACHER, "Remedy"):
        assert part in done.stderr
    assert not list((tmp_path / "store").glob("*-*"))  # only the record of the run
