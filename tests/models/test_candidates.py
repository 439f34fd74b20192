"""Answers by candidates: against plain full passes over one sequence at a time, and against scoring all of them."""

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks.contenders.exhaustive import all_scores
from scd_lightning.batch import TokenizedSample
from scd_lightning.losses.token_scores import chunked_cross_entropy
from scd_lightning.models import best_first, candidates
from scd_lightning.models.candidates import best_candidates, read_with_gold
from scd_lightning.models.causal_lm import CausalLM
from tests.models.choices import DECODERS, DTYPES, EOS, PAD, ROUNDING, batch_of, draw_samples, plain_scores


@pytest.fixture(scope="module")
def length(tokenizer):
    return len(tokenizer)


@pytest.fixture
def everything(monkeypatch):
    """All candidates' probabilities are asked for without an error."""
    monkeypatch.setattr(best_first, "SURE", 0.0)


def counted(model):
    """The places of each forward pass [B, T] of a model, from now on."""
    passes = []
    model.register_forward_pre_hook(lambda _, __, inputs: passes.append(inputs["input_ids"].shape), with_kwargs=True)
    return passes


def with_gold(model, samples, **asked):
    return best_candidates(model, samples, PAD, read_with_gold(model, batch_of(samples), samples)[1], **asked)


def values(answers):
    return [answer.value for answer in answers]


def shares_of(scores, sample):
    """The probability of each candidate among those that are not equal to another."""
    distinct = dict(zip(map(tuple, sample.candidate_ids), scores, strict=True))
    highest = max(scores)
    total = sum(math.exp(score - highest) for score in distinct.values())
    return [math.exp(score - highest) / total for score in scores]


@pytest.mark.parametrize("family", DECODERS)
def test_candidates_equal_one_full_pass_each(make_model, length, everything, family):
    model = make_model(family, dtype=DTYPES.get(family, torch.float64))
    samples = draw_samples(3, [9, 1, 4, 14, 2, 9], candidates=5)
    expected = [plain_scores(model, length, sample) for sample in samples]
    best = [scores.index(max(scores)) for scores in expected]
    assert len(set(best)) > 1
    lm = CausalLM(model, length)
    for answers in (best_candidates(lm, samples, PAD), with_gold(lm, samples)):
        assert values(answers) == best
        assert all(answer.probability is None and answer.shares is None for answer in answers)
    for answers in (best_candidates(lm, samples, PAD, probabilities=True), with_gold(lm, samples, probabilities=True)):
        assert values(answers) == best
        for answer, sample, scores in zip(answers, samples, expected, strict=True):
            assert answer.shares == pytest.approx(shares_of(scores, sample), rel=10 * ROUNDING.get(family, 1e-9))
            assert answer.probability == max(answer.shares)
    for sample, scores in zip(samples, all_scores(lm, samples, PAD), strict=True):
        assert scores == pytest.approx(expected[sample.index], abs=ROUNDING.get(family, 1e-9))


def test_candidates_with_eager_attention(make_model, length, everything):
    model = make_model("llama", dtype=torch.float32, attn_implementation="eager")
    samples = draw_samples(5, [1, 7], candidates=3)
    for answer, sample in zip(with_gold(CausalLM(model, length), samples, probabilities=True), samples, strict=True):
        assert answer.shares == pytest.approx(shares_of(plain_scores(model, length, sample), sample), rel=1e-3)


def drawn_cases(seed, count):
    """Per-sample lists: some of one token, some beginning alike, some equal, some of one candidate."""
    generator = random.Random(seed)
    cases = []
    for i in range(count):
        highest = generator.choice([4, 12, 200])
        sizes = [generator.choice([1, 1, 2, 3, 5, 8]) for _ in range(generator.choice([1, 2, 5, 20, 40]))]
        found = [[*(generator.randrange(2, highest) for _ in range(size)), EOS] for size in sizes]
        found += [
            [*generator.choice(found)[:-1], generator.randrange(2, 9), EOS] for _ in range(generator.randrange(3))
        ]
        found += [list(generator.choice(found)) for _ in range(generator.randrange(3))]
        generator.shuffle(found)
        prompt = [generator.randrange(2, 200) for _ in range(generator.randrange(1, 20))]
        gold = list(generator.choice([*found, [2, 3, EOS]]))
        cases.append(TokenizedSample(i, prompt, gold, found))
    return cases


