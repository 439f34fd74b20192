"""Building models: the same weights for the same spec and seed, adapters, folders, and what is refused."""

import json
import os
import pickle
import shutil
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch.optim import AdamW
from transformers import AutoModel, AutoModelForCausalLM

from scd_lightning.batch import Slot, TokenizedSample
from scd_lightning.data.collate import collate
from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.loading import (
    brings_code,
    build_empty,
    build_model,
    check_kernel,
    check_reachable,
    resolve_dtype,
    weights_identity,
)
from scd_lightning.models.spec import LoRA, StudentSpec
from scd_lightning.models.tokenizers import train_tokenizer
from scd_lightning.store.checkpoints import CheckpointStore

ARCHITECTURE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def spec(**arguments):
    fields: dict[str, Any] = {"name": "tiny", "optimizer": AdamW}
    if "path" not in arguments:
        fields |= {"architecture": ARCHITECTURE, "vocab_size": 300}
    return StudentSpec(**(fields | arguments))


@pytest.fixture
def batch():
    samples = [TokenizedSample(0, [5, 6, 7], [8, 9, 0]), TokenizedSample(1, [10], [11, 0])]
    return collate(samples, [Slot(i, 1.0, 2, 5) for i in range(2)], pad_id=0)


@pytest.fixture
def saved(tmp_path, make_model, tokenizer):
    """A pretrained model's folder, in bfloat16, with a padded vocabulary."""
    folder = tmp_path / "pretrained"
    make_model("llama", dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("lora", [LoRA(), LoRA(r=2)])
def test_equal_seeds_give_equal_weights(tokenizer, lora):
    torch.manual_seed(1)
    first = weights(build_model(spec(lora=lora), tokenizer, seed=7))
    torch.manual_seed(2)
    torch.rand(3)
    assert equal(first, weights(build_model(spec(lora=lora), tokenizer, seed=7)))
    assert not equal(first, weights(build_model(spec(lora=lora), tokenizer, seed=8)))


def test_building_leaves_the_random_state_alone(tokenizer):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build_model(spec(), tokenizer, seed=7)
    torch.testing.assert_close(torch.rand(4), expected, rtol=0, atol=0)


def test_how_it_trains_does_not_change_where_it_starts(tokenizer):
    plain = weights(build_model(spec(), tokenizer, 7))
    other = spec(gradient_checkpointing=True, attention="eager", warmup=0.5)
    assert equal(plain, weights(build_model(other, tokenizer, 7)))


def test_from_scratch_fits_the_tokenizer(tokenizer):
    model = build_model(spec(), tokenizer, 0)
    config = model.base.config
    assert config.vocab_size == model.vocab_size == len(tokenizer)
    assert (config.eos_token_id, config.pad_token_id) == (0, 1)
    assert model.base.get_input_embeddings().weight is model.base.get_output_embeddings().weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hiden_size": 3, "layers": 2}, "Got: hiden_size, layers"),
        ({"vocab_size": 10}, "Got: vocab_size"),
        ({"hidden_size": 30}, "can't be built .*hidden size"),
        ({"hidden_size": "wide"}, "can't be built .*hidden_size"),
        ({"hidden_act": "nothing"}, "can't be built .*nothing"),
        ({"num_attention_heads": 0}, "can't be built"),
    ],
)
def test_a_bad_architecture_is_refused(tokenizer, change, message):
    with pytest.raises(ConfigError, match=f"(?s){message}") as raised:
        build_model(spec(architecture=ARCHITECTURE | change), tokenizer, 0)
    assert raised.value.where == "student.architecture"


# dtypes


