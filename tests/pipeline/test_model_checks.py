"""Models that can't do with a job's data or training, known before anything is trained."""

import json
import re
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.models.tokenizers import train_tokenizer
from scd_lightning.pipeline import prepare
from scd_lightning.pipeline.model_checks import longest_sample, warn_of_models

SPECIAL: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
CONFIGS = {
    "gpt2": lambda size, positions: GPT2Config(
        n_embd=16, n_layer=1, n_head=2, n_positions=positions, vocab_size=size, **SPECIAL
    ),
    "opt": lambda size, positions: OPTConfig(
        hidden_size=16, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=16,
        max_position_embeddings=positions, vocab_size=size, **SPECIAL,
    ),
    "llama": lambda size, positions: LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, tie_word_embeddings=True,
        max_position_embeddings=positions, vocab_size=size, **SPECIAL,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["mail 3 says buy or see you later, and it says no more"] * 4, 300)


@pytest.fixture
def pair(tmp_path, tokenizer):
    """Makes two pretrained models, and the overrides that name them."""

    def make(family="llama", positions=512, student=None):
        for role, (kind, count) in {"teacher": (family, positions), "student": student or (family, positions)}.items():
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(CONFIGS[kind](len(tokenizer), count)).save_pretrained(tmp_path / role)
            tokenizer.save_pretrained(tmp_path / role)
        return [each for role in ("teacher", "student") for each in (f"{role}=hub", f"{role}.path='{tmp_path / role}'")]

    return make


@pytest.fixture
def mails(tmp_path):
    """Writes a data set of mails with two labels, the last test text with as many words as asked for."""

    def write(words=3, split="test", label="no"):
        folder = tmp_path / "mails"
        folder.mkdir()
        for name in ("train", "validation", "test"):
            rows = [{"text": f"{name} {i} says buy", "label": ("yes", "no")[i % 2]} for i in range(8)]
            if name == split:
                rows.append({"id": "the long one", "text": "it says " * words, "label": label})
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return ["task=classification", f"task.data.path='{folder}'"]

    return write


# Positions


@pytest.mark.parametrize("family", ["gpt2", "opt"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_one_long_text(make_job, pair, mails, family, split):
    with pytest.raises(ConfigError, match="Samples may be longer than the teacher has positions") as raised:
        make_job(*pair(family, 128), *mails(200, split), "task.max_length=600")
    message = str(raised.value)
    assert f"{split}, id the long one" in message
    assert f"{split}.jsonl" in message
    assert "task.max_length=600; the longest sample takes " in message
    assert "Expected: at most 128, the positions of teacher. Remedy: task.max_length=128, which cuts" in message


def test_the_remedy_helps_and_short_texts_need_it_too(make_job, pair, mails):
    given = [*pair("llama", 512, student=("gpt2", 128)), *mails(200)]
    with pytest.raises(ConfigError, match="the student has positions.*Where: task.max_length, student.path"):
        make_job(*given, "task.max_length=129")
    job = make_job(*given, "task.max_length=128")
    assert longest_sample(job.data).tokens <= 128


def test_room_for_answers_counts(make_job, pair, tmp_path):
    entity = {"start": 0, "end": 4, "label": "NOTE"}
    rows = [{"text": f"note {i}", "entities": [entity] * (i % 2)} for i in range(8)]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = make_job(*pair(), "task=ner", f"task.data.path='{tmp_path / 'notes'}'", "task.max_new_tokens=77")
    longest = longest_sample(job.data)
    prompts = [len(each.prompt_ids) for name in ("validation", "test") for each in job.data.tokenized[name]]
    assert longest.tokens == max(prompts) + 77
    assert longest.split in ("validation", "test")


@pytest.mark.parametrize(
    ("weights", "precision", "told"), [(10**8, "32-true", 1), (10**6, "32", 0), (10**8, "bf16", 0)]
)
def test_float32_on_a_gpu_is_told_of_where_half_precision_pays(
    make_job, monkeypatch, recwarn, weights, precision, told
):
    job = make_job("trainer.accelerator=auto", f"trainer.precision={precision}")
    monkeypatch.setattr(type(job.trainer), "on_gpu", True)
    warn_of_models(replace(job, parameters={"teacher": weights, "student": 10}))
    assert sum("The GPU computes in float32" in str(each.message) for each in recwarn) == told


@pytest.mark.parametrize(("count", "positions"), [(30, 300), (6, 200)])
def test_a_gold_answer_longer_than_answers_may_be(make_job, pair, tmp_path, count, positions):
    """The remedy is followed, where there is one besides a shorter answer."""
    folder = tmp_path / "notes"
    folder.mkdir()
    names = " and ".join(f"Ada Petrov {i}" for i in range(20, 20 + count))
    for name in ("train", "validation", "test"):
        entity = {"start": 0, "end": 4, "label": "PERSON"}
        rows: list[dict[str, Any]] = [{"text": f"{name} {i}", "entities": [entity] * (i % 2)} for i in range(8)]
        if name == "test":
            texts = [f"Ada Petrov {i}" for i in range(20, 20 + count)]
            spans = [(names.index(text), text) for text in texts]
            entities = [{"start": at, "end": at + len(text), "label": "PERSON"} for at, text in spans]
            rows.append({"id": "many", "text": names, "entities": entities})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [*pair("gpt2", positions), "task=ner", f"task.data.path='{folder}'"]
    with pytest.raises(ConfigError, match="test, id many") as raised:
        make_job(*given, f"task.max_length={positions}", "task.max_new_tokens=8")
    ways = re.findall(r"(task\.max_new_tokens=\d+) with (task\.max_length=\d+); or", str(raised.value.remedy))
    assert len(ways) == (positions == 200)
    for way in ways:
        make_job(*given, *way)


def test_a_rotary_model_is_warned_of_where_the_texts_are_longer(make_job, pair, mails):
    given = [*pair("llama", 512, student=("llama", 100)), *mails(200)]
    job = make_job(*given, "task.max_length=300")
    with pytest.warns(UserWarning, match=r"test, id the long one.*takes \d+ tokens.*student .*trained for 100.*=100"):
        warn_of_models(job)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_models(make_job(*given, "task.max_length=100"))


# Numbers


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_weights_that_are_not_numbers_are_found_before_a_training(make_job, pair, mails, tmp_path, role, monkeypatch):
    given = [*pair(), *mails()]
    file = tmp_path / role / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][2] = torch.nan
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError, match=f"not a finite number. Where: model.norm.weight in .*{role}.*Got: 1 NaN"):
        make_job(*given)
    assert not list((tmp_path / "store").glob("*-*"))
    # A process that another one has started leaves this to that one.
    monkeypatch.setattr(prepare.ranks, "has_parent", lambda: True)
    make_job(*given)


