"""Files of several kinds read into a model: transformers' own reading of them is the oracle."""

from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from scd_lightning.errors import ModelError
from scd_lightning.existing.receiver import Receiver
from scd_lightning.existing.saved import recognise

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
}


def make(family="Llama", seed=0, dtype=torch.float32, **fields) -> Any:
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(getattr(transformers, f"{family}Config")(**(SIZES | fields))).to(dtype)


def receive(model, folder, *, vocabulary=300):
    saved = recognise(folder, "teacher.trajectory", allow_pickle=True)
    Receiver(model, saved.kind, vocabulary, "teacher").load(saved)
    return model


def equal(left, right):
    left, right = left.state_dict(), right.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("form", ["whole", "shards", "pickled"])
def test_transformers_folders(tmp_path, form, tied):
    saved = make(tie_word_embeddings=tied)
    saved.save_pretrained(tmp_path, max_shard_size="20KB" if form == "shards" else "1GB")
    if form == "pickled":
        torch.save(saved.state_dict(), tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1 or form != "shards"
    assert equal(receive(make(seed=1, tie_word_embeddings=tied), tmp_path), saved)


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("GPT2", {}),
        ("GPTNeoX", {}),  # Stored under other names than it has in memory.
        ("Mixtral", {}),  # Its experts are stored one by one.
        ("Qwen3", {"head_dim": 8, "tie_word_embeddings": True}),
    ],
)
def test_families(tmp_path, family, fields):
    saved = make(family, **fields)
    saved.save_pretrained(tmp_path)
    assert equal(receive(make(family, 1, **fields), tmp_path), saved)


def test_another_dtype_is_converted(tmp_path):
    make(dtype=torch.bfloat16).save_pretrained(tmp_path)
    found = receive(make(seed=1), tmp_path)
    assert found.dtype == torch.float32
    assert equal(found, AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32))


@pytest.mark.parametrize(("stored", "own"), [(312, 320), (320, 312)])
def test_rows_past_the_tokenizer_s_vocabulary_may_be_fewer_or_more(tmp_path, stored, own):
    saved = make(vocab_size=stored)
    saved.save_pretrained(tmp_path)
    found = receive(make(seed=1, vocab_size=own), tmp_path)
    ids = torch.arange(300).unsqueeze(0)
    torch.testing.assert_close(found(ids).logits[..., :300], saved(ids).logits[..., :300])


@pytest.mark.parametrize("prefix", ["", "model.", "lm.model.", "net._orig_mod."])
def test_lightning_checkpoints_whatever_their_prefix(tmp_path, prefix):
    saved = make()
    tensors = {prefix + name: tensor for name, tensor in saved.state_dict().items()}
    extra = {"metric.total": torch.zeros(1)} if prefix else {}
    torch.save({"state_dict": tensors | extra, "global_step": 7}, tmp_path / "a.ckpt")
    assert recognise(tmp_path / "a.ckpt", "teacher.trajectory", allow_pickle=True).step == 7
    assert equal(receive(make(seed=1), tmp_path / "a.ckpt"), saved)


def adapted(seed):
    model = get_peft_model(make(seed=seed), LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    return model


def test_a_lightning_checkpoint_of_adapters_and_the_base_below_them(tmp_path):
    saved = adapted(0)
    torch.save(
        {"state_dict": {f"net.{n}": t for n, t in saved.state_dict().items()}, "global_step": 1}, tmp_path / "a.ckpt"
    )
    own = get_peft_model(make(), LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    assert equal(receive(own, tmp_path / "a.ckpt"), saved)
    with pytest.raises(ModelError, match="A weight differs.*base model below the adapters.*Remedy: set teacher.path"):
        receive(adapted(1), tmp_path / "a.ckpt")


def test_a_head_that_is_no_longer_tied(tmp_path):
    make(tie_word_embeddings=True).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(tensors | {"lm_head.weight": torch.ones(320, 32)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="A weight differs.*the weight it is tied to"):
        receive(make(tie_word_embeddings=True), tmp_path)


def test_old_buffers_are_left_out(tmp_path):
    saved = make()
    saved.save_pretrained(tmp_path)
    old = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(load_file(tmp_path / "model.safetensors") | old, tmp_path / "model.safetensors", {"format": "pt"})
    assert equal(receive(make(seed=1), tmp_path), saved)