@pytest.mark.parametrize(
    ("cuda", "r", "dtype", "expected"),
    [
        (False, 0, "auto", torch.float32),
        (False, 4, "auto", torch.float32),
        (True, 0, "auto", torch.float32),
        (True, 4, "auto", torch.bfloat16),
        (True, 0, "bfloat16", torch.bfloat16),
        (False, 4, "float64", torch.float64),
    ],
)
def test_what_auto_means(monkeypatch, cuda, r, dtype, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert resolve_dtype(spec(dtype=dtype, lora=LoRA(r=r))) is expected


@pytest.mark.parametrize("dtype", ["float31", "int8", "nn", "bool", "float8_e4m3fn", "float16"])
def test_what_is_no_dtype_of_weights_is_refused(dtype):
    with pytest.raises(ConfigError, match=rf"dtype is unknown.*Got: '?{dtype}"):
        spec(dtype=dtype)


@pytest.mark.parametrize(("dtype", "expected"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_files_dtype_does_not_count(saved, tokenizer, dtype, expected):
    model = build_model(spec(path=str(saved), dtype=dtype), tokenizer, 0)
    assert {parameter.dtype for parameter in model.parameters()} == {expected}


def test_trained_adapters_are_float32_on_bfloat16_weights(saved, tokenizer):
    model = build_model(spec(path=str(saved), dtype="bfloat16", lora=LoRA(r=2)), tokenizer, 0)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


# Attention kernels


@pytest.mark.parametrize("attention", ["flash_attention_2", "flex_attention"])
def test_a_gpu_s_kernel_is_refused_on_a_cpu(attention):
    with pytest.raises(ConfigError, match=f"needs a GPU.*student.attention.*{attention}.*sdpa or eager"):
        check_kernel(spec(attention=attention), "bf16-mixed", on_gpu=False)


@pytest.mark.parametrize(
    ("attention", "dtype", "precision", "fits"),
    [
        ("flash_attention_2", "float32", "32-true", False),
        ("flash_attention_2", "float32", "bf16-mixed", True),
        ("flash_attention_2", "bfloat16", "32-true", True),
        ("flex_attention", "float32", "32-true", True),
        ("sdpa", "float32", "64-true", True),
    ],
)
def test_flash_attention_needs_half_precision(attention, dtype, precision, fits):
    with nullcontext() if fits else pytest.raises(ConfigError, match="half precision.*trainer=gpu"):
        check_kernel(spec(attention=attention, dtype=dtype), precision, on_gpu=True)


@pytest.mark.skipif(find_spec("flash_attn") is not None, reason="flash-attn is installed")
def test_a_kernel_whose_package_is_missing_shows_at_once(saved, tokenizer):
    with pytest.raises(ConfigError, match=r"can't be built \(FlashAttention2.*package"):
        build_empty(spec(path=str(saved), attention="flash_attention_2"), tokenizer)


def test_a_gpu_s_kernel_is_put_in_after_the_model_was_looked_over(saved, tokenizer):
    model = build_model(spec(path=str(saved), attention="flex_attention"), tokenizer, 0)
    assert model.base.config._attn_implementation == "flex_attention"


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_kernels_agree(saved, tokenizer, batch, attention):
    models = [build_model(spec(path=str(saved), attention=each), tokenizer, 0).eval() for each in ("sdpa", attention)]
    assert models[1].base.config._attn_implementation == attention
    with torch.no_grad():
        torch.testing.assert_close(models[0].logits(batch), models[1].logits(batch), rtol=1e-4, atol=1e-4)


# Names


def test_a_model_without_a_name_has_its_own(saved, tmp_path, monkeypatch):
    for path in (str(saved), f"{saved}/", f"{tmp_path}/x/../pretrained"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert spec(name="", path=path).name == "pretrained"
    monkeypatch.chdir(saved)
    assert spec(name="", path=".").name == "pretrained"
    assert spec(name="", path="owner/model").name == "owner/model"
    assert spec(name="", path="owner/model", keep_layers=[0, 1, 5]).name == "owner/model, 3 layers"
    assert spec(name="", path=None, gguf="package:Model.Q4_1.gguf").name == "Model.Q4_1"
    assert spec(name="mine", path="owner/model").name == "mine"
    assert spec(name="").name == "from scratch"


def test_a_path_and_a_gguf_file_are_one_too_many():
    with pytest.raises(ConfigError, match="a path and a GGUF file.*path=a/b, gguf=c.gguf.*null"):
        spec(path="a/b", gguf="c.gguf")


# Adapters


def train_a_step(model, batch):
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # The first moves the upper adapter matrices alone: they start at zero.
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model.logits(batch), batch.targets).backward()
        optimizer.step()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_only_adapters_train(saved, tokenizer, batch, checkpointing):
    model = build_model(spec(path=str(saved), lora=LoRA(r=2), gradient_checkpointing=checkpointing), tokenizer, 0)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    before = weights(model)
    train_a_step(model, batch)
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == trained


@pytest.mark.parametrize("lora", [LoRA(), LoRA(r=2)])
def test_gradient_checkpointing_changes_memory_only(saved, tokenizer, batch, lora):
    gradients = []
    for checkpointing in (False, True):
        # float64 weights; the adapters are made trainable in it too.
        wanted = spec(path=str(saved), lora=lora, gradient_checkpointing=checkpointing)
        model = build_model(wanted, tokenizer, 0).double()
        train_a_step(model, batch)
        assert model.base.is_activation_checkpointing == checkpointing
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert all(gradient.abs().max() > 0 for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-9, atol=1e-12)


def test_stored_adapters_come_back_on_a_fresh_base(saved, tokenizer, batch, tmp_path):
    wanted = spec(path=str(saved), lora=LoRA(r=2))
    model = build_model(wanted, tokenizer, seed=1)
    train_a_step(model, batch)
    CheckpointStore(tmp_path / "store").save(model, 1, {}, keep_frozen=False)
    other = build_model(wanted, tokenizer, seed=2)
    with torch.no_grad():
        expected = model.eval().logits(batch)
        assert (other.eval().logits(batch) - expected).abs().max() > 1e-3
        CheckpointStore(tmp_path / "store").load_into(other, 0)
        torch.testing.assert_close(other.logits(batch), expected, rtol=0, atol=0)
    assert sum(file.stat().st_size for file in (tmp_path / "store").iterdir()) < 100_000


# Folders


def test_a_model_that_brings_code_is_another_one_where_that_may_run(saved, tmp_path):
    """Even where transformers has code for it too."""
    shutil.copytree(saved, tmp_path / "model")
    own = spec(path=str(tmp_path / "model"))
    assert not brings_code(own)
    config = tmp_path / "model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModelForCausalLM": "own.Llama"}}))
    assert brings_code(own)
    assert not brings_code(spec())


