"""Healing a thinned student."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scd_lightning.data.synthetic import generate
from scd_lightning.models.tokenizers import train_tokenizer

DATA = ("task.data.synthetic={train: 24, validation: 6, test: 6}", "task.max_new_tokens=12")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer([row["text"] for row in generate("ner", train=40)["train"]], 300)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=8,
                         num_attention_heads=2, num_key_value_heads=1, initializer_range=0.2, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_it(make_job, run_job, pretrained, capsys):
    job = make_job(*DATA, "teacher=hub", "student=hub", f"teacher.path={pretrained}", f"student.path={pretrained}",
                   "student.keep_layers=2", "student.heal_epochs=3", "student.heal_lr=0.01", "teacher.epochs=1", "evaluate.base=true")
    made = run_job(job)
    print(capsys.readouterr().out)
    for name in made:
        print(name, made[name].result, made[name].costs)
    print((job.run_dir / "results.json").read_text())
    assert 0
