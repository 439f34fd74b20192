"""An exported student is a transformers folder that needs nothing of this package."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, AutoTokenizer

from scd_lightning.batch import Slot, TokenizedSample
from scd_lightning.data.collate import collate
from scd_lightning.models.export import base_facts, export
from scd_lightning.models.loading import build_model
from scd_lightning.models.spec import LoRA, StudentSpec
from scd_lightning.models.tokenizers import train_tokenizer

ARCHITECTURE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXTS = ["the answer is in the text", "答えは本文にあります"] * 4


@pytest.fixture
def tokenizer():
    return train_tokenizer(TEXTS, 300)


@pytest.fixture
def make_student(tokenizer):
    """A student whose every trained weight has moved."""

    def make(**arguments):
        fields: dict[str, Any] = {
            "name": "s",
            "optimizer": AdamW,
            "architecture": ARCHITECTURE,
            "vocab_size": 300,
        } | arguments
        spec = StudentSpec(**fields)
        model = build_model(spec, tokenizer, 0)
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.1)
        return model.eval()

    return make


def logits_of(model, tokenizer):
    ids = tokenizer("the text 答え").input_ids
    sample = TokenizedSample(0, ids, [*ids[:3], 0])
    with torch.no_grad():
        return model.logits(collate([sample], [Slot(0, 1.0, 1, 4)], 0)), sample


@pytest.mark.parametrize(
    "arguments",
    [
        {"architecture": ARCHITECTURE | {"tie_word_embeddings": True}},
        {"architecture": ARCHITECTURE | {"tie_word_embeddings": False}},
        {"lora": LoRA(r=2)},
        {"lora": LoRA(r=2, target_modules=["q_proj", "v_proj"]), "gradient_checkpointing": True},
    ],
    ids=["tied", "untied", "lora", "lora of two layers"],
)
def test_it_loads_with_transformers_alone(make_student, tokenizer, tmp_path, arguments):
    model = make_student(**arguments)
    expected, sample = logits_of(model, tokenizer)
    export(model, tokenizer, tmp_path)
    loader: Any = AutoModelForCausalLM
    loaded, info = loader.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        found = loaded(input_ids=torch.tensor([sample.prompt_ids + sample.completion_ids])).logits[0]
    torch.testing.assert_close(found[len(sample.prompt_ids) - 1 : -1], expected, rtol=1e-5, atol=1e-5)
    assert not list(tmp_path.glob("adapter*"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("converted", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_in_any_precision_is_the_same_when_it_is_loaded(make_student, tokenizer, tmp_path, dtype, converted):
    model = make_student(dtype=dtype, architecture=ARCHITECTURE | {"max_position_embeddings": 512}).to(converted)
    ids = torch.arange(400).unsqueeze(0) % len(tokenizer)
    export(model, tokenizer, tmp_path)
    with torch.no_grad():
        evaluated = model.base(input_ids=ids).logits
        assert torch.equal(AutoModelForCausalLM.from_pretrained(tmp_path).eval()(input_ids=ids).logits, evaluated)


def test_who_may_read_the_folder_may_read_its_files(make_student, tokenizer, tmp_path):
    tmp_path.chmod(0o755)
    export(make_student(), tokenizer, tmp_path)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.safetensors")} == {0o644}


def test_the_tokenizer_comes_along(make_student, tokenizer, tmp_path):
    export(make_student(), tokenizer, tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "the text, 本文 🙂\n"
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.decode(loaded(text).input_ids) == text
    assert (loaded.eos_token_id, loaded.pad_token_id) == (0, 1)


def test_generation_is_greedy_and_ends(make_student, tokenizer, tmp_path):
    model = make_student()
    model.base.generation_config.update(do_sample=True, temperature=3.0)
    export(model, tokenizer, tmp_path)
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    settings = loaded.generation_config
    assert not settings.do_sample
    assert (settings.eos_token_id, settings.pad_token_id) == (0, 1)
    ids = torch.tensor([[5, 6]])
    assert torch.equal(loaded.generate(ids, max_new_tokens=5), loaded.generate(ids, max_new_tokens=5))


def test_a_second_export_replaces_the_first(make_student, tokenizer, tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "model-00001-of-00009.safetensors").write_text("left from a larger model")
    export(make_student(), tokenizer, folder)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == ["model.safetensors"]


def test_a_padded_vocabulary_is_kept_whole(make_student, tokenizer, tmp_path):
    large = train_tokenizer([f"{a}{b} {b}{a}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrst"], 400)
    spec = StudentSpec(name="s", optimizer=AdamW, architecture=ARCHITECTURE, vocab_size=400)
    export(build_model(spec, large, 0), large, tmp_path / "large")
    path = str(tmp_path / "large")
    model = build_model(StudentSpec(name="s", optimizer=AdamW, path=path), tokenizer, 0)
    export(model, tokenizer, tmp_path / "again")
    assert load_file(tmp_path / "again" / "model.safetensors")["lm_head.weight"].shape == (400, 32)


@pytest.mark.slow
def test_the_package_is_not_needed(make_student, tokenizer, tmp_path):
    export(make_student(lora=LoRA(r=2)), tokenizer, tmp_path)
    code = (
        "import sys; from transformers import AutoModelForCausalLM, AutoTokenizer;"
        f"m, t = (c.from_pretrained({str(tmp_path)!r}) for c in (AutoModelForCausalLM, AutoTokenizer));"
        "m.generate(**t('the text', return_tensors='pt'), max_new_tokens=2);"
        "assert not any(name.split('.')[0] in ('scd_lightning', 'peft') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags: [a]\n---\n# A model\n", "apache-2.0"),
        ("# A model\n---\nlicense: mit\n---\n", None),
        ("---\nlicense: [unclosed\n---\n", None),
        (None, None),
    ],
    ids=["front matter", "not at the start", "broken", "no card"],
)
def test_the_licence_is_the_base_models_own(tmp_path, card, expected):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert base_facts("a name", str(tmp_path)) == {"name": "a name", "hub_id": None, "license": expected}


def test_facts_of_models_from_scratch_the_hub_and_packages():
    assert base_facts("s", None) == {}
    assert base_facts("s", "no-one/has-this") == {
        "name": "no-one/has-this",
        "hub_id": "no-one/has-this",
        "license": None,
    }
    assert base_facts("s", "scd_lightning:models/embedded/teacher")["license"] == "apache-2.0"
    assert base_facts("s", None, gguf="no_such_package:file.gguf")["license"] is None
    assert base_facts("s", None, gguf="/somewhere/file.gguf") == {"name": "s", "hub_id": None, "license": None}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({"License-Expression": "Apache-2.0"}, "apache-2.0"), ({"License": "The whole\ntext"}, None), ({}, None)],
)
def test_the_licence_of_a_model_in_a_package_is_the_packages(monkeypatch, metadata, expected):
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: metadata if name == "a-package" else {})
    assert base_facts("s", None, gguf="a_package:file.gguf")["license"] == expected
