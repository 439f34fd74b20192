"""Building a teacher or a student: from scratch, from the hub or a folder, with or without adapters."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from scd_lightning.errors import ConfigError, ModelError, translated
from scd_lightning.models.causal_lm import CausalLM, check_family, computed_exactly
from scd_lightning.models.file_digests import file_digest
from scd_lightning.models.foreign import read_config, read_json, read_model
from scd_lightning.models.gguf import find_gguf
from scd_lightning.models.hub import check_own_code, check_weights, fetch_config
from scd_lightning.models.lora_targets import add_adapters
from scd_lightning.models.modalities import freeze_unread
from scd_lightning.models.quantization import quantization_config, quantizing_package
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.stored_weights import check_stored
from scd_lightning.models.tensor_files import check_loaded
from scd_lightning.models.thinning import check_thinned, thin
from scd_lightning.models.tokenizers import vocabulary_size

# Kernels that run on a GPU alone. Models are built and looked over where they are loaded, with another one.
_GPU_KERNELS = ("flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention")


def resolve_dtype(spec: ModelSpec) -> torch.dtype:
    """The dtype of the weights: what is trained is float32, frozen weights are bfloat16 where a GPU holds them."""
    if spec.dtype == "auto":
        return torch.bfloat16 if spec.lora.r and torch.cuda.is_available() else torch.float32
    dtype: torch.dtype = getattr(torch, spec.dtype)
    return dtype


def build_model(spec: ModelSpec, tokenizer: PreTrainedTokenizerFast, seed: int) -> CausalLM:
    """Builds the model with its starting weights: the same for the same spec and seed, whoever asks.

    Args:
        spec: The model.
        tokenizer: The tokenizer that teacher and student share.
        seed: Seeds fresh weights (from scratch, adapters).

    Raises:
        ModelError: It can't be had or does not fit the tokenizer.
    """
    with _seeded(seed):
        kernel = "eager" if spec.attention in _GPU_KERNELS else spec.attention
        base = _from_scratch(spec, tokenizer, kernel) if spec.path is None else _pretrained(spec, tokenizer, kernel)
        model = add_adapters(base, spec) if spec.lora.r else base
    if spec.gradient_checkpointing:
        base.activation_checkpointing_enable({"use_reentrant": False})
        if spec.lora.r:
            base.enable_input_require_grads()
    causal_lm = CausalLM(model, vocabulary_size(tokenizer))
    causal_lm.check_head(spec.name)
    if kernel != spec.attention:
        base.set_attn_implementation(spec.attention)
    return causal_lm


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draws of weights begin at a seed, and the generators are as before at the end.

    A GPU that nothing was asked of yet stays asleep, and other processes' GPUs are left alone.
    """
    awake = torch.cuda.is_initialized()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if awake else []):
        torch.default_generator.manual_seed(seed)
        if awake:
            torch.cuda.manual_seed(seed)
        yield


def build_empty(spec: ModelSpec, tokenizer: PreTrainedTokenizerFast) -> nn.Module:
    """Builds the model without memory for its weights, so that what can't be built shows before anything is trained.

    Raises:
        ConfigError: The architecture, the attention kernel or the adapters can't be made.
        ModelError: It has fewer embeddings than there are tokens.
    """
    built = translated("The model can't be built", where=spec.name, got=spec.path or "from scratch", kind=ConfigError)
    with built, torch.device("meta"):
        if spec.path is None:
            model = _from_scratch(spec, tokenizer, spec.attention)
        else:
            model = cast(Any, _without_weights(spec)).to(resolve_dtype(spec))
            _check_rows(model, tokenizer, spec)
        return add_adapters(model, spec) if spec.lora.r else model


def _without_weights(spec: ModelSpec) -> PreTrainedModel:
    config = _config(spec, spec.name)
    check_family(config.get_text_config(), f"{spec.role}.path", spec.name)
    model = AutoModelForCausalLM.from_config(
        config, attn_implementation=spec.attention, trust_remote_code=spec.trust_remote_code
    )
    if spec.keep_layers is not None:
        thin(model, spec.keep_layers, spec.role)
        check_thinned(model, spec.role)
    freeze_unread(model)
    return model


def _config(spec: ModelSpec, where: str) -> PretrainedConfig:
    assert spec.path is not None
    return read_config(spec.path, where=where, revision=spec.revision, trust_remote_code=spec.trust_remote_code)


