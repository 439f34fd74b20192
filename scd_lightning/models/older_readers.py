"""What readers of version 4 of transformers look for in a folder that version 5 wrote.

They take the default, in silence, for what they do not find: another base of the rotary positions, say. Both are
written, and version 5 reads the same of it as before.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerFast

from scd_lightning.models.foreign import read_json
from scd_lightning.store.manifest import write_json

# What version 4 calls the parameters of rotary positions, where a kind of model has names of its own.
_NAMES = {
    kind: {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
    for kind in ("gpt_neox", "gpt_neox_japanese")
}
# What version 5 notes of how a tokenizer was loaded, and names of tokens that its file of tokens says already.
_NOT_OF_THE_TOKENIZER = ("backend", "is_local", "local_files_only", "add_bos_token", "add_eos_token")


def add_older_names(folder: Path, config: PretrainedConfig) -> None:
    """Adds to config.json what version 4 reads of rotary positions and of the weights' dtype.

    Args:
        folder: A transformers folder.
        config: What was saved there.
    """
    file = folder / "config.json"
    written = read_json(file)
    added: dict[str, Any] = {}
    for part in (_dtype(written), _rotary(written)):
        if _reads_alike(type(config), written, added | part):
            added |= part
    if added:
        write_json(file, dict(sorted((written | added).items())))


def _reads_alike(kind: type[PretrainedConfig], written: Mapping[str, Any], added: Mapping[str, Any]) -> bool:
    """Whether version 5 takes the same from a configuration with what is added: some kinds read names of old anew."""
    # Reading changes what it is given.
    before, after = (kind.from_dict(deepcopy(dict(each))).to_dict() for each in (written, {**written, **added}))
    return _holds(after, before)


def _holds(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there, in mappings within too."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(name in found and _holds(found[name], value) for name, value in wanted.items())
    return bool(found == wanted)


def _dtype(written: Mapping[str, Any]) -> dict[str, Any]:
    return {"torch_dtype": written["dtype"]} if "dtype" in written else {}


def _rotary(written: Mapping[str, Any]) -> dict[str, Any]:
    """The base beside the rest, and what scales it, of full attention where layers differ."""
    parameters = written.get("rope_parameters") or {}
    local = parameters.get("sliding_attention")
    of_full = parameters.get("full_attention", parameters)
    if not isinstance(of_full, dict) or "rope_theta" not in of_full:
        return {}
    names = _NAMES.get(str(written.get("model_type")), {})
    beside = {name: of_full[name] for name in ("rope_theta", "partial_rotary_factor") if name in of_full}
    scaling = {name: value for name, value in of_full.items() if name not in beside}
    found = {names.get(name, name): value for name, value in beside.items()}
    if scaling.get("rope_type", "default") != "default":
        # Phi-3 takes three fields, and no more.
        three = {"type": scaling["rope_type"], **{name: scaling.get(name) for name in ("short_factor", "long_factor")}}
        found["rope_scaling"] = three if written.get("model_type") == "phi3" else scaling
    if isinstance(local, dict) and "rope_theta" in local:
        found["rope_local_base_freq"] = local["rope_theta"]
    return found


def rewrite_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Has tokenizer_config.json name a class that both versions have, and say what version 4 looks for there.

    Args:
        folder: A transformers folder.
        tokenizer: What was saved there; all that it does is in tokenizer.json.
    """
    file = folder / "tokenizer_config.json"
    written = read_json(file)
    kept = {name: value for name, value in written.items() if name not in _NOT_OF_THE_TOKENIZER}
    # A list under the name of version 5 makes version 4 fail; version 5 reads the older name too.
    extra = kept.pop("extra_special_tokens", None)
    for_both = {
        # Version 4 would give a model token types, which generation refuses, and tidy up blanks in answers.
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    written = kept | _chat_template(tokenizer) | _prefix_space(tokenizer) | _extra(extra) | for_both
    write_json(file, dict(sorted(written.items())))


def _extra(tokens: Any) -> dict[str, Any]:
    return {"additional_special_tokens": tokens} if tokens else {}


def _chat_template(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Beside the file of its own, which some programs do not know."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        return {"chat_template": [{"name": name, "template": each} for name, each in template.items()]}
    return {"chat_template": template} if template else {}


def _prefix_space(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Where a text's first word gets a blank, which is taken from tokenizer.json unless it is said here too."""
    part = tokenizer.backend_tokenizer.pre_tokenizer
    return {"add_prefix_space": True} if getattr(part, "add_prefix_space", False) else {}
