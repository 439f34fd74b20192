"""A model in a GGUF file, a local one or one that a Python package carries: found, and turned into a plain folder."""

import json
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from scd_lightning.errors import ModelError, translated
from scd_lightning.models.export import save
from scd_lightning.models.foreign import is_gguf, read_gguf
from scd_lightning.models.packaged import find_gguf_file, not_installed
from scd_lightning.models.tensor_files import check_loaded, require_finite
from scd_lightning.models.weight_files import ANEW


def find_gguf(gguf: str, where: str) -> Path:
    """The file of a GGUF model; nothing of it is read but its first bytes, and no package is imported.

    Args:
        gguf: A path, or "package:file inside it".
        where: The argument that named it, for messages.

    Raises:
        ConfigError: A package is not installed.
        ModelError: There is no such file, or it is no GGUF file.
    """
    file = find_gguf_file(gguf, where)
    if not is_gguf(file):
        raise ModelError("The file is no GGUF file", where=where, got=gguf)
    if find_spec("gguf") is None:
        raise not_installed("gguf", "gguf", where)
    return file


def convert_gguf(file: Path, folder: Path, dtype: torch.dtype, where: str) -> None:
    """Writes a GGUF model as a transformers folder: dequantized weights, configuration and tokenizer.

    Args:
        file: The GGUF file.
        folder: Where to.
        dtype: What the weights are dequantized to.
        where: The argument that named it, for messages.

    Raises:
        ModelError: transformers can't read it, as where it does not know the architecture; or it is not whole.
    """
    model, tokenizer, info = read_gguf(file, dtype, where)
    check_loaded(info, where, file)
    for name, tensor in model.state_dict().items():
        require_finite(tensor, f"{name} in {file}", ANEW)
    with translated("The GGUF file's model could not be written anew", where=where, got=file.name):
        # What still calls the weights quantized keeps transformers from saving them.
        model.hf_quantizer = None
        model.is_quantized = False
        del model.config.quantization_config
        save(model, _within(tokenizer, model.get_input_embeddings().num_embeddings), folder)


def _within(tokenizer: PreTrainedTokenizerFast, rows: int) -> PreTrainedTokenizerFast:
    """The tokenizer without what transformers added to it of its own, where the model has no embedding for that."""
    if len(tokenizer) <= rows:
        return tokenizer
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["id"] < rows]
    backend = Tokenizer.from_str(json.dumps(state))
    special = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    known = {name: token for name, token in special.items() if token and backend.token_to_id(token) is not None}
    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=tokenizer.chat_template, **known)
