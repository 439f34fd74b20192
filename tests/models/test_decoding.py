"""Answers by candidates and by greedy decoding, against plain full passes over one sequence at a time."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from torch import nn
from transformers import GenerationConfig

from scd_lightning.batch import TokenizedSample
from scd_lightning.lm_head import LMHead
from scd_lightning.models import decoding
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import best_candidates, greedy_decode
from scd_lightning.models.tokenizers import train_tokenizer

EOS, PAD = 0, 1
# Of these, Mistral's and Gemma 3's windows of 4 are shorter than the prompts, and Bloom takes no positions.
DECODERS = ["llama", "qwen3", "mistral", "gemma3", "gpt2", "phi", "gptj", "bloom"]
# GPT-J rotates in float32; Bloom masks with the lowest number of its dtype, infinite in the softmax's float32.
DTYPES = {"bloom": torch.float32}
ROUNDING = {"gptj": 1e-6, "bloom": 1e-4}


@pytest.fixture(scope="module")
def length(tokenizer):
    return len(tokenizer)


def draw_samples(seed, prompts, candidates, low=2, high=200):
    """Samples with prompts of the given lengths and candidates of one to five tokens and EOS."""
    generator = random.Random(seed)

    def ids(count):
        return [generator.randrange(low, high) for _ in range(count)]

    return [
        TokenizedSample(i, ids(n), [EOS], [[*ids(generator.randint(1, 5)), EOS] for _ in range(candidates)])
        for i, n in enumerate(prompts)
    ]


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


def plain_greedy(model, length, prompt, max_new_tokens):
    """The argmax loop, a full pass a token."""
    ids = list(prompt)
    for _ in range(max_new_tokens):
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1, :length].argmax())
        if token == EOS:
            break
        ids.append(token)
    return ids[len(prompt) :]


def chosen(*arguments):
    return [answer.value for answer in best_candidates(*arguments)]


def decoded(*arguments):
    return [answer.value for answer in greedy_decode(*arguments)]


@pytest.fixture
def found_scores(monkeypatch):
    """The scores that `best_candidates` computes, chunk by chunk: {(row, prompt's last token and candidate): score}."""
    chunks = []
    score_chunk = decoding._score_chunk

    def spy(model, pairs, *rest):
        scores = score_chunk(model, pairs, *rest)
        chunks.append({(row, tuple(ids)): score for (row, ids), score in zip(pairs, scores, strict=True)})
        return scores

    monkeypatch.setattr(decoding, "_score_chunk", spy)
    return chunks


def scores_of(chunks, samples):
    """All scores, sample by sample."""
    found = dict(pair for chunk in chunks for pair in chunk.items())
    return [
        found[row, (sample.prompt_ids[-1], *ids)] for row, sample in enumerate(samples) for ids in sample.candidate_ids
    ]


@pytest.mark.parametrize("family", DECODERS)
def test_candidates_equal_one_full_pass_each(make_model, length, found_scores, family):
    model = make_model(family, dtype=DTYPES.get(family, torch.float64))
    samples = draw_samples(3, [9, 1, 4, 14, 2, 9], candidates=5)
    best = chosen(CausalLM(model, length), samples, PAD)
    expected = [plain_scores(model, length, sample) for sample in samples]
    flat = [score for scores in expected for score in scores]
    assert len({round(score, 3) for score in flat}) == len(flat)
    assert scores_of(found_scores, samples) == pytest.approx(flat, abs=ROUNDING.get(family, 1e-9))
    assert best == [scores.index(max(scores)) for scores in expected]
    assert len(set(best)) > 1


def test_candidates_with_eager_attention(make_model, length, found_scores):
    model = make_model("llama", dtype=torch.float32, attn_implementation="eager")
    samples = draw_samples(5, [1, 7], candidates=3)
    chosen(CausalLM(model, length), samples, PAD)
    expected = [s for each in samples for s in plain_scores(model, length, each)]
    assert scores_of(found_scores, samples) == pytest.approx(expected, abs=1e-4)


def test_candidates_of_one_length_run_together(make_model, length, found_scores, monkeypatch):
    monkeypatch.setattr(decoding, "CANDIDATE_ROWS", 4)
    candidates = [[token] * size + [EOS] for token, size in ((5, 1), (6, 9), (7, 4), (8, 9), (9, 1), (10, 4))]
    samples = [TokenizedSample(index, [3, 4], [EOS], candidates) for index in range(2)]
    chosen(CausalLM(make_model("llama"), length), samples, PAD)
    assert [{len(ids) for _, ids in chunk} for chunk in found_scores] == [{11}, {6}, {3}]


@pytest.mark.parametrize(("rows", "memory"), [(1, 1 << 30), (4, 1 << 30), (512, 1)])
def test_chunks_change_nothing(make_model, length, monkeypatch, rows, memory):
    model = CausalLM(make_model("llama"), length)
    samples = draw_samples(7, [5, 2, 8, 3, 6], candidates=7)
    expected = chosen(model, samples, PAD)
    monkeypatch.setattr(decoding, "CANDIDATE_ROWS", rows)
    monkeypatch.setattr(decoding, "CANDIDATE_BYTES", memory)
    assert chosen(model, samples, PAD) == expected


def test_memory_bounds_the_chunk(make_model, length, monkeypatch):
    model = CausalLM(make_model("llama", dtype=torch.float32), length)
    sizes = []
    score_chunk = decoding._score_chunk

    def spy(model, pairs, *rest):
        sizes.append(len(pairs))
        return score_chunk(model, pairs, *rest)

    monkeypatch.setattr(decoding, "_score_chunk", spy)
    # 2 layers, keys and values, 2 heads of 8, 3 cached tokens, 4 bytes; 3 positions of logits, 8 bytes.
    monkeypatch.setattr(decoding, "CANDIDATE_BYTES", 4 * (2 * 2 * 2 * 8 * 3 * 4 + 3 * length * 8))
    sample = TokenizedSample(0, [5, 6, 7, 8], [EOS], [[token, EOS] for token in range(10, 20)])
    chosen(model, [sample], PAD)
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize("rows", [1, 2, 512])
def test_the_lowest_of_equal_candidates_wins(make_model, length, monkeypatch, rows):
    model = make_model("llama", dtype=torch.float32)
    monkeypatch.setattr(decoding, "CANDIDATE_ROWS", rows)
    (sample,) = draw_samples(11, [6], candidates=4)
    scores = plain_scores(model, length, sample)
    winner = sample.candidate_ids[scores.index(max(scores))]
    doubled = [*(c for c in sample.candidate_ids if c != winner), winner, [9, 8, 7, 6, 5, 4, EOS], list(winner)]
    tied = TokenizedSample(0, sample.prompt_ids, [EOS], doubled)
    assert chosen(CausalLM(model, length), [tied], PAD) == [3]


def test_equal_scores_of_unequal_candidates_go_to_the_lowest(make_model, length):
    model = make_model("llama")
    nn.init.zeros_(model.get_output_embeddings().weight)
    sample = TokenizedSample(0, [5, 6], [EOS], [[7, 8, EOS], [9, EOS], [4, EOS]])
    assert chosen(CausalLM(model, length), [sample], PAD) == [1]


def test_bfloat16_scores_are_summed_in_float32(make_model, length, found_scores):
    model = make_model("llama", dtype=torch.bfloat16)
    samples = draw_samples(1, [5], candidates=3)
    chosen(CausalLM(model, length), samples, PAD)
    assert all(score != float(torch.tensor(score).bfloat16()) for score in scores_of(found_scores, samples))


@pytest.mark.parametrize("family", DECODERS)
def test_greedy_equals_the_plain_loop(make_model, length, tokenizer, family, monkeypatch):
    # A tied head would mostly repeat the last token.
    model = make_model(family, dtype=DTYPES.get(family, torch.float64), tie_word_embeddings=False)
    samples = draw_samples(13, [9, 1, 4, 14], candidates=1)
    monkeypatch.setattr(tokenizer, "batch_decode", lambda rows, **_: [row[: [*row, EOS].index(EOS)] for row in rows])
    answers = decoded(CausalLM(model, length), tokenizer, samples, 8)
    assert answers == [plain_greedy(model, length, sample.prompt_ids, 8) for sample in samples]
    assert max(len(set(answer)) for answer in answers) > 1


@pytest.fixture
def counting_model(make_model):
    """A bigram model: token t is followed by t - 1, and 2 by EOS."""
    model = make_model("llama")
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    embedding = nn.init.orthogonal_(torch.empty(32, 32, dtype=torch.float64))
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()[:32] = embedding
        head = model.get_output_embeddings().weight.zero_()
        head[2:31] = embedding[3:]
        head[EOS] = embedding[2]
    return model


def test_the_probability_of_a_candidate_is_its_share_among_all(make_model, length):
    model = make_model("llama")
    samples = draw_samples(23, [6, 2, 9], candidates=4)
    doubled = [
        replace(each, candidate_ids=[*each.candidate_ids, list(each.candidate_ids[0])])
        for each in samples
        if each.candidate_ids is not None
    ]
    for given in (samples, doubled):
        found = [answer.probability for answer in best_candidates(CausalLM(model, length), given, PAD)]
        scores = [np.exp(plain_scores(model, length, sample)) for sample in samples]
        assert found == pytest.approx([each.max() / each.sum() for each in scores], rel=1e-9)


@pytest.mark.parametrize("limit", [2, 8])
def test_the_probability_of_a_text_is_the_product_of_its_tokens(counting_model, length, tokenizer, limit):
    # Rows of other lengths end before or after; what stands behind an end counts for nothing.
    samples = [TokenizedSample(i, [3, last], [EOS]) for i, last in enumerate([5, 2, 20])]
    found = greedy_decode(CausalLM(counting_model, length), tokenizer, samples, limit)
    answers = [[4, 3, 2, EOS], [EOS], [19, 18, 17, 16, 15, 14, 13, 12]]
    expected = []
    for sample, answer in zip(samples, answers, strict=True):
        ids = sample.prompt_ids + answer[:limit]
        with torch.no_grad():
            logits = counting_model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :, :length]
        probabilities = logits.softmax(-1)
        first = len(sample.prompt_ids)
        expected.append(np.prod([float(probabilities[i - 1, ids[i]]) for i in range(first, len(ids))]))
    assert [answer.probability for answer in found] == pytest.approx(expected, rel=1e-9)
    assert max(expected) < 1


def test_rows_stop_at_their_own_end(counting_model, length, tokenizer):
    samples = [TokenizedSample(i, [3, last], [EOS]) for i, last in enumerate([5, 2, 20])]
    answers = decoded(CausalLM(counting_model, length), tokenizer, samples, 6)
    assert answers == [tokenizer.decode(ids) for ids in ([4, 3, 2], [], [19, 18, 17, 16, 15, 14])]


def test_an_end_that_is_no_special_token_is_no_text(counting_model):
    ending = train_tokenizer(["the answer is in the text"] * 4, 300)
    ending.add_tokens([AddedToken("<turn>", special=False, normalized=False)])
    ending.eos_token = "<turn>"
    end, head = ending.eos_token_id, counting_model.get_output_embeddings().weight
    with torch.no_grad():
        head[[end, EOS]] = head[[EOS, end]]
    model = CausalLM(counting_model, len(ending))
    samples = [TokenizedSample(i, [3, last], [end]) for i, last in enumerate([5, 20])]
    assert decoded(model, ending, samples, 6) == [ending.decode(ids) for ids in ([4, 3, 2], [19, 18, 17, 16, 15, 14])]


def test_decoding_stops_when_all_rows_have_ended(counting_model, length, tokenizer, monkeypatch):
    model, calls = CausalLM(counting_model, length), []
    extend = model.extend

    def spy(*args):
        calls.append(args)
        return extend(*args)

    monkeypatch.setattr(model, "extend", spy)
    decoded(model, tokenizer, [TokenizedSample(0, [4], [EOS]), TokenizedSample(1, [2], [EOS])], 100)
    # 3, 2 and EOS.
    assert len(calls) == 3


def test_the_models_own_generation_settings_do_not_count(make_model, length, tokenizer):
    model = make_model("llama")
    samples = draw_samples(17, [6, 3], candidates=1)
    expected = decoded(CausalLM(model, length), tokenizer, samples, 8)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=5.0, repetition_penalty=50.0, min_new_tokens=8, num_beams=3, max_length=4
    )
    assert decoded(CausalLM(model, length), tokenizer, samples, 8) == expected


def test_a_padded_vocabulary_is_never_chosen(make_model, length, tokenizer):
    model = make_model("phi")
    expected = decoded(CausalLM(model, length), tokenizer, draw_samples(19, [4], 1), 5)
    with torch.no_grad():
        model.get_output_embeddings().bias[length:] = 1e6
    assert decoded(CausalLM(model, length), tokenizer, draw_samples(19, [4], 1), 5) == expected


def test_spaces_before_punctuation_stay(counting_model, tokenizer, monkeypatch):
    loose = tokenizer.backend_tokenizer
    ids = loose.encode(" a , b . ").ids
    steps = iter([*ids, EOS])
    model = CausalLM(counting_model, len(tokenizer))
    monkeypatch.setattr(tokenizer, "clean_up_tokenization_spaces", True)

    def head(self, hidden):
        return nn.functional.one_hot(torch.tensor([[next(steps)]]), len(tokenizer)).to(hidden.dtype)

    monkeypatch.setattr(LMHead, "__call__", head)
    assert decoded(model, tokenizer, [TokenizedSample(0, [4], [EOS])], 20) == [" a , b . "]
