"""Makes the embedded base models again: `python -m scd_lightning.training.pretraining`.

Small Llama models with one tokenizer, pretrained on plain text about the invented world of the embedded data sets. They
have seen no label and no gold span, and no text that any split of any draw holds (`data.synthetic_homes`). So they
stand to the embedded tasks as a pretrained language model does to a domain task: they know more than the labels say.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scd_lightning.data.prompts import fixed_wording
from scd_lightning.data.synthetic import answer_wording
from scd_lightning.data.synthetic.corpus import write_documents, write_sentences
from scd_lightning.data.synthetic.text import Sentence
from scd_lightning.models.tokenizers import train_tokenizer
from scd_lightning.progress import say, track
from scd_lightning.store.manifest import read_json, sha256_file, write_json
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import PROMPTS
from scd_lightning.training.learning_rate import learning_rate_factor

FOLDER = Path(__file__).parents[1] / "models" / "embedded"
RECORD = FOLDER / "record.json"
# Width, layers and heads.
SHAPES = {"teacher": (112, 4, 4), "student": (64, 3, 4), "student_small": (32, 2, 2)}
VOCABULARY = 896
STEPS, BATCH, LENGTH = 4500, 16, 128
PEAK_RATE = {"teacher": 2e-3, "student": 3e-3, "student_small": 4e-3}
WARMUP_STEPS = 100
SEED = 0
SENTENCES, HELD_OUT = 60_000, 1000
# Documents of the held-out sentences, for the recorded loss.
HELD_OUT_DOCUMENTS = 600
FIRST_STEPS = 20
_WORDING_COPIES = 1500


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Trains the tokenizer, on a part of the corpus and on the fixed wording of prompts and answers."""
    documents = write_documents(write_sentences("corpus", 4000, SEED), 4000, SEED)
    wording = [*fixed_wording([NER.prompt, Classification.prompt, *PROMPTS.values()]), *answer_wording()]
    return train_tokenizer([*documents, *wording * _WORDING_COPIES], VOCABULARY)


def pretrain(name: str, tokenizer: PreTrainedTokenizerFast, steps: int = STEPS) -> tuple[LlamaForCausalLM, list[float]]:
    """Trains one base model, or its first steps.

    Args:
        name: One of `SHAPES`.
        tokenizer: That of `make_tokenizer`.
        steps: How many of the `STEPS` steps to take.

    Returns:
        The model, and the loss of each step in nats per token.
    """
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(_config(name, tokenizer))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_RATE[name], betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(step, STEPS, WARMUP_STEPS / STEPS))
    losses = []
    for ids in track(_batches(tokenizer, steps), f"pretraining the {name} base", steps):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        losses.append(loss.item())
    return model.eval(), losses


def held_out_loss(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """Mean loss on documents of sentences that no base model has seen, in nats per token."""
    documents = write_documents(corpus()[-HELD_OUT:], HELD_OUT_DOCUMENTS, SEED + 1)
    ids = _packed(tokenizer, documents)
    rows = torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).view(-1, LENGTH)
    with torch.no_grad():
        losses = [float(model(input_ids=part, labels=part).loss) * len(part) for part in rows.split(BATCH)]
    return sum(losses) / len(rows)


@cache
def corpus() -> list[Sentence]:
    """The sentences that all documents are made of; the last `HELD_OUT` of them for the held-out loss alone."""
    return write_sentences("corpus", SENTENCES, SEED)


def _config(name: str, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    width, layers, heads = SHAPES[name]
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=8 * math.ceil(width * 8 / 3 / 8),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _batches(tokenizer: PreTrainedTokenizerFast, steps: int) -> Iterator[Tensor]:
    """Batches [BATCH, LENGTH] of documents in a row, each ended by the end token; every epoch other documents."""
    sentences = corpus()[:-HELD_OUT]
    rng, ids = Random(SEED), list[int]()
    size = BATCH * LENGTH
    for _ in range(steps):
        while len(ids) < size:
            ids += _packed(tokenizer, write_documents(sentences, 3000, rng.getrandbits(32)))
        yield torch.tensor(ids[:size]).view(BATCH, LENGTH)
        ids = ids[size:]


def _packed(tokenizer: PreTrainedTokenizerFast, documents: Sequence[str]) -> list[int]:
    encoded = tokenizer(list(documents))["input_ids"]
    return [token for document in encoded for token in (*document, tokenizer.eos_token_id)]


def checksums() -> dict[str, str]:
    """SHA-256 of each model's files, as `record.json` has them."""
    return {f"{path.parent.name}/{path.name}": sha256_file(path) for path in sorted(FOLDER.glob("*/*"))}


def make(names: Sequence[str]) -> None:
    """Trains base models, saves them, and records what they reached."""
    tokenizer = make_tokenizer()
    for name in names:
        model, losses = pretrain(name, tokenizer)
        model.save_pretrained(FOLDER / name)
        save_tokenizer(tokenizer, FOLDER / name)
        found = {
            "parameters": model.num_parameters(),
            "steps": STEPS,
            "tokens": STEPS * BATCH * LENGTH,
            "first_losses": losses[:FIRST_STEPS],
            "held_out_loss": held_out_loss(model, tokenizer),
        }
        say(f"{name}: {found['parameters']} parameters, held-out loss {found['held_out_loss']:.4f}")
        models = read_record()["models"] if RECORD.exists() else {}
        write_json(RECORD, {"models": models | {name: found}, "files": checksums()})


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Saves a tokenizer in half the space that transformers takes: without line breaks and indentation."""
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(values, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def read_record() -> dict[str, Any]:
    """What was recorded of the models in the package: parameters, tokens, first losses, held-out loss, checksums."""
    return read_json(RECORD)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m scd_lightning.training.pretraining", description=__doc__)
    parser.add_argument("--only", choices=list(SHAPES), action="append", help="one model; by default all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    make(options.only or list(SHAPES))


if __name__ == "__main__":
    main()
