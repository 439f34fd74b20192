"""Quantized frozen weights: what is refused early, and with the packages there, a whole run on adapters."""

import json
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, LlamaConfig

from scd_lightning.errors import ConfigError
from scd_lightning.models import quantization
from scd_lightning.models.loading import build_model, check_reachable
from scd_lightning.models.quantization import quantization_identity, quantizing_package
from scd_lightning.models.spec import LoRA, StudentSpec, TeacherSpec

PACKAGES = [
    pytest.param(bits, marks=pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed"))
    for bits, package in (("8bit", "torchao"), ("4bit", "bitsandbytes"))
]


def teacher(**arguments):
    fields: dict[str, Any] = {"name": "t", "optimizer": AdamW, "path": "x", "lora": LoRA(r=2)}
    return TeacherSpec(**(fields | arguments))


@pytest.mark.parametrize(
    ("bits", "cuda", "installed", "expected"),
    [
        ("8bit", False, {"torchao", "bitsandbytes"}, "torchao"),
        ("8bit", True, {"torchao", "bitsandbytes"}, "bitsandbytes"),
        ("8bit", True, {"torchao"}, "torchao"),
        ("4bit", False, {"torchao", "bitsandbytes"}, "bitsandbytes"),
        ("4bit", True, {"bitsandbytes"}, "bitsandbytes"),
    ],
)
def test_which_package(monkeypatch, bits, cuda, installed, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(quantization, "find_spec", lambda name: name if name in installed else None)
    assert quantizing_package(teacher(quantization=bits)) == expected


@pytest.mark.parametrize(("bits", "install"), [("8bit", "torchao"), ("4bit", "bitsandbytes")])
def test_a_missing_package_shows_at_once(monkeypatch, bits, install):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    # Before the model itself, which there is none of.
    with pytest.raises(ConfigError, match=f"not installed.*teacher.quantization.*python -m pip install {install}"):
        check_reachable(teacher(quantization=bits), "teacher.path")


def test_nothing_frozen_is_nothing_to_quantize():
    with pytest.raises(ConfigError, match=r"Only frozen weights.*4bit with lora\.r=0.*set teacher\.lora\.r=16"):
        teacher(quantization="4bit", lora=LoRA())
    with pytest.raises(ConfigError, match="quantization is for pretrained models"):
        teacher(quantization="4bit", path=None, architecture={}, vocab_size=300)
    with pytest.raises(ConfigError, match="student's weights can't be quantized"):
        StudentSpec(name="s", optimizer=AdamW, path="x", quantization="4bit")


def test_without_it_nothing_is_asked_for():
    assert quantization_identity(teacher()) is None


@pytest.fixture
def saved(tmp_path, tokenizer):
    """Widths that blocks of 64 weights fit."""
    folder = tmp_path / "pretrained"
    size: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = LlamaConfig(vocab_size=320, tie_word_embeddings=True, initializer_range=0.2, **size)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("bits", PACKAGES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_is_nearly_the_same_model_in_less_memory(saved, tokenizer, bits, dtype):
    plain = build_model(teacher(path=str(saved), dtype=dtype), tokenizer, 0).eval()
    model = build_model(teacher(path=str(saved), dtype=dtype, quantization=bits), tokenizer, 0).eval()
    ids = torch.arange(2, 30).unsqueeze(0)
    with torch.no_grad():
        expected, found = (m.head(m.body(input_ids=ids).last_hidden_state).float() for m in (plain, model))
    assert 0 < (found - expected).abs().mean() < {"8bit": 0.05, "4bit": 0.4}[bits] * expected.abs().mean()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert set(quantization_identity(teacher(quantization=bits)) or {}) == {"bits", "package", "version"}


@pytest.mark.parametrize("bits", PACKAGES)
@pytest.mark.parametrize("source", ["cached", "live"])
def test_a_run_on_a_quantized_teacher(saved, make_job, run_job, bits, source):
    job = make_job(
        f"teacher.path={saved}",
        f"student.path={saved}",
        "student.keep_layers=1",
        "teacher.lora.r=2",
        f"teacher.quantization={bits}",
        "teacher.gradient_checkpointing=true",
        "task.data.synthetic={train: 24, validation: 6, test: 6}",
        "task.max_new_tokens=8",
        f"method.teacher={source}",
    )
    made = run_job(job)
    # Megabytes a checkpoint, and no frozen weight among them.
    for file in (made["teacher"].folder / "trajectory").glob("*.safetensors"):
        assert all("lora_" in name for name in load_file(file))
    results = json.loads((job.run_dir / "results.json").read_text())
    whole = AutoModelForCausalLM.from_pretrained(saved).num_parameters()
    assert whole < results["models"]["teacher"]["parameters"] < 1.1 * whole