# How peaked a model's outputs are: one of random weights knows next to nothing, which leaves nothing to leave out.
@pytest.mark.parametrize("peak", [0, 1, 10, 100])
def test_answers_losses_and_probabilities_of_random_cases(make_model, length, peak):
    model = make_model("llama", num_hidden_layers=1)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(peak)
    lm, cases, size = CausalLM(model, length), drawn_cases(peak, 500), 100
    passes, tokens = counted(lm), dict.fromkeys(("all", "search", "gold", "probabilities"), 0)

    def behind_prompts(way, result):
        tokens[way] += sum(rows * places for rows, places in passes[1:])
        passes.clear()
        return result

    for start in range(0, len(cases), size):
        samples = sorted(cases[start : start + size], key=len)
        batch = batch_of(samples)
        expected = behind_prompts("all", all_scores(lm, samples, PAD))
        losses = chunked_cross_entropy(lm.outputs(batch), batch.targets)
        passes.clear()
        outputs, read = read_with_gold(lm, batch, samples)
        assert torch.equal(chunked_cross_entropy(outputs, batch.targets), losses)
        known = behind_prompts("gold", best_candidates(lm, samples, PAD, read))
        assert values(known) == values(behind_prompts("search", best_candidates(lm, samples, PAD)))
        sure = behind_prompts("probabilities", best_candidates(lm, samples, PAD, probabilities=True))
        for sample, scores, one, other in zip(samples, expected, known, sure, strict=True):
            assert one.value == other.value == min(i for i, s in enumerate(scores) if s >= max(scores) - 1e-4)
            assert other.shares == pytest.approx(shares_of(scores, sample), abs=1e-3)
            assert other.probability == other.shares[other.value]
    if peak >= 10:
        assert tokens["gold"] < 0.7 * tokens["all"]
        assert tokens["search"] < 0.8 * tokens["all"]


def test_a_candidate_that_gold_has_shown_costs_nothing(counting_model, length):
    """Prompt and gold in one pass; the bigram model prefers it, so that nothing else is looked at."""
    found = [[4, 3, 2, EOS], [4, 9, 2, EOS], [11, 12, EOS]]
    samples = [TokenizedSample(i, [3, 5], found[0], found) for i in range(3)]
    model = CausalLM(counting_model, length)
    passes = counted(model)
    assert values(with_gold(model, samples)) == [0, 0, 0]
    assert passes == [(3, 6)]
    passes.clear()
    assert values(best_candidates(model, samples, PAD)) == [0, 0, 0]
    # The prompts, then the token where candidates part, then the rest of the best way; those read what stands before.
    assert passes == [(3, 2), (3, 1), (3, 3)]


def test_a_wrong_gold_answer_is_not_the_models(counting_model, length):
    found = [[11, 12, EOS], [4, 3, 2, EOS], [4, 9, 2, EOS]]
    samples = [TokenizedSample(0, [3, 5], gold, found) for gold in (found[0], found[2], [7, 7, EOS])]
    assert values(with_gold(CausalLM(counting_model, length), samples)) == [1, 1, 1]


