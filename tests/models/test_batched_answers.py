"""A sample's answer is the same alone and in any batch, whichever side the tokenizer pads on."""

import copy
import random

import pytest
import torch

from scd_lightning.batch import TokenizedSample
from scd_lightning.models import best_first
from scd_lightning.models.candidates import best_candidates, read_with_gold
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode
from tests.models.choices import batch_of

EOS, PAD, NEW = 0, 1, 7
# GPT-2 and OPT have learned positions, OPT's behind two rows for padding; there are just as many as a sample takes.
FAMILIES = {"llama": {}, "gpt2": {"n_positions": 32}, "opt": {"max_position_embeddings": 32}}
LENGTHS = [1, 25, 3, 17, 25, 9, 2]
BATCHES = [LENGTHS, LENGTHS[::-1], sorted(LENGTHS)]


@pytest.fixture(params=FAMILIES)
def model(request, make_model, tokenizer):
    made = make_model(request.param, dtype=torch.float32, tie_word_embeddings=False, **FAMILIES[request.param])
    return CausalLM(made, len(tokenizer))


def draw(lengths):
    """A sample for each length, the same one in any batch; candidates of three to five tokens and EOS."""
    samples = []
    for index, length in enumerate(lengths):
        generator = random.Random(length)
        prompt = [generator.randrange(2, 200) for _ in range(length)]
        candidates = [[*(generator.randrange(2, 200) for _ in range(n)), EOS] for n in (4, 3, 4, 3, 5, 4)]
        samples.append(TokenizedSample(index, prompt, candidates[length % 6], candidates))
    return samples


def same(found, expected):
    assert [answer.value for answer in found] == [answer.value for answer in expected]
    probabilities = [[answer.probability for answer in answers] for answers in (found, expected)]
    assert probabilities[0] == pytest.approx(probabilities[1], rel=1e-3)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lengths", BATCHES)
def test_texts(model, tokenizer, side, lengths):
    padded = copy.deepcopy(tokenizer)
    padded.padding_side = side
    samples = draw(lengths)
    alone = [greedy_decode(model, tokenizer, [sample], NEW)[0] for sample in samples]
    same(greedy_decode(model, padded, samples, NEW), alone)
    same(greedy_decode(model, padded, samples[:3], NEW), alone[:3])
    assert len({answer.value for answer in alone}) > 3


@pytest.mark.parametrize("lengths", BATCHES)
def test_candidates(model, lengths):
    samples = draw(lengths)
    alone = [best_candidates(model, [sample], PAD)[0] for sample in samples]
    for pad in (PAD, EOS):
        assert best_candidates(model, samples, pad) == alone
    assert best_candidates(model, samples[:3], PAD) == alone[:3]
    assert best_candidates(model, samples, PAD, read_with_gold(model, batch_of(samples), samples)[1]) == alone
    assert len({answer.value for answer in alone}) > 1


@pytest.mark.parametrize("lengths", BATCHES)
def test_candidates_probabilities(model, lengths, monkeypatch):
    monkeypatch.setattr(best_first, "SURE", 0.0)
    samples = draw(lengths)
    alone = [best_candidates(model, [sample], PAD, probabilities=True)[0] for sample in samples]
    read = read_with_gold(model, batch_of(samples), samples)[1]
    for given in (None, read):
        found = best_candidates(model, samples, PAD, given, probabilities=True)
        same(found, alone)
        for one, other in zip(found, alone, strict=True):
            assert one.shares == pytest.approx(other.shares, rel=1e-3)
