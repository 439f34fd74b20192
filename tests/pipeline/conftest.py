"""Tiny pretrained models, and what transformers' Trainer, peft and Lightning make of them."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from peft import LoraConfig, get_peft_model
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from scd_lightning.data.synthetic import generate
from scd_lightning.models.tokenizers import train_tokenizer

DATA = ("task.data.synthetic={train: 24, validation: 6, test: 6, seed: 0}", "task.max_new_tokens=12")


def llama(folder: Path, width: int, tokenizer: Any, **fields: Any) -> Path:
    torch.manual_seed(width)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.2,  # Fresh weights hardly tell one token from another.
        **({"tie_word_embeddings": True} | fields),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Work:
    """Base models, the task as token ids, and what the three frameworks make of them."""

    rows: Any
    data = DATA

    def __init__(self, root: Path, make_job: Any) -> None:
        self.root = root
        texts = [row["text"] for row in generate("ner", train=60)["train"]]
        self.tokenizer = train_tokenizer(texts, 400)
        self.base, self.student = llama(root / "base", 32, self.tokenizer), llama(root / "small", 16, self.tokenizer)
        self.models = (f"teacher.path='{self.base}'", f"student.path='{self.student}'")
        self.job = make_job("teacher=hub", "student=hub", *self.models, *DATA)
        self.rows = [
            {"input_ids": s.prompt_ids + s.completion_ids, "labels": [-100] * len(s.prompt_ids) + s.completion_ids}
            for s in self.job.data.tokenized["train"]
        ]

    def train(self, model: Any, folder: Path) -> Path:
        """Three checkpoints of a training by transformers' Trainer."""
        arguments = TrainingArguments(
            str(folder),
            max_steps=6,
            per_device_train_batch_size=1,
            learning_rate=5e-3,
            save_strategy="steps",
            save_steps=2,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            seed=1,
        )
        trainer = Trainer(model, arguments, train_dataset=self.rows, processing_class=self.tokenizer)
        trainer.train()
        return folder

    def full(self, folder: Path) -> Path:
        return self.train(AutoModelForCausalLM.from_pretrained(self.base), folder)

    def adapters(self, folder: Path, base: Path, **fields: Any) -> Path:
        usual: dict[str, Any] = {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "v_proj"]}
        config = LoraConfig(**(usual | fields))
        return self.train(get_peft_model(AutoModelForCausalLM.from_pretrained(base), config), folder)

    def lightning(self, folder: Path) -> Path:
        keep = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=2, save_top_k=-1, save_last="link")
        trainer = lightning.Trainer(
            max_steps=6, accelerator="cpu", callbacks=[keep], logger=False, enable_progress_bar=False
        )
        module = LightningTuning(AutoModelForCausalLM.from_pretrained(self.base))
        trainer.fit(module, DataLoader(self.rows, batch_size=None))
        return folder


class LightningTuning(lightning.LightningModule):
    """As people write it."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.net = model
        self.scale = torch.nn.Parameter(torch.ones(1))

    def training_step(self, row: dict[str, list[int]], index: int) -> torch.Tensor:
        return self.net(**{name: torch.tensor([ids]) for name, ids in row.items()}).loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.net.parameters(), lr=5e-3)


@pytest.fixture(scope="session")
def work(tmp_path_factory, make_job_in):
    root = tmp_path_factory.mktemp("imports")
    return Work(root, make_job_in(root))


@pytest.fixture(scope="session")
def make_imported(make_job_in, work):
    """Makes jobs of the work's models in its store, prepared."""
    return lambda *overrides, **folders: make_job_in(work.root)(
        "teacher=hub", "student=hub", *work.models, *DATA, *overrides, **folders
    )


@pytest.fixture(scope="session")
def full(work):
    return work.full(work.root / "runs" / "full")


@pytest.fixture(scope="session")
def adapters(work):
    return work.adapters(work.root / "runs" / "adapters", work.base)