def _from_scratch(spec: ModelSpec, tokenizer: PreTrainedTokenizerFast, kernel: str) -> PreTrainedModel:
    fields = dict(spec.architecture or {})
    of_tokenizer = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    unknown = sorted(set(fields) - (set(LlamaConfig().to_dict()) - set(of_tokenizer)))
    if unknown:
        raise ConfigError(
            "The architecture has unknown fields, or ones that the tokenizer decides",
            where=f"{spec.role}.architecture",
            got=", ".join(unknown),
            expected="fields of a transformers LlamaConfig",
        )
    where = f"{spec.role}.architecture"
    with translated("The architecture can't be built", where=where, got=fields, kind=ConfigError):
        config = LlamaConfig(**of_tokenizer, **fields)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=kernel)
    with computed_exactly(model):
        return model.to(resolve_dtype(spec))


def _pretrained(spec: ModelSpec, tokenizer: PreTrainedTokenizerFast, kernel: str) -> PreTrainedModel:
    assert spec.path is not None
    dtype = resolve_dtype(spec)
    try:
        quantization = quantization_config(spec, dtype)
    except (ImportError, ValueError) as error:  # A package that is too old, or broken.
        raise ModelError(f"The weights could not be loaded ({error})", where=spec.name, got=spec.path) from error
    model, info = read_model(
        spec.path,
        where=spec.name,
        revision=spec.revision,
        trust_remote_code=spec.trust_remote_code,
        allow_pickle=spec.allow_pickle,
        dtype=dtype,
        attn_implementation=kernel,
        quantization_config=quantization,
    )
    check_loaded(info, f"{spec.role}.path", spec.path)
    _check_rows(model, tokenizer, spec)
    if spec.keep_layers is not None:
        thin(model, spec.keep_layers, spec.role)
    freeze_unread(model)
    return model


def _check_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, spec: ModelSpec) -> None:
    rows = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
    if rows < vocabulary_size(tokenizer):
        raise ModelError(
            "The model has fewer embeddings than the tokenizer has tokens",
            where=spec.path,
            got=f"{rows} embeddings",
            expected=f"{vocabulary_size(tokenizer)} or more",
        )


def check_kernel(spec: ModelSpec, precision: str, *, on_gpu: bool) -> None:
    """Fails early where the attention kernel can't run on what there is.

    Args:
        spec: The model.
        precision: The trainer's.
        on_gpu: Whether the trainer uses one.

    Raises:
        ConfigError: It needs a GPU, or half precision.
    """
    if spec.attention not in _GPU_KERNELS:
        return
    where = f"{spec.role}.attention"
    if not on_gpu:
        raise ConfigError(
            "The attention kernel needs a GPU", where=where, got=spec.attention, expected="sdpa or eager on a CPU"
        )
    whole = resolve_dtype(spec) not in (torch.bfloat16, torch.float16) and "16" not in precision
    if spec.attention.startswith("flash") and whole:
        raise ConfigError(
            "The attention kernel computes in half precision only",
            where=where,
            got=f"{spec.attention} with {resolve_dtype(spec)} and trainer.precision={precision}",
            remedy="take trainer=gpu, which has bf16-mixed, or another attention",
        )


def check_reachable(spec: ModelSpec, where: str) -> None:
    """Fails early, before training, where a pretrained model can't be had, or not without what was not allowed."""
    if spec.quantization is not None:
        quantizing_package(spec)
    if spec.gguf is not None:
        find_gguf(spec.gguf, where.replace("path", "gguf"))
    if spec.path is None:
        return
    config = fetch_config(spec.path, spec.revision, where)
    if not spec.trust_remote_code:
        check_own_code(config, spec.role)
    if not spec.allow_pickle:
        check_weights(spec.path, spec.revision, config, spec.role)
    _config(spec, where)
    check_stored(spec)


def brings_code(spec: ModelSpec) -> bool:
    """Whether a model comes with code of its own, so that it is another one where that may run."""
    return spec.path is not None and "auto_map" in read_json(fetch_config(spec.path, spec.revision, spec.name))


def weights_identity(spec: ModelSpec) -> Mapping[str, Any]:
    """What names a pretrained model's starting weights in a digest: contents or commit, never a path.

    A hub snapshot is named by its commit; a local folder by the SHA-256 of its files.
    """
    if spec.path is None:
        return {"scratch": True}
    config = fetch_config(spec.path, spec.revision, spec.name)
    folder = config.parent
    if Path(spec.path).is_dir():
        suffixes = {".json", ".safetensors", ".bin", ".model", ".py"}
        files = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
        lines = "".join(f"{file.name}:{file_digest(file)}\n" for file in files)
        return {"contents": hashlib.sha256(lines.encode()).hexdigest()}
    return {"hub": spec.path, "commit": folder.name}