def test_an_anchor_that_can_t_be_merged(make_job, pair, mails, tmp_path):
    given = [*pair(), *mails()]
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    targets = ["q_proj", "embed_tokens"]
    get_peft_model(base, LoraConfig(r=2, lora_alpha=4, target_modules=targets)).save_pretrained(
        tmp_path / "anchor", save_embedding_layers=False
    )
    with pytest.raises(ConfigError, match=r"also those of lm_head\.weight.*student\.lora\.target_modules"):
        make_job(*given, f"anchor.path='{tmp_path / 'anchor'}'")


# Resolution


def moved_by_torch(weights: list[torch.Tensor], rate: float) -> float:
    """The share of weights that AdamW moves in a training with steady gradients, in bfloat16."""
    torch.manual_seed(1)
    parameters = [nn.Parameter(each.to(torch.bfloat16)) for each in weights]
    before = [each.detach().clone() for each in parameters]
    optimizer = AdamW(parameters, lr=rate, weight_decay=0.0)
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    for _ in range(5):
        optimizer.step()
    moved = sum(int((a != b).sum()) for a, b in zip(before, parameters, strict=True))
    return moved / sum(each.numel() for each in before)


def shares(job):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_models(job)
    said = [str(each.message) for each in caught if "will not move" in str(each.message)]
    return {each.split("the ")[1].split("'s")[0]: (int(each.split("%")[0]), each) for each in said}


@pytest.mark.parametrize("option", ["student.dtype=bfloat16", "trainer.precision=bf16-true"])
def test_bfloat16_weights_and_a_rate_below_their_resolution(make_job, pair, mails, tmp_path, option):
    job = make_job(*pair(), *mails(), option, "teacher.optimizer.lr=0.00002", "student.optimizer.lr=0.00002")
    found = shares(job)
    assert set(found) == ({"student"} if "student" in option else {"teacher", "student"})
    share, message = found["student"]
    weights = list(load_file(tmp_path / "student" / "model.safetensors").values())
    assert share == pytest.approx(100 * (1 - moved_by_torch(weights, 2e-5)), abs=2)
    remedy = "student.dtype=float32" if "student" in option else "trainer.precision=bf16-mixed"
    assert "bfloat16, where a step of the learning rate's size, 2e-05, is lost in the rounding" in message
    assert f"Train float32 weights ({remedy})" in message


@pytest.mark.parametrize(
    "options",
    [
        ["student.dtype=bfloat16", "student.optimizer.lr=0.01"],
        ["student.dtype=bfloat16", "student.optimizer.lr=0.00002", "student.lora.r=2"],  # Adapters are float32.
        ["trainer.precision=bf16-mixed", "student.optimizer.lr=0.00002"],
        ["trainer.precision=64-true", "student.optimizer.lr=0.00002"],
    ],
)
def test_no_warning_where_weights_move(make_job, pair, mails, options):
    assert not shares(make_job(*pair(), *mails(), "teacher.optimizer.lr=0.01", *options))


def test_models_from_scratch_and_adapters_in_half_precision(make_job, tmp_path, pair, mails):
    found = shares(make_job("student.dtype=bfloat16", "student.optimizer.lr=0.00001", "budget.lr_scale=0.5"))
    assert set(found) == {"student"}
    assert found["student"][0] > 70
    assert "5e-06" in found["student"][1]
    job = make_job(*pair(), *mails(), "student.lora.r=4", "trainer.precision=bf16-true", "student.optimizer.lr=0.00002")
    # Half of an adapter begins at zero, and moves.
    assert 25 < shares(job)["student"][0] < 60
