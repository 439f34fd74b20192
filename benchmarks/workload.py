"""What every contender works on: the same token ids, initial weights, optimizer settings and order of batches.

Peers run it in environments of their own, so nothing of scd_lightning is imported here.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

# A constant learning rate, gradients clipped at 1: what a step costs does not depend on them.
OPTIMIZER: dict[str, Any] = {"lr": 1e-4, "betas": (0.9, 0.95), "weight_decay": 0.1, "fused": True}
CLIP = 1.0


@dataclass(frozen=True)
class Shape:
    """A Llama-architecture model, apart from its vocabulary.

    Attributes:
        hidden: Width D.
        layers: Number of layers.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        intermediate: Width of the feed-forward layers.
        tied: Whether the LM head is the embedding.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    tied: bool = True

    def config(self, vocab_size: int) -> LlamaConfig:
        """The configuration of transformers."""
        return LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            intermediate_size=self.intermediate,
            tie_word_embeddings=self.tied,
            max_position_embeddings=2048,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
        )

    def body_parameters(self) -> int:
        """Parameters of the layers, without embedding, LM head and norms."""
        head = self.hidden // self.heads
        attention = 2 * self.hidden * head * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)


@dataclass(frozen=True)
class Case:
    """One workload.

    Attributes:
        name: What tables call it.
        vocab_size: V.
        prompt: Prompt tokens of a sample.
        completion: Completion tokens of a sample.
        batch: Samples B of an optimizer step.
        steps: Optimizer steps that are measured, the first of which warms up.
        student: The student's shape.
        teacher: The teacher's.
        samples: Samples S; batches of them follow one another in order, again and again.
        dtype: "float32", or "bfloat16": autocast over float32 weights of the student, and a teacher stored in it.
    """

    name: str
    vocab_size: int
    prompt: int
    completion: int
    batch: int
    steps: int
    student: Shape
    teacher: Shape
    samples: int = 32
    dtype: str = "float32"

    @property
    def tokens(self) -> int:
        """Tokens of an optimizer step, prompts included."""
        return self.batch * (self.prompt + self.completion)

    @property
    def completion_tokens(self) -> int:
        """Completion tokens K of an optimizer step."""
        return self.batch * self.completion


def make(case: Case, folder: Path) -> Path:
    """Writes a case's token ids and models, the same for the same case.

    Args:
        case: The case.
        folder: Where case.json, ids.npy [S, prompt + completion], and the transformers folders student and teacher go.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.json").write_text(json.dumps(asdict(case)))
    # Id 0 pads, for peers who need such a token.
    ids = np.random.default_rng(0).integers(1, case.vocab_size, (case.samples, case.prompt + case.completion))
    np.save(folder / "ids.npy", ids)
    roles = (("student", case.student, torch.float32), ("teacher", case.teacher, getattr(torch, case.dtype)))
    for seed, (role, shape, dtype) in enumerate(roles):
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(shape.config(case.vocab_size), dtype=dtype).save_pretrained(folder / role)
    return folder


def read(folder: Path) -> tuple[Case, np.ndarray]:
    """The case that `make` wrote, and its token ids [S, prompt + completion]."""
    fields = json.loads((folder / "case.json").read_text())
    case = Case(**fields)
    return replace(case, student=Shape(**fields["student"]), teacher=Shape(**fields["teacher"])), np.load(
        folder / "ids.npy"
    )


def load(folder: Path, role: str, device: str) -> PreTrainedModel:
    """The student or the teacher, in the dtype it was stored in, with the attention kernel that all contenders use."""
    model = LlamaForCausalLM.from_pretrained(folder / role, dtype="auto", attn_implementation="sdpa")
    # The method of transformers hides its types.
    return torch.nn.Module.to(model, device)


def optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimizer that all contenders use."""
    return torch.optim.AdamW(model.parameters(), **OPTIMIZER)


def tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of as many words; only its length and its special tokens are asked for."""
    words = {"<pad>": 0} | {f"w{index}": index for index in range(1, vocab_size)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<pad>")), pad_token="<pad>", eos_token="<pad>"
    )


def label_rows(case: Case, ids: np.ndarray) -> list[dict[str, list[int]]]:
    """Samples as trainers of transformers want them: input_ids, attention_mask and labels, -100 on the prompt."""
    masked = [-100] * case.prompt
    return [
        {"input_ids": row, "attention_mask": [1] * len(row), "labels": masked + row[case.prompt :]}
        for row in ids.tolist()
    ]
