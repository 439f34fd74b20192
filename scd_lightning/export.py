"""A tuned model as a transformers folder that `AutoModelForCausalLM.from_pretrained` loads."""

from pathlib import Path
from typing import cast

from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from scd_lightning.models.causal_lm import CausalLM


def export(model: CausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes weights (safetensors; adapters merged), configuration, generation settings and tokenizer.

    Args:
        model: The model with its final weights; adapters are merged in place.
        tokenizer: Its tokenizer.
        folder: Where to; made anew.
    """
    merged = cast(
        PreTrainedModel, model.model.merge_and_unload() if isinstance(model.model, PeftModel) else model.model
    )
    merged.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
