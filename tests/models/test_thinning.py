"""Thinned models: which layers stay, and that what is left is a model of its own."""

import re
from typing import Any

import pytest
import torch
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, DynamicCache, Qwen3MoeConfig

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.export import export
from scd_lightning.models.loading import build_empty, build_model
from scd_lightning.models.spec import LoRA, StudentSpec
from scd_lightning.models.thinning import halvings, layer_indices, thin

KINDS = ["sliding_attention", "full_attention", "sliding_attention", "full_attention", "sliding_attention"]
FIELDS: dict[str, dict[str, Any]] = {
    "llama": {"num_hidden_layers": 5, "eos_token_id": [0, 2, 3, 4, 5]},
    "qwen3": {"num_hidden_layers": 5},
    "gemma3": {"num_hidden_layers": 5, "layer_types": KINDS},
    "gpt2": {"n_layer": 5},
    "bloom": {"n_layer": 5},
}
IDS = torch.arange(2, 14).unsqueeze(0)


@pytest.mark.parametrize(
    ("keep", "layers", "expected"),
    [
        (10, 30, [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]),
        (2, 9, [0, 8]),
        (1, 9, [0]),
        (9, 9, list(range(9))),
        ([0, 4, 5], 9, [0, 4, 5]),
    ],
)
def test_which_layers_stay(keep, layers, expected):
    assert layer_indices(keep, layers, "m") == expected


@pytest.mark.parametrize("layers", range(2, 33))
def test_a_number_gives_as_many_layers_and_both_ends(layers):
    for keep in range(2, layers + 1):
        found = layer_indices(keep, layers, "m")
        assert len(set(found)) == keep
        assert found == sorted(found)
        assert (found[0], found[-1]) == (0, layers - 1)
        gaps = {after - before for before, after in zip(found, found[1:], strict=False)}
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("keep", [0, 6, -1, [], [0, 5], [-1, 2], [2, 1], [1, 1]])
def test_layers_that_there_are_not(keep):
    with pytest.raises(ConfigError, match="1 to 5, or ascending indices from 0 to 4") as raised:
        layer_indices(keep, 5, "m")
    assert raised.value.where == "m.keep_layers"


@pytest.mark.parametrize(
    ("keep", "layers", "sizes"),
    [
        (7, 30, [15, 7]),
        (6, 30, [15, 6]),
        (8, 30, [15, 8]),
        (10, 30, [15, 10]),
        (11, 30, [11]),
        (2, 32, [16, 8, 4, 2]),
        (1, 2, [1]),
        (30, 30, []),
    ],
)
def test_how_many_are_left_by_and_by(keep, layers, sizes):
    assert [len(each) for each in halvings(keep, layers, "m")] == sizes


@pytest.mark.parametrize("layers", range(2, 33))
def test_each_thinning_leaves_what_the_next_does(layers):
    for keep in range(1, layers):
        found = halvings(keep, layers, "m")
        assert found[-1] == layer_indices(keep, layers, "m")
        for before, after in zip([range(layers), *found], found, strict=False):
            assert set(after) < set(before)
            assert after == sorted(after)
        for kept in found[:-1]:
            assert max(j - i for i, j in zip(kept, kept[1:], strict=False)) <= 2 * layers / (len(kept) - 1)


def test_given_layers_are_left_to_the_end():
    assert halvings([0, 1, 2, 29], 30, "m")[-1] == [0, 1, 2, 29]
    assert all({0, 1, 2, 29} <= set(each) for each in halvings([0, 1, 2, 29], 30, "m"))
    with pytest.raises(ConfigError, match="1 to 30"):
        halvings(31, 30, "m")


def cached(model, ids):
    """Hidden states through a key-value cache, and how many layers it has."""
    cache = DynamicCache()
    parts = [
        model.base_model(input_ids=part, past_key_values=cache, use_cache=True).last_hidden_state
        for part in (ids[:, :4], ids[:, 4:9], ids[:, 9:])
    ]
    return torch.cat(parts, dim=1), len(cache.layers)


