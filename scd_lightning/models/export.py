"""A tuned model as a transformers folder that `AutoModelForCausalLM.from_pretrained` loads."""

import importlib.metadata
from pathlib import Path
from typing import Any, cast

from huggingface_hub import try_to_load_from_cache
from peft import PeftModel
from torch import nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.exported_tokenizer import exported_tokenizer
from scd_lightning.models.foreign import read_card_head
from scd_lightning.models.older_readers import add_older_names, rewrite_tokenizer
from scd_lightning.models.packaged import find_packaged
from scd_lightning.store.manifest import open_as_its_folder

_LONGEST_IDENTIFIER = 40


def export(
    model: CausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, max_new_tokens: int | None = None
) -> None:
    """Writes weights (safetensors; adapters merged), configuration, generation settings and tokenizer.

    Args:
        model: The model with its final weights; adapters are merged in place.
        tokenizer: Its tokenizer.
        folder: Where to; made anew.
        max_new_tokens: Longest answer, None for transformers' default.
    """
    merged = cast(
        PreTrainedModel, model.model.merge_and_unload() if isinstance(model.model, PeftModel) else model.model
    )
    rows = cast(nn.Embedding, merged.get_input_embeddings()).num_embeddings
    own = exported_tokenizer(tokenizer, rows)
    ids = {name: getattr(own, name) for name in ("eos_token_id", "pad_token_id", "bos_token_id")}
    # Results are those of greedy answers; the base model's own settings may sample, or punish repetitions. Answers
    # were chosen among the tokenizer's tokens: a padded vocabulary has rows that were never trained.
    merged.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        suppress_tokens=list(range(model.vocab_size, merged.config.get_text_config().vocab_size)) or None,
        **ids,
    )
    # Programs that ask the configuration for the end of an answer find the token that training used.
    for config in (merged.config, merged.config.get_text_config()):
        config.update(ids)
    save(merged, own, folder)
    add_older_names(folder, merged.config)
    rewrite_tokenizer(folder, own)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes a model and its tokenizer as a transformers folder, which all may read that may read the folder."""
    model.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        open_as_its_folder(file)
    tokenizer.save_pretrained(folder)


def base_facts(name: str, path: str | None, gguf: str | None = None, revision: str | None = None) -> dict[str, Any]:
    """What a model card says of the base model, read from what is on this machine; no path goes into it.

    Args:
        name: What tables call the model.
        path: Hub id, local folder or "package:folder inside it", or None.
        gguf: "package:file inside it" or a path, or None.
        revision: Of the hub's model.

    Returns:
        {"name", "hub_id": or None, "license": or None}; empty for a model from scratch.
    """
    if path is None and gguf is None:
        return {}
    if path is None or find_packaged(path, "path") is not None:
        package, _, inside = (path or gguf or "").partition(":")
        return {"name": name, "hub_id": None, "license": _package_license(package) if inside else None}
    if Path(path).is_dir():
        head = read_card_head(Path(path) / "README.md")
        return {"name": name, "hub_id": None, "license": head.get("license")}
    cached = try_to_load_from_cache(path, "README.md", revision=revision)
    head = read_card_head(Path(cached)) if isinstance(cached, str) else {}
    return {"name": path, "hub_id": path, "license": head.get("license")}


def _package_license(package: str) -> str | None:
    try:
        metadata = importlib.metadata.metadata(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return None
    found = next((metadata[name] for name in ("License-Expression", "License") if name in metadata), "")
    # The hub's identifiers are in lower case; some packages have the licence's whole text there.
    return found.lower() if found and len(found) < _LONGEST_IDENTIFIER and "\n" not in found else None
