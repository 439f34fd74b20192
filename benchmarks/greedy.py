"""A student that chooses among labels, beside the same weights decoded greedily, as generic servers have it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scd_lightning.analysis.records import read_predictions
from scd_lightning.data.prompts import render
from scd_lightning.use.student import Student


@torch.no_grad()
def main(order: Mapping[str, Any]) -> dict[str, Any]:
    """Has both answer the samples of the run's test split.

    Args:
        order: "folder", that of a run whose student chooses.

    Returns:
        "texts"; how many answers are "different" and how many are "no_label"; and the shares that are right, "chosen"
        and "greedy".
    """
    folder = Path(order["folder"])
    texts = [row["input"] for row in read_predictions(folder, "samples")]
    golds = [row["gold"] for row in read_predictions(folder, "student")]
    chosen = [given.answer for given in Student.load(folder, "cpu").predict(texts)]
    form = json.loads((folder / "student" / "prompt_template.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    model = AutoModelForCausalLM.from_pretrained(folder / "student").eval()
    greedy = []
    for text in texts:
        ids = tokenizer(render(form["template"], {"text": text}), return_tensors="pt")["input_ids"]
        made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=32)
        greedy.append(str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)).strip())
    pairs = list(zip(chosen, greedy, golds, strict=True))
    return {
        "texts": len(texts),
        "different": sum(one != other for one, other, _ in pairs),
        "no_label": sum(other not in form["labels"] for _, other, _ in pairs),
        "chosen": sum(one == gold for one, _, gold in pairs) / len(pairs),
        "greedy": sum(other == gold for _, other, gold in pairs) / len(pairs),
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