@pytest.mark.parametrize(("rows", "memory"), [(1, 1 << 30), (4, 1 << 30), (512, 1)])
def test_chunks_change_nothing(make_model, length, monkeypatch, rows, memory):
    model = CausalLM(make_model("llama"), length)
    samples = draw_samples(7, [5, 2, 8, 3, 6], candidates=7)
    expected = best_candidates(model, samples, PAD, probabilities=True)
    monkeypatch.setattr(candidates, "CANDIDATE_ROWS", rows)
    monkeypatch.setattr(candidates, "CANDIDATE_BYTES", memory)
    found = best_candidates(model, samples, PAD, probabilities=True)
    assert values(found) == values(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shares == pytest.approx(other.shares, abs=1e-9)


def test_memory_bounds_what_is_read_at_once(make_model, length, monkeypatch, everything):
    model = CausalLM(make_model("llama", dtype=torch.float32), length)
    passes = counted(model)
    # 2 layers, keys and values, 2 heads of 8, 4 places of the prompt and one behind it; a state of 32; 4 bytes each.
    monkeypatch.setattr(candidates, "CANDIDATE_BYTES", 4 * (2 * 2 * 2 * 8 * 5 * 4 + 32 * 4))
    sample = TokenizedSample(0, [5, 6, 7, 8], [EOS], [[token, EOS] for token in range(10, 20)])
    best_candidates(model, [sample], PAD, probabilities=True)
    assert passes == [(1, 4), (4, 1), (4, 1), (2, 1)]


@pytest.mark.parametrize("rows", [1, 2, 512])
def test_the_lowest_of_equal_candidates_wins(make_model, length, monkeypatch, rows):
    model = make_model("llama", dtype=torch.float32)
    monkeypatch.setattr(candidates, "CANDIDATE_ROWS", rows)
    (sample,) = draw_samples(11, [6], candidates=4)
    scores = plain_scores(model, length, sample)
    winner = sample.candidate_ids[scores.index(max(scores))]
    others = [ids for ids in sample.candidate_ids if ids != winner]
    tied = replace(sample, candidate_ids=[*others, winner, [9, 8, 7, 6, 5, 4, EOS], list(winner)])
    (answer,) = best_candidates(CausalLM(model, length), [tied], PAD, probabilities=True)
    assert answer.value == 3
    # Equal ones are one answer, and have its probability each.
    assert answer.shares is not None
    assert answer.shares[5] == answer.shares[3]
    assert sum(answer.shares[:5]) == pytest.approx(1)


def test_equal_scores_of_unequal_candidates_go_to_the_lowest(make_model, length):
    model = make_model("llama")
    nn.init.zeros_(model.get_output_embeddings().weight)
    sample = TokenizedSample(0, [5, 6], [EOS], [[7, 8, EOS], [9, EOS], [4, EOS]])
    assert values(best_candidates(CausalLM(model, length), [sample], PAD)) == [1]


def test_bfloat16_scores_are_in_float32(make_model, length, everything):
    lm = CausalLM(make_model("llama", dtype=torch.bfloat16), length)
    samples = draw_samples(1, [5], candidates=3)
    (answer,) = best_candidates(lm, samples, PAD, probabilities=True)
    assert answer.shares is not None
    assert all(share != float(torch.tensor(share).bfloat16()) for share in answer.shares)
    assert answer.shares == pytest.approx(shares_of(all_scores(lm, samples, PAD)[0], samples[0]), rel=0.1)


def test_a_model_whose_numbers_have_no_end_answers_too(make_model, length):
    model = make_model("llama", dtype=torch.float32)
    with torch.no_grad():
        model.get_output_embeddings().weight.fill_(torch.nan)
    answers = best_candidates(CausalLM(model, length), draw_samples(5, [3, 7], candidates=4), PAD)
    assert values(answers) == [0, 0]


def test_a_padded_vocabulary_has_no_part_in_it(make_model, length, everything):
    model = make_model("phi")
    samples = draw_samples(19, [4, 2], candidates=4)
    expected = best_candidates(CausalLM(model, length), samples, PAD, probabilities=True)
    with torch.no_grad():
        model.get_output_embeddings().bias[length:] = 1e6
    assert best_candidates(CausalLM(model, length), samples, PAD, probabilities=True) == expected
