"""Adapters that agree or not, without any model."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig

from scd_lightning.errors import ModelError
from scd_lightning.existing.agreement import PRESET_RANKS, check_config, check_lora
from scd_lightning.existing.saved import SavedModel
from scd_lightning.models.spec import LoRA

FOUND = LoRA(r=4, alpha=8, dropout=0.1, target_modules=["k_proj", "q_proj"])
CONF = Path(__file__).parents[2] / "conf"


def test_the_preset_s_rank_counts_as_not_given():
    assert yaml.safe_load((CONF / "model" / "adapters.yaml").read_text())["lora"] == {"r": PRESET_RANKS[1]}
    assert LoRA().r == PRESET_RANKS[0]


@pytest.mark.parametrize(
    "given", [LoRA(), LoRA(r=16), LoRA(alpha=8), LoRA(r=4), LoRA(r=4, target_modules=["q_proj", "k_proj"])]
)
def test_what_is_given_agrees(given):
    check_lora(FOUND, given, "teacher", free_ranks=PRESET_RANKS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LoRA(r=8), "teacher.lora.r. Got: 4 .*Expected: 8"),
        (LoRA(r=4, alpha=4), "teacher.lora.alpha. Got: 8 .*Expected: 4"),
        (LoRA(r=16, alpha=4), "teacher.lora.alpha. Got: 8 .*Expected: 4"),
        (LoRA(target_modules=["q_proj"]), r"teacher.lora.target_modules. Got: \['k_proj', 'q_proj'\]"),
    ],
)
def test_what_is_given_differs(given, message):
    with pytest.raises(ModelError, match=message):
        check_lora(FOUND, given, "teacher", free_ranks=PRESET_RANKS)


def test_an_alpha_that_is_not_given_is_twice_a_given_rank():
    with pytest.raises(ModelError, match="student.lora.alpha. Got: 12 .*Expected: 8"):
        check_lora(LoRA(r=4, alpha=12), LoRA(r=4), "student")


@pytest.fixture
def saved(tmp_path):
    """A folder whose configuration has other fields than ours."""

    def make(**fields):
        config = LlamaConfig(num_hidden_layers=2)
        config.save_pretrained(tmp_path)
        file = tmp_path / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))
        return SavedModel(tmp_path, "transformers", ())

    return make


@pytest.mark.parametrize(
    "fields",
    [
        {"unsloth_version": "2026.1", "unsloth_fixed": True, "_attn_implementation_autoset": True},
        {"gradient_checkpointing": False, "model_max_length": 2048, "tokenizer_class": "LlamaTokenizer"},
        {"attention_dropout": 0.1, "transformers.js_config": {}, "is_decoder": False, "use_cache": False},
    ],
)
def test_fields_that_compute_nothing_may_differ(saved, fields):
    check_config(saved(**fields), LlamaConfig(num_hidden_layers=2), "teacher", trust_remote_code=False)


@pytest.mark.parametrize(
    "fields", [{"num_attention_heads": 16}, {"rms_norm_eps": 0.1}, {"quantization_config": {"quant_method": "fp8"}}]
)
def test_fields_that_the_model_computes_by_may_not(saved, fields):
    with pytest.raises(ModelError, match=next(iter(fields))):
        check_config(saved(**fields), LlamaConfig(num_hidden_layers=2), "teacher", trust_remote_code=False)
