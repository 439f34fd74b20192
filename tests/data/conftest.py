"""Data folders and a tokenizer, made on the spot."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

WriteFolder = Callable[..., str]


@pytest.fixture
def write_folder(tmp_path: Path) -> WriteFolder:
    """Writes splits of rows as JSONL and returns the folder's path."""

    def write(name: str = "data", **splits: Sequence[dict]) -> str:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for split, rows in splits.items():
            lines = [json.dumps(row) for row in rows]
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(folder)

    return write


@pytest.fixture(scope="session")
def real_data(pytestconfig: pytest.Config) -> Path:
    """The folder with sets that are not the repository's to hold: SCD_REAL_DATA, as seen from where pytest started."""
    named = os.environ.get("SCD_REAL_DATA")
    if not named:
        pytest.skip("SCD_REAL_DATA names no folder with the real sets")
    folder = pytestconfig.invocation_params.dir / named
    assert folder.is_dir(), f"SCD_REAL_DATA={named} is no folder"
    return folder


@pytest.fixture(scope="session")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE with a few merges, BOS, EOS and padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the answer is the end of the text, and entities are there"] * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
