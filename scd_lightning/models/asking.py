"""How an exported student is asked, in what transformers offers alone.

Model cards show these functions as they stand here, and an export is held against its run by them.
"""

from copy import deepcopy
from typing import Any

import torch


def written_prompt(tokenizer: Any, prompt: dict[str, Any], fields: dict[str, str]) -> str:
    """The prompt as the model was trained on it."""
    template = prompt["template"]
    for name, value in fields.items():
        if not value:  # an empty field takes its line along
            lines = template.splitlines(keepends=True)
            template = "".join(line for line in lines if line.strip() != "{" + name + "}")
    text = template.format(**fields)
    if not prompt["chat"]:
        return (prompt["bos"] or "") + text
    turn = [{"role": "user", "content": text}]
    # The date is the one that training wrote into templates that show one.
    return tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, date_string=prompt["date"])


def generated(model: Any, tokenizer: Any, text: str) -> str:
    """The model's answer to a prompt."""
    inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
    output = model.generate(**inputs)
    return tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def candidate_scores(model: Any, tokenizer: Any, text: str, candidates: list[str], vocabulary: int) -> list[float]:
    """The log-probability of each candidate as the answer to a prompt, the end token included."""
    prompt, scores = tokenizer(text, add_special_tokens=False)["input_ids"], []
    with torch.no_grad():
        # All but the prompt's last token run once: that one is fed with each candidate.
        start = torch.tensor([prompt[:-1]], device=model.device)
        cache = model(start, use_cache=True).past_key_values if prompt[1:] else None
        for candidate in candidates:
            ids = tokenizer(text + candidate, add_special_tokens=False)["input_ids"]
            if ids[: len(prompt)] != prompt:  # a token would reach from the prompt into the candidate
                ids = prompt + tokenizer(candidate, add_special_tokens=False)["input_ids"]
            tokens = torch.tensor([*ids[len(prompt) - 1 :], tokenizer.eos_token_id], device=model.device)
            output = model(tokens[None, :-1], past_key_values=deepcopy(cache), use_cache=True)
            log_probs = output.logits[0, :, :vocabulary].double().log_softmax(-1)
            scores.append(float(log_probs.gather(1, tokens[1:, None]).sum()))
    return scores
