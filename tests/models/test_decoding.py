"""Answers by greedy decoding, against plain full passes over one sequence at a time."""

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from torch import nn
from transformers import GenerationConfig

from scd_lightning.batch import TokenizedSample
from scd_lightning.lm_head import LMHead
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.decoding import greedy_decode
from scd_lightning.models.tokenizers import train_tokenizer
from tests.models.choices import DECODERS, DTYPES, EOS, draw_samples


@pytest.fixture(scope="module")
def length(tokenizer):
    return len(tokenizer)


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


def decoded(*arguments):
    return [answer.value for answer in greedy_decode(*arguments)]


@pytest.mark.parametrize("family", DECODERS)
def test_greedy_equals_the_plain_loop(make_model, length, tokenizer, family, monkeypatch):
    # A tied head would mostly repeat the last token.
    model = make_model(family, dtype=DTYPES.get(family, torch.float64), tie_word_embeddings=False)
    samples = draw_samples(13, [9, 1, 4, 14], candidates=1)
    monkeypatch.setattr(tokenizer, "batch_decode", lambda rows, **_: [row[: [*row, EOS].index(EOS)] for row in rows])
    answers = decoded(CausalLM(model, length), tokenizer, samples, 8)
    assert answers == [plain_greedy(model, length, sample.prompt_ids, 8) for sample in samples]
    assert max(len(set(answer)) for answer in answers) > 1


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


def test_the_probability_of_each_line_is_the_product_of_its_tokens(counting_model, length, tokenizer, monkeypatch):
    # 18 ends a line, 15 ends two; what stands behind an end counts for nothing.
    monkeypatch.setattr(tokenizer, "decode", lambda ids: {18: "x\n", 15: "\n\n"}.get(ids[0], "x"))
    monkeypatch.setattr(tokenizer, "batch_decode", lambda rows, **_: ["" for _ in rows])
    samples = [TokenizedSample(i, [3, last], [EOS]) for i, last in enumerate([20, 5])]
    several, short = greedy_decode(CausalLM(counting_model, length), tokenizer, samples, 8)
    with torch.no_grad():
        ids = torch.tensor([[3, *range(20, 11, -1)]])
        logits = counting_model(input_ids=ids, use_cache=False).logits[0, :, :length]
    of = [float(logits[place].softmax(-1)[20 - place]) for place in range(1, 9)]
    expected = [of[0] * of[1], np.prod(of[2:5]), 1.0, np.prod(of[5:])]
    assert several.lines == pytest.approx(expected, rel=1e-6)
    # Eight tokens count down from 20 and reach no end, from 5 they do.
    assert (several.ended, short.ended) == (False, True)
    assert several.lines is not None
    assert short.lines is not None
    assert short.probability is not None
    assert np.prod(several.lines) == pytest.approx(several.probability, rel=1e-6)  # No end was reached.
    assert len(short.lines) == 1
    assert short.lines[0] > short.probability  # The end is no part of the line.


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
