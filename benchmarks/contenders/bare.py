"""The plainest loop that fine-tunes on completion tokens: what our fine-tuning step is held against."""

import argparse

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from benchmarks import workload
from benchmarks.contenders.arguments import parse
from benchmarks.contenders.gate import Gate


def main(arguments: argparse.Namespace) -> None:
    """Trains step by step at the referee's orders."""
    case, ids = workload.read(arguments.folder)
    model = workload.load(arguments.folder, "student", arguments.device).train()
    optimizer = workload.optimizer(model)
    gate = Gate(arguments.device)
    gate.ready()
    for step in range(case.steps):
        first = step * case.batch % case.samples
        rows = torch.from_numpy(ids[first : first + case.batch]).to(arguments.device)
        with torch.autocast(arguments.device, torch.bfloat16, enabled=case.dtype == "bfloat16"):
            loss = completion_loss(model, rows, case.prompt)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), workload.CLIP)
        optimizer.step()
        optimizer.zero_grad()
        gate.done(loss.detach())


def completion_loss(model: PreTrainedModel, ids: Tensor, prompt: int) -> Tensor:
    """Mean cross-entropy of completion tokens; the head is applied to the positions before them alone.

    Args:
        model: The model.
        ids: [B, T].
        prompt: Prompt tokens of each row.
    """
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, prompt - 1 : -1]
    logits = model.lm_head(hidden.flatten(0, 1))
    return functional.cross_entropy(logits.float(), ids[:, prompt:].flatten())


if __name__ == "__main__":
    main(parse())
