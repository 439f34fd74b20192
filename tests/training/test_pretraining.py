"""The embedded base models are what their record says, and can be made again."""

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from scd_lightning.data.synthetic import generate
from scd_lightning.models.tokenizers import identity
from scd_lightning.training import pretraining
from scd_lightning.training.pretraining import (
    FIRST_STEPS,
    FOLDER,
    SHAPES,
    checksums,
    held_out_loss,
    make_tokenizer,
    pretrain,
    read_record,
)


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def test_the_files_are_those_of_the_record_and_small():
    record = read_record()
    assert checksums() == record["files"]
    assert set(record["models"]) == set(SHAPES)
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 4_000_000


@pytest.mark.parametrize("name", SHAPES)
def test_transformers_loads_a_model_with_the_tokenizer_that_is_made(name, tokenizer):
    model = LlamaForCausalLM.from_pretrained(FOLDER / name)
    assert model.num_parameters() == read_record()["models"][name]["parameters"]
    assert identity(PreTrainedTokenizerFast.from_pretrained(FOLDER / name)) == identity(tokenizer)


@pytest.mark.parametrize("name", SHAPES)
def test_the_first_steps_repeat_the_recorded_losses(name, tokenizer):
    _, losses = pretrain(name, tokenizer, FIRST_STEPS)
    assert losses == pytest.approx(read_record()["models"][name]["first_losses"], abs=1e-4)


def test_the_corpus_holds_no_text_of_any_split():
    corpus = {sentence.text for sentence in pretraining.corpus()}
    for task in ("ner", "qa", "classification"):
        for seed in (0, 10, 11, 12, 100):
            for rows in generate(task, seed=seed).values():
                assert corpus.isdisjoint(row.get("text") or row["context"] for row in rows)


def test_the_recorded_loss_is_that_of_the_files(tokenizer):
    name = min(SHAPES, key=lambda each: SHAPES[each][0])
    model = LlamaForCausalLM.from_pretrained(FOLDER / name, dtype=torch.float32)
    assert held_out_loss(model, tokenizer) == pytest.approx(read_record()["models"][name]["held_out_loss"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SHAPES)
def test_a_model_made_again_is_as_good(name, tokenizer):
    model, _ = pretrain(name, tokenizer)
    assert held_out_loss(model, tokenizer) == pytest.approx(read_record()["models"][name]["held_out_loss"], rel=0.01)
