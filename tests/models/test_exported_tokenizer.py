"""An exported tokenizer, used without options, makes the prompts that were evaluated."""

import json
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast, pipeline

from scd_lightning.data.encoding import Encoder
from scd_lightning.data.samples import Sample
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.export import export
from scd_lightning.models.exported_tokenizer import exported_tokenizer
from scd_lightning.models.tokenizers import vocabulary_size

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"
)
TEXT = "where is it"


def tokenizer_of(single, template=None, **special):
    """Bytes as tokens, behind <s> 0, </s> 1 and <pad> 2; what it adds by itself is `single`."""
    names = ["<s>", "</s>", "<pad>"]
    backend = Tokenizer(BPE({token: i for i, token in enumerate([*names, *ALPHABET])}, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"} | special
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    fast.add_special_tokens({"extra_special_tokens": names})
    fast.chat_template = template
    return fast


def evaluated(tokenizer):
    sample = Sample("s", {"text": TEXT}, ("text",), "answer", "answer", ())
    [found] = (
        Encoder(tokenizer, "{text}\n", 99, lambda sample, cut: (sample.completion, 0)).encode([sample], "t").samples
    )
    return found.prompt_ids


def model_of(tokenizer, rows=None) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=rows or len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=5,
        eos_token_id=[1, 2],
        pad_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(20)
    return model.eval()


def load(folder) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("template", [None, TEMPLATE], ids=["plain", "chat"])
@pytest.mark.parametrize("single", ["$A", "<s> $A", "<s> $A </s>", "$A </s>"])
def test_a_prompt_begins_once_whatever_the_tokenizer_added_before(tmp_path, single, template):
    tokenizer = tokenizer_of(single, template)
    exported_tokenizer(tokenizer, 300).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    turn = [{"role": "user", "content": f"{TEXT}\n"}]
    text: Any = f"{TEXT}\n"
    if template:
        text = loaded.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert loaded(text).input_ids == evaluated(tokenizer)
    assert loaded(text).input_ids.count(0) == 1


def test_a_tokenizer_that_adds_what_prompts_have_is_left_as_it_is():
    for tokenizer in (tokenizer_of("<s> $A"), tokenizer_of("$A", bos_token=None), tokenizer_of("$A", TEMPLATE)):
        assert exported_tokenizer(tokenizer, 300).backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_the_evaluated_tokenizer_is_not_changed():
    tokenizer = tokenizer_of("<s> $A </s>", TEMPLATE)
    before = tokenizer.backend_tokenizer.to_str()
    exported_tokenizer(tokenizer, 2)
    assert (tokenizer.backend_tokenizer.to_str(), tokenizer.pad_token) == (before, "<pad>")


def test_a_pad_token_without_a_row_is_none_of_the_exported_one(tmp_path):
    tokenizer = tokenizer_of("$A", pad_token="<added>")
    assert tokenizer.pad_token_id == vocabulary_size(tokenizer) == len(tokenizer) - 1
    export(CausalLM(model_of(tokenizer, rows=len(tokenizer) - 1), len(tokenizer) - 1), tokenizer, tmp_path)
    loaded, model = load(tmp_path)
    assert loaded.pad_token_id == model.config.pad_token_id == model.generation_config.pad_token_id == 1
    model.generate(**loaded(["a", "a longer one"], return_tensors="pt", padding=True), max_new_tokens=2)


def test_the_end_token_that_was_trained_is_everywhere(tmp_path):
    tokenizer = tokenizer_of("$A", eos_token="<pad>", pad_token="</s>")
    model = model_of(tokenizer)
    model.generation_config.eos_token_id = [0, 1]
    export(CausalLM(model, len(tokenizer)), tokenizer, tmp_path, 4)
    for name in ("config.json", "generation_config.json"):
        written = json.loads((tmp_path / name).read_text())
        assert {key: written.get(key) for key in ("eos_token_id", "pad_token_id", "bos_token_id")} == {
            "eos_token_id": 2,
            "pad_token_id": 1,
            "bos_token_id": 0,
        }
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert (loaded.eos_token, loaded.pad_token, loaded.bos_token) == ("<pad>", "</s>", "<s>")


def test_nothing_of_the_base_models_generation_is_left(tmp_path):
    tokenizer = tokenizer_of("$A")
    base = tmp_path / "base"
    model_of(tokenizer).save_pretrained(base)
    tokenizer.save_pretrained(base)
    config = json.loads((base / "config.json").read_text())
    of_old = {"repetition_penalty": 1.8, "max_length": 7, "temperature": 0.2, "min_length": 6, "forced_bos_token_id": 9}
    (base / "config.json").write_text(json.dumps(config | of_old))
    of_base = {"do_sample": True, "top_k": 3, "min_new_tokens": 5, "suppress_tokens": [40, 41], "max_length": 8}
    for settings in (None, of_base):
        (base / "generation_config.json").unlink(missing_ok=True)
        if settings:
            (base / "generation_config.json").write_text(json.dumps(settings))
        model = AutoModelForCausalLM.from_pretrained(base)
        export(CausalLM(model, len(tokenizer)), tokenizer, tmp_path / "out", 4)
        written = json.loads((tmp_path / "out" / "generation_config.json").read_text())
        assert set(written) == {
            *("do_sample", "max_new_tokens", "eos_token_id", "pad_token_id", "bos_token_id", "transformers_version")
        }
        assert not {*of_old, *of_base} & set(json.loads((tmp_path / "out" / "config.json").read_text()))


def test_rows_past_the_tokenizers_tokens_are_never_chosen(tmp_path):
    tokenizer = tokenizer_of("$A", pad_token="</s>")
    model = model_of(tokenizer, rows=len(tokenizer) + 5)
    assert isinstance(model.lm_head, torch.nn.Linear)
    with torch.no_grad():
        model.lm_head.weight[len(tokenizer) :] *= 50
    ids = torch.tensor([[9, 12, 40]])
    assert (model.generate(ids, max_new_tokens=6, do_sample=False) >= len(tokenizer)).any()
    export(CausalLM(model, len(tokenizer)), tokenizer, tmp_path, 6)
    _, loaded = load(tmp_path)
    assert (loaded.generate(ids) < len(tokenizer)).all()


def test_pipelines_and_bare_calls_answer_as_the_cards_prompt_does(tmp_path):
    tokenizer = tokenizer_of("<s> $A", TEMPLATE)
    export(CausalLM(model_of(tokenizer), len(tokenizer)), tokenizer, tmp_path, 5)
    loaded, model = load(tmp_path)
    ids = torch.tensor([evaluated(tokenizer)])
    expected = loaded.decode(model.generate(ids)[0, ids.shape[1] :], skip_special_tokens=True)
    turn = [{"role": "user", "content": f"{TEXT}\n"}]
    [found] = pipeline("text-generation", str(tmp_path))(turn, return_full_text=False)
    assert found["generated_text"] == expected
    text = loaded.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    bare = loaded(text, return_tensors="pt")
    assert torch.equal(bare.input_ids, ids)