@pytest.mark.parametrize("family", FIELDS)
@torch.no_grad()
def test_it_is_the_model_built_of_the_same_layers(make_model, tmp_path, family):
    whole, thinned = (make_model(family, **FIELDS[family]) for _ in range(2))
    thin(thinned, [0, 3, 4], "m")
    thinned.save_pretrained(tmp_path)
    built = AutoModelForCausalLM.from_config(thinned.config).double().eval()
    built.load_state_dict(renumbered(whole.state_dict(), [0, 3, 4]))
    expected = built(input_ids=IDS, use_cache=False).logits
    for model in (thinned, AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64).eval()):
        assert model.config.num_hidden_layers == 3
        # Some families keep buffers in float32 at loading.
        torch.testing.assert_close(model(input_ids=IDS, use_cache=False).logits, expected, rtol=1e-3, atol=1e-5)
        hidden, layers = cached(model, IDS)
        assert layers == 3
        torch.testing.assert_close(hidden, cached(built, IDS)[0], rtol=1e-3, atol=1e-5)
        generated = model.generate(IDS, max_new_tokens=6, do_sample=False, eos_token_id=None)
        assert torch.equal(generated, built.generate(IDS, max_new_tokens=6, do_sample=False, eos_token_id=None))


def renumbered(weights, kept):
    """The weights of the kept layers under their new numbers, and all that belong to no layer."""
    found = {}
    for name, tensor in weights.items():
        layer = re.search(r"\.(\d+)\.", name)
        if layer is None:
            found[name] = tensor
        elif int(layer[1]) in kept:
            found[name.replace(layer[0], f".{kept.index(int(layer[1]))}.", 1)] = tensor
    return found


def test_what_is_listed_by_layer_is_thinned_too(make_model):
    model = make_model("gemma3", **FIELDS["gemma3"])
    thin(model, [0, 3, 4], "m")
    assert model.config.layer_types == [KINDS[0], KINDS[3], KINDS[4]]
    model = make_model("llama", **FIELDS["llama"])
    thin(model, [0, 3], "m")
    assert model.config.eos_token_id == FIELDS["llama"]["eos_token_id"]


def student(path, **arguments):
    return StudentSpec(name="", optimizer=AdamW, path=str(path), **arguments)


@pytest.fixture
def saved(make_model, tokenizer, tmp_path):
    folder = tmp_path / "pretrained"
    make_model("llama", dtype=torch.float32, num_hidden_layers=5).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("lora", [LoRA(), LoRA(r=2)])
def test_the_exported_student_is_plain_transformers(saved, tokenizer, tmp_path, lora):
    spec = student(saved, keep_layers=3, lora=lora)
    assert spec.name == "pretrained, 3 layers"
    model = build_model(spec, tokenizer, 0).eval()
    with torch.no_grad():
        expected = model.base(input_ids=IDS).logits
    export(model, tokenizer, tmp_path / "student")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student").eval()
    assert loaded.config.num_hidden_layers == 3
    torch.testing.assert_close(loaded(input_ids=IDS).logits, expected)


def test_too_many_layers_show_before_weights_are_loaded(saved, tokenizer):
    (saved / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"student.keep_layers. Got: 7. Expected: a number from 1 to 5"):
        build_empty(student(saved, keep_layers=7), tokenizer)
    build_empty(student(saved, keep_layers=[1, 4]), tokenizer)


def test_layers_that_depend_on_their_place_are_refused(tokenizer, tmp_path):
    fields: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4}
    fields |= {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 320}
    fields |= {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "decoder_sparse_step": 2}
    Qwen3MoeConfig(**fields).save_pretrained(tmp_path)
    build_empty(student(tmp_path, keep_layers=[0, 3]), tokenizer)
    with pytest.raises(ModelError, match="can't be thinned out.*parameters that depend on the place"):
        build_empty(student(tmp_path, keep_layers=[0, 2]), tokenizer)


def test_two_lists_of_layers_are_refused(make_model):
    model = make_model("llama")
    model.model.more = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(2))
    with pytest.raises(ModelError, match="2 lists of 2 layers in LlamaModel"):
        thin(model, 1, "m")


def test_a_model_from_scratch_has_its_layers_in_its_architecture():
    with pytest.raises(ConfigError, match="keep_layers is for pretrained models"):
        StudentSpec(name="s", optimizer=AdamW, architecture={}, vocab_size=300, keep_layers=2)
