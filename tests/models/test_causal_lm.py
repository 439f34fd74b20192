"""The split into body and head, against the model's own full logits."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModel, DynamicCache

from scd_lightning.batch import Slot, TokenizedSample
from scd_lightning.data.collate import collate
from scd_lightning.errors import ModelError
from scd_lightning.models.causal_lm import CausalLM, check_family

LENGTH = 275
SAMPLES = [
    TokenizedSample(0, [5, 6, 7, 8, 9, 10], [11, 0]),
    TokenizedSample(1, [5], [12, 13, 14, 0]),
    TokenizedSample(2, [200, 201, 202], [0]),
    TokenizedSample(3, [30, 31, 32, 33], [34, 35, 36, 37, 0]),
]
# The last two scale their logits.
SUPPORTED = ["llama", "qwen3", "mistral", "gpt2", "gptj", "phi", "gemma3", "bloom", "granite", "cohere"]


@pytest.fixture
def batch():
    return collate(SAMPLES, [Slot(s.index, 1.0, 4, 12) for s in SAMPLES], pad_id=0)


def plain_logits(model, samples):
    """The whole model on one sample at a time; logits at the completion's positions, cut to the tokenizer."""
    parts = []
    for sample in samples:
        ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[0]
        parts.append(logits[len(sample.prompt_ids) - 1 : -1, :LENGTH])
    return torch.cat(parts)


@pytest.mark.parametrize("family", SUPPORTED)
def test_logits_are_the_models_own_at_completion_positions(make_model, batch, family):
    model = make_model(family)
    found = CausalLM(model, LENGTH).logits(batch)
    assert found.shape == (12, LENGTH)
    # In float32, whatever the dtype: GPT-J rotates, and BLOOM takes its softmax.
    tolerance = 1e-5 if family in ("gptj", "bloom") else 1e-9
    torch.testing.assert_close(found, plain_logits(model, SAMPLES), rtol=0, atol=tolerance)


@pytest.mark.parametrize("family", ["phi", "gptj"])
def test_the_heads_bias_is_cut_with_its_rows(make_model, family):
    model = make_model(family)
    head = CausalLM(model, LENGTH).head
    assert head.weight.shape == (LENGTH, 32)
    torch.testing.assert_close(head.bias, model.get_output_embeddings().bias[:LENGTH])


def test_the_head_is_live_and_its_clone_is_not(make_model):
    model = CausalLM(make_model("llama"), LENGTH)
    copy, before = model.head.clone(), model.head.weight.detach().clone()
    with torch.no_grad():
        model.base.get_output_embeddings().weight.add_(1)
    torch.testing.assert_close(model.head.weight, before + 1)
    torch.testing.assert_close(copy.weight, before)
    assert not copy.weight.requires_grad


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_adapters_count(make_model, batch, family):
    base = make_model(family)
    bare = plain_logits(base, SAMPLES)
    model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")).double().eval()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.3)
    found = CausalLM(model, LENGTH).logits(batch)
    torch.testing.assert_close(found, plain_logits(model, SAMPLES), rtol=0, atol=1e-9)
    assert (found - bare).abs().max() > 0.1
    CausalLM(model, LENGTH).check_head("adapted")


def test_gradients_are_those_of_the_models_own_logits(make_model, batch):
    model = make_model("qwen3")
    weights = torch.randn(12, LENGTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (CausalLM(model, LENGTH).logits(batch) * weights).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    lengths = torch.tensor([[len(sample)] for sample in SAMPLES])
    mask = (torch.arange(batch.input_ids.shape[1]) < lengths).long()
    logits = model(input_ids=batch.input_ids, attention_mask=mask).logits.flatten(0, 1)
    (logits[batch.positions, :LENGTH] * weights).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-9, atol=1e-9)


def test_extending_in_parts_is_one_pass(make_model):
    model = CausalLM(make_model("mistral"), LENGTH)
    ids = torch.arange(5, 25).reshape(2, 10)
    cache, mask = DynamicCache(), torch.ones_like(ids)
    parts = [model.extend(ids[:, a:b], mask[:, :b], cache) for a, b in ((0, 6), (6, 7), (7, 10))]
    whole = model.body(input_ids=ids, use_cache=False).last_hidden_state
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", SUPPORTED)
def test_plain_heads_pass(make_model, family, dtype):
    model = CausalLM(make_model(family, dtype=dtype, scale=1.0), LENGTH)
    model.train()
    model.check_head(family)
    assert model.training


# As fresh as from a seed: their logits are so small that soft-capping does not show in them.
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_capped_logits_are_refused(make_model, dtype):
    model = CausalLM(make_model("gemma2", dtype=dtype, scale=1.0), LENGTH)
    with pytest.raises(ModelError, match="The logits of my gemma2 are not its LM head on its hidden states") as raised:
        model.check_head("my gemma2")
    assert "no soft-capping" in str(raised.value)


def test_what_its_config_tells_is_refused_before_there_are_weights(make_model):
    for family in SUPPORTED:
        check_family(make_model(family).config.get_text_config(), "teacher.path", "mine")
    with pytest.raises(ModelError, match=r"soft-capped.*Where: teacher\.path\. Got: mine \(gemma2\)"):
        check_family(make_model("gemma2").config, "teacher.path", "mine")
    hybrid: Any = SimpleNamespace(layer_types=["linear_attention", "full_attention"], model_type="qwen3_next")
    with pytest.raises(ModelError, match=r"recurrent layers \(linear_attention\).*qwen3_next"):
        check_family(hybrid, "teacher.path", "mine")


@pytest.mark.parametrize("family", ["granite", "cohere"])
def test_scaled_logits_have_their_scale_in_the_hidden_states(make_model, family):
    assert CausalLM(make_model(family), LENGTH)._scale not in (0, 1)


def test_hidden_states_scaled_before_the_head_are_refused(make_model):
    base = make_model("llama", dtype=torch.float32)
    base.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0] / 2,))
    with pytest.raises(ModelError, match="not its LM head on its hidden states"):
        CausalLM(base, LENGTH).check_head("halved")


def test_the_probe_of_the_head_leaves_no_trace(make_model):
    base = make_model("llama")
    CausalLM(base, LENGTH).check_head("llama")
    assert not base.get_output_embeddings()._forward_hooks


def test_an_adapted_head_is_refused(make_model):
    config = LoraConfig(r=2, target_modules=["q_proj", "lm_head"], task_type="CAUSAL_LM")
    model = get_peft_model(make_model("llama"), config)
    with pytest.raises(ModelError, match=r"not a plain linear layer.*lora\.target_modules"):
        CausalLM(model, LENGTH).check_head("adapted")


def test_a_model_without_a_head_is_refused(make_model):
    bare = AutoModel.from_config(make_model("llama").config)
    with pytest.raises(ModelError, match="no LM head"):
        CausalLM(bare, LENGTH).check_head("bare")


def test_a_recurrent_model_is_refused(make_model):
    model = CausalLM(make_model("mamba", dtype=torch.float32, scale=1.0), LENGTH)
    with pytest.raises(ModelError, match="can't be run with a plain key-value cache"):
        model.check_head("mamba")