def test_a_folder_gives_its_weights(saved, tokenizer):
    model = build_model(spec(path=str(saved)), tokenizer, 0)
    stored = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32).state_dict()
    assert equal(weights(model.base), stored)
    assert model.vocab_size == len(tokenizer) < model.base.config.vocab_size


def test_weights_of_before_safetensors_are_read(saved, tokenizer):
    expected = weights(build_model(spec(path=str(saved)), tokenizer, 0))
    stored = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.bfloat16).state_dict()
    torch.save(stored, saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pickled.*pytorch_model\.bin in .*student\.allow_pickle=true"):
        check_reachable(spec(path=str(saved)), "student.path")
    with pytest.raises(ModelError, match="The weights could not be loaded"):
        build_model(spec(path=str(saved)), tokenizer, 0)
    allowed = spec(path=str(saved), allow_pickle=True)
    check_reachable(allowed, "student.path")
    assert equal(weights(build_model(allowed, tokenizer, 0)), expected)


def test_safetensors_go_before_pickled_weights(saved, tokenizer):
    expected = weights(build_model(spec(path=str(saved)), tokenizer, 0))
    torch.save({"weight": Harmful()}, saved / "pytorch_model.bin")
    for allow_pickle in (False, True):
        wanted = spec(path=str(saved), allow_pickle=allow_pickle)
        check_reachable(wanted, "student.path")
        assert equal(weights(build_model(wanted, tokenizer, 0)), expected)


def with_own_code(saved, tmp_path, kind):
    """A model that brings code, which leaves a folder behind where it is run."""
    (saved / "modeling_own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harm')!r})\n")
    config = json.loads((saved / "config.json").read_text())
    code = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}
    (saved / "config.json").write_text(json.dumps(config | {"model_type": kind, "auto_map": code}))


