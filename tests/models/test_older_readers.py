"""What version 4 of transformers reads of an exported folder, told by its files; version 5 reads the same as before."""

import copy
import json

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.export import export

THETA = 250_000.0
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
SCALED = [
    {"rope_type": "linear", "factor": 2.0},
    {"rope_type": "dynamic", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    LLAMA3,
]


@pytest.fixture
def exported(make_model, tokenizer, tmp_path):
    """Exports a family's model; gives config.json, and holds the reloaded model to the exported one."""

    def make(family, dtype=torch.float32, **fields):
        model = make_model(family, dtype=torch.float32, **fields)
        export(CausalLM(model, len(tokenizer)).to(dtype), tokenizer, tmp_path, 9)
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
        ids = torch.arange(3, 40).unsqueeze(0)
        with torch.no_grad():
            assert torch.equal(loaded(ids).logits, model(ids).logits)
        return json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))

    return make


def rotary(found):
    names = ("rope_theta", "rope_scaling", "rope_local_base_freq", "partial_rotary_factor", "rotary_emb_base")
    return {name: found[name] for name in names if name in found}


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_the_base_of_rotary_positions_stands_where_both_look(exported, family):
    found = exported(family, rope_parameters={"rope_type": "default", "rope_theta": THETA})
    assert rotary(found) == {"rope_theta": THETA}
    assert found["rope_parameters"] == {"rope_type": "default", "rope_theta": THETA}


@pytest.mark.parametrize("scaling", SCALED, ids=lambda scaling: scaling["rope_type"])
def test_what_scales_positions_stands_beside_the_base(exported, scaling):
    found = exported("llama", rope_parameters=scaling | {"rope_theta": THETA})
    assert rotary(found) == {"rope_theta": THETA, "rope_scaling": scaling}


def test_layers_of_two_kinds_have_a_base_each(exported):
    full = {"rope_type": "linear", "factor": 8.0, "rope_theta": THETA}
    parameters = {"full_attention": full, "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}}
    found = exported("gemma3", num_hidden_layers=6, rope_parameters=parameters)
    scaling = {"rope_type": "linear", "factor": 8.0}
    assert rotary(found) == {"rope_theta": THETA, "rope_scaling": scaling, "rope_local_base_freq": 500.0}


def test_a_part_of_each_head_that_turns_is_told_too(exported):
    parameters = {"rope_type": "default", "rope_theta": THETA, "partial_rotary_factor": 0.5}
    assert rotary(exported("phi", rope_parameters=parameters)) == {"rope_theta": THETA, "partial_rotary_factor": 0.5}


def test_a_model_without_rotary_positions_gets_no_word_of_them(exported):
    assert rotary(exported("gpt2")) == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dtype_has_both_names(exported, dtype):
    found = exported("llama", dtype)
    assert found["dtype"] == found["torch_dtype"] == str(dtype).removeprefix("torch.")


def test_version_5_reads_the_same_configuration(exported, tmp_path):
    exported("llama", rope_parameters=LLAMA3 | {"rope_theta": THETA})
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters == LLAMA3 | {"rope_theta": THETA}


CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "in_json"),
    [
        (CHAT, CHAT),
        (
            {"default": CHAT, "tool_use": "no"},
            [{"name": n, "template": t} for n, t in (("default", CHAT), ("tool_use", "no"))],
        ),
        (None, None),
    ],
    ids=["one", "several", "none"],
)
def test_a_chat_template_stands_in_both_places(make_model, tokenizer, tmp_path, monkeypatch, template, in_json):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    export(CausalLM(make_model("llama"), len(tokenizer)), tokenizer, tmp_path)
    written = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert written.get("chat_template") == in_json
    file = tmp_path / "chat_template.jinja"
    assert (file.read_text(encoding="utf-8") if file.exists() else None) == (CHAT if template else None)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == template


def test_the_tokenizer_is_of_a_class_that_both_have_and_its_settings_are_readable_by_both(
    make_model, tokenizer, tmp_path
):
    own = copy.deepcopy(tokenizer)
    own.add_special_tokens({"extra_special_tokens": ["<|pad|>"]})
    export(CausalLM(make_model("llama"), len(own)), own, tmp_path)
    written = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert written["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert written["additional_special_tokens"] == ["<|pad|>"]
    assert "extra_special_tokens" not in written
    # Version 4 would add token types, which `generate` refuses, and strike blanks before punctuation.
    assert written["model_input_names"] == ["input_ids", "attention_mask"]
    assert written["clean_up_tokenization_spaces"] is False
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "the answer , in <|pad|> text!"
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.extra_special_tokens == ["<|pad|>"]


@pytest.mark.parametrize("blank", [True, False])
def test_a_blank_before_the_first_word_stays_or_stays_away(make_model, tokenizer, tmp_path, blank):
    own = copy.deepcopy(tokenizer)
    own.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=blank)
    export(CausalLM(make_model("llama"), len(own)), own, tmp_path)
    assert ("add_prefix_space" in json.loads((tmp_path / "tokenizer_config.json").read_text())) is blank
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("the answer").input_ids == own("the answer").input_ids != tokenizer("no answer").input_ids
