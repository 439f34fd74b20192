"""Adapters where they can stand, and what is evaluated is what is exported."""

import copy

import pytest
import torch
from torch.optim import AdamW
from transformers import AutoModelForCausalLM

from scd_lightning.errors import ConfigError
from scd_lightning.models.export import export
from scd_lightning.models.loading import build_empty, build_model
from scd_lightning.models.spec import LoRA, StudentSpec, TeacherSpec

EMBEDDINGS = {"llama": "embed_tokens", "qwen3": "embed_tokens", "gpt2": "wte", "bloom": "word_embeddings"}
TIED = {"llama": {"tie_word_embeddings": True}}


def spec(path, targets, kind=StudentSpec):
    return kind(name="tiny", optimizer=AdamW, path=str(path), attention="eager", lora=LoRA(r=2, target_modules=targets))


@pytest.fixture
def save(make_model, tokenizer, tmp_path):
    def saved(family, **fields):
        make_model(family, dtype=torch.float32, **fields).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return tmp_path / family

    return saved


@pytest.mark.parametrize("family", EMBEDDINGS)
def test_adapters_on_tied_embeddings(save, tokenizer, family):
    folder, table = save(family, **TIED.get(family, {})), EMBEDDINGS[family]
    with pytest.raises(
        ConfigError, match=rf"also those of lm_head\.weight.*Got: .*{table}.*leave {table} out"
    ) as raised:
        build_empty(spec(folder, [table]), tokenizer)
    assert raised.value.where == "student.lora.target_modules"
    # A teacher's are never merged.
    build_empty(spec(folder, [table], TeacherSpec), tokenizer)


@pytest.mark.parametrize("kind", [StudentSpec, TeacherSpec])
@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], ".*(q_proj|head)"])
@pytest.mark.parametrize("tied", [False, True])
def test_adapters_on_the_head(save, tokenizer, targets, tied, kind):
    folder = save("llama", tie_word_embeddings=tied)
    with pytest.raises(
        ConfigError, match=rf"head can't have adapters.*{kind.role}\.lora\.target_modules.*leave lm_head"
    ):
        build_empty(spec(folder, targets, kind), tokenizer)


@pytest.mark.parametrize(
    ("family", "targets", "message"),
    [
        ("llama", ["q_prj"], r"q_prj.*Expected: all-linear, or some of q_proj, k_proj, v_proj, o_proj, gate_proj"),
        ("llama", ["q_proj", "c_attn", "v_prj"], r"no such layers.*Got: c_attn, v_prj\. Expected: .*q_proj"),
        ("gpt2", ["c_attn", "q_proj"], r"no such layers.*Got: q_proj\. Expected: .*c_attn, c_proj, c_fc"),
        ("llama", [], "can't be made"),
        ("llama", ["norm"], "can't be made.*RMSNorm.* is not supported"),
        ("llama", ["layers.1"], r"can't be made \(Target module LlamaDecoderLayer.{,200}Where"),
        ("llama", "model.(", "can't be made.*unterminated"),
        ("llama", ".*query", "can't be made.*query"),
    ],
)
def test_names_that_match_no_layer_or_one_of_another_kind(save, tokenizer, family, targets, message):
    with pytest.raises(ConfigError, match=message) as raised:
        build_empty(spec(save(family), targets), tokenizer)
    assert raised.value.where == "student.lora.target_modules"


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "targets", "fields"),
    [
        ("llama", ["q_proj", "embed_tokens"], {"tie_word_embeddings": False}),
        ("llama", "all-linear", {"tie_word_embeddings": True}),
        ("gpt2", ["wpe", "c_fc"], {}),
        ("bloom", "all-linear", {}),
        ("qwen3", ["0.self_attn.q_proj", "1.mlp.up_proj"], {}),
    ],
)
def test_the_exported_student_is_the_evaluated_one(save, tokenizer, tmp_path, family, targets, fields):
    model = build_model(spec(save(family, **fields), targets), tokenizer, 0).eval()
    torch.manual_seed(1)
    before = copy.deepcopy(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.normal_(std=0.2)
    ids = torch.arange(2, 14).unsqueeze(0)
    evaluated = model.base(input_ids=ids).logits
    assert (before.base(input_ids=ids).logits - evaluated).abs().max() > 0.1
    export(model, tokenizer, tmp_path / "exported")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "exported").eval()(input_ids=ids).logits
    torch.testing.assert_close(exported, evaluated, rtol=1e-3, atol=1e-3 * float(evaluated.abs().max()))