def test_code_that_a_model_needs_is_not_run_unasked(saved, tmp_path):
    with_own_code(saved, tmp_path, "own")
    with pytest.raises(ModelError, match=r"code of its own.*modeling_own\.OwnModel.*student\.trust_remote_code=true"):
        check_reachable(spec(path=str(saved)), "student.path")
    assert not (tmp_path / "harm").exists()


def test_code_that_transformers_has_too_is_left_alone(saved, tmp_path, tokenizer):
    expected = weights(build_model(spec(path=str(saved)), tokenizer, 0))
    with_own_code(saved, tmp_path, "llama")
    check_reachable(spec(path=str(saved)), "student.path")
    build_empty(spec(path=str(saved)), tokenizer)
    assert equal(weights(build_model(spec(path=str(saved)), tokenizer, 0)), expected)
    assert not (tmp_path / "harm").exists()


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_pickles_do_not_run_code(saved, tokenizer, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Harmful()}, saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="The weights could not be loaded"):
        build_model(spec(path=str(saved), allow_pickle=True), tokenizer, 0)
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Harmful()}))
    with pytest.raises(ModelError, match="The weights could not be loaded"):
        build_model(spec(path=str(saved), allow_pickle=True), tokenizer, 0)
    assert not (tmp_path / "harm").exists()


def test_damaged_weights_are_refused(saved, tokenizer):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="The weights could not be loaded"):
        build_model(spec(path=str(saved)), tokenizer, 0)


def test_missing_tensors_are_refused(saved, tokenizer):
    AutoModel.from_pretrained(saved).save_pretrained(saved)
    with pytest.raises(ModelError, match=r"lack tensors of the causal language model.*1 missing.*lm_head\.weight"):
        build_model(spec(path=str(saved)), tokenizer, 0)


def test_tied_weights_are_not_missing(tmp_path, make_model, tokenizer):
    make_model("qwen3", dtype=torch.float32).save_pretrained(tmp_path)
    build_model(spec(path=str(tmp_path)), tokenizer, 0)


def test_more_tokens_than_embeddings_is_refused(saved):
    texts = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    with pytest.raises(ModelError, match=r"fewer embeddings.*320 embeddings.*400 or more"):
        build_model(spec(path=str(saved)), train_tokenizer(texts, 400), 0)


def test_a_pad_token_beyond_the_embeddings_is_not_needed(tmp_path, make_model, tokenizer):
    make_model("llama", vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    longer = type(tokenizer).from_pretrained(tmp_path)
    longer.add_special_tokens({"pad_token": "[PAD]"})
    assert build_model(spec(path=str(tmp_path)), longer, 0).vocab_size == len(tokenizer) == len(longer) - 1


@pytest.mark.parametrize(
    ("config", "message"), [("{}", "configuration can't be used"), ("{", "beside the weights can't be read")]
)
def test_an_unreadable_configuration_is_refused(saved, config, message):
    (saved / "config.json").write_text(config)
    with pytest.raises(ModelError, match=message) as raised:
        check_reachable(spec(path=str(saved)), "student.path")
    assert str(raised.value.where) in ("student.path", str(saved / "config.json"))


def test_a_model_from_scratch_needs_nothing():
    check_reachable(spec(), "student.path")
    assert weights_identity(spec()) == {"scratch": True}


def test_the_identity_is_the_contents_not_the_path(saved, tmp_path):
    identity = weights_identity(spec(path=str(saved)))
    copy = tmp_path / "elsewhere"
    shutil.copytree(saved, copy)
    (copy / "README.md").write_text("a note")
    assert weights_identity(spec(path=f"{copy}/", name="other")) == identity
    file = copy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert weights_identity(spec(path=str(copy))) != identity


@pytest.mark.parametrize("file", ["config.json", "modeling_own.py", "model-00002-of-00002.safetensors", "adapter.bin"])
def test_every_file_that_makes_the_model_is_in_its_identity(saved, file):
    identity = weights_identity(spec(path=str(saved)))
    with (saved / file).open("a") as stream:
        stream.write(" ")
    assert weights_identity(spec(path=str(saved))) != identity
