"""Models that read pictures too: of these, texts train the language model alone."""

import pytest
import torch
from torch.optim import AdamW
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, PreTrainedTokenizerFast

from scd_lightning.models.loading import build_empty, build_model
from scd_lightning.models.spec import LoRA, TeacherSpec
from scd_lightning.models.tokenizers import train_tokenizer, vocabulary_size

TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT |= {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 64}
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION |= {"image_size": 28, "patch_size": 14}


@pytest.fixture(scope="module")
def tokenizer():
    """Gemma 3's way: the last token stands for a picture, and text models have no row for it."""
    trained = train_tokenizer(["where the river goes"], 264)
    named = {"eos_token": trained.eos_token, "pad_token": trained.pad_token}
    picture = {"image_token": "<image_soft_token>"}
    made = PreTrainedTokenizerFast(tokenizer_object=trained.backend_tokenizer, extra_special_tokens=picture, **named)
    assert vocabulary_size(made) == len(made) - 1
    return made


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gemma")
    text = TEXT | {"vocab_size": vocabulary_size(tokenizer)}
    config = Gemma3Config(text_config=text, vision_config=VISION, mm_tokens_per_image=4)
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("r", [0, 2])
@pytest.mark.parametrize("build", [build_empty, lambda spec, tokenizer: build_model(spec, tokenizer, 0)])
def test_texts_train_the_language_model_alone(folder, tokenizer, build, r):
    lora = LoRA(r=r, target_modules="all-linear")
    model = build(TeacherSpec(name="", optimizer=AdamW, path=str(folder), lora=lora, checkpoints=1), tokenizer)
    names = trained(model)
    assert any("language_model.layers.1" in name for name in names)
    assert not any("vision" in name or "projector" in name for name in names)
    assert all("lora_" in name for name in names) == bool(r)


def test_every_weight_that_trains_gets_a_gradient(folder, tokenizer):
    """What DDP waits for."""
    spec = TeacherSpec(name="", optimizer=AdamW, path=str(folder), checkpoints=1)
    model = build_model(spec, tokenizer, 0)
    ids = torch.tensor([[5, 6, 7]])
    model.head(model.read(ids)).logsumexp(-1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
