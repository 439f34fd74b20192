"""Samples with candidates, and what plain full passes over one sequence at a time say of them."""

import random

import torch

from scd_lightning.batch import Batch, Slot, TokenizedSample
from scd_lightning.data.collate import collate

EOS, PAD = 0, 1
# Of these, Mistral's and Gemma 3's windows of 4 are shorter than the prompts, and Bloom takes no positions.
DECODERS = ["llama", "qwen3", "mistral", "gemma3", "gpt2", "phi", "gptj", "bloom"]
# GPT-J rotates in float32; Bloom masks with the lowest number of its dtype, infinite in the softmax's float32.
DTYPES = {"bloom": torch.float32}
ROUNDING = {"gptj": 1e-6, "bloom": 1e-4}


def draw_samples(seed, prompts, candidates, low=2, high=200):
    """Samples with prompts of the given lengths and candidates of one to five tokens and EOS; the first is gold."""
    generator = random.Random(seed)

    def ids(count):
        return [generator.randrange(low, high) for _ in range(count)]

    samples = []
    for i, n in enumerate(prompts):
        prompt, found = ids(n), [[*ids(generator.randint(1, 5)), EOS] for _ in range(candidates)]
        samples.append(TokenizedSample(i, prompt, found[0], found))
    return samples


def batch_of(samples) -> Batch:
    return collate(samples, [Slot(each.index, 1.0, len(samples), 1) for each in samples], PAD)


def plain_scores(model, length, sample):
    """One full pass of the whole model a candidate; no cache, no padding, no head of our own."""
    scores = []
    for candidate in sample.candidate_ids:
        ids = torch.tensor([sample.prompt_ids + candidate])
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[0, :, :length]
        log_probs = logits.log_softmax(-1)
        start = len(sample.prompt_ids)
        scores.append(sum(float(log_probs[start + i - 1, token]) for i, token in enumerate(candidate)))
    return scores
