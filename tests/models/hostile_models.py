"""Whole models of a few kilobytes, to be spoilt."""

import json
from pathlib import Path

import torch
from gguf import GGUFWriter
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
INDEX = "model.safetensors.index.json"
ADAPTER = {
    "peft_type": "LORA",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
    "base_model_name_or_path": "owner/base",
    "task_type": "CAUSAL_LM",
    "bias": "none",
}


def write_model(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """A transformers folder."""
    config = LlamaConfig(
        vocab_size=300,
        eos_token_id=0,
        pad_token_id=1,
        tie_word_embeddings=True,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def split_weights(folder: Path) -> None:
    """Writes a folder's weights anew as two shards and their index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(sorted(tensors))}
    for shard in set(shards.values()):
        held = {name: tensors[name] for name in tensors if shards[name] == shard}
        save_file(held, folder / shard, {"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": shards}))


def write_adapters(folder: Path) -> None:
    """A peft folder, as far as its configuration goes."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    save_file({"base_model.model.a.lora_A.weight": torch.ones(4, 2)}, folder / "adapter_model.safetensors")


def write_gguf(file: Path) -> None:
    """A GGUF file with the values that a Llama has, and tensors of one that has none."""
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(8)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(4)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "c", "ab"])
    writer.add_token_types([1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    writer.add_tensor("token_embd.weight", torch.ones(4, 8).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
