"""How samples are parted into batches of a number of samples, or of tokens."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.config.batch_size import SampleCount, TokenBudget, batch_size

LENGTHS = st.lists(st.integers(1, 40), max_size=80).map(tuple)
SEED = st.none() | st.integers(0, 5)
# As of real texts: from 20 to 600 tokens, the short ones by far the more.
REAL = tuple(round(20 * 30 ** ((37 * index % 4000) / 4000)) for index in range(4000))


def draw(size, lengths, seed=0):
    return size.batches(lengths, None if seed is None else random.Random(seed))


def padded(batches, lengths):
    return sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)


@given(LENGTHS, st.integers(1, 12).map(SampleCount) | st.integers(40, 500).map(TokenBudget), SEED)
def test_every_sample_stands_in_one_batch_after_longer_ones(lengths, size, seed):
    batches = draw(size, lengths, seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert batch
        assert [lengths[i] for i in batch] == sorted((lengths[i] for i in batch), reverse=True)


@given(LENGTHS, st.integers(1, 12), SEED)
def test_a_number_of_samples(lengths, samples, seed):
    full, remainder = divmod(len(lengths), samples)
    sizes = Counter(len(batch) for batch in draw(SampleCount(samples), lengths, seed))
    assert sizes == Counter({samples: full}) + Counter([remainder] if remainder else [])


@given(LENGTHS, st.integers(40, 500), SEED)
def test_a_token_budget_is_never_exceeded(lengths, tokens, seed):
    for batch in draw(TokenBudget(tokens), lengths, seed):
        assert len(batch) * max(lengths[index] for index in batch) <= tokens


@given(st.lists(st.integers(1, 40), min_size=1, max_size=300), st.integers(40, 500))
def test_the_sizes_of_a_token_budgets_batches_are_the_same_in_every_order(lengths, tokens):
    sizes = [Counter(map(len, draw(TokenBudget(tokens), lengths, seed))) for seed in (None, 0, 1, 2)]
    assert all(each == sizes[0] for each in sizes)
    shuffled = random.Random(0).sample(lengths, len(lengths))
    assert Counter(map(len, draw(TokenBudget(tokens), shuffled))) == sizes[0]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=300), st.integers(40, 500))
def test_no_batch_of_a_token_budget_is_a_small_rest(lengths, tokens):
    """At least half as many samples as the longest ones' batches have, unless there is one batch only."""
    batches = draw(TokenBudget(tokens), lengths)
    if len(batches) > 1:
        assert min(map(len, batches)) >= tokens // max(lengths) / 2


@pytest.mark.parametrize(
    ("tokens", "most_padding", "most_steps"), [(2000, 0.03, 1.15), (4000, 0.04, 1.1), (16000, 0.08, 1.12)]
)
def test_a_token_budget_is_used(tokens, most_padding, most_steps):
    batches = draw(TokenBudget(tokens), REAL)
    assert 1 - sum(REAL) / padded(batches, REAL) < most_padding
    assert len(batches) < most_steps * sum(REAL) / tokens


def mates_met_again(size, lengths):
    """Share of a batch that is together again in the next epoch, over all samples."""
    first, second = (draw(size, lengths, epoch) for epoch in (0, 1))
    home = {index: set(batch) for batch in second for index in batch}
    shares = [
        (len(home[index] & set(batch)) - 1) / (len(batch) - 1) for batch in first if len(batch) > 1 for index in batch
    ]
    return sum(shares) / len(shares)


@pytest.mark.parametrize(
    ("size", "most"), [(SampleCount(8), 0.1), (TokenBudget(2000), 0.35), (TokenBudget(64000), 0.55)]
)
def test_batches_mix_from_epoch_to_epoch(size, most):
    assert mates_met_again(size, REAL) < most


def test_batches_come_in_random_order():
    for size in (SampleCount(8), TokenBudget(1000)):
        first = [REAL[batch[0]] for batch in draw(size, REAL)]
        assert first not in (sorted(first), sorted(first, reverse=True))


def test_unshuffled_goes_from_the_longest_to_the_shortest():
    lengths = (3, 9, 3, 1, 9)
    assert SampleCount(2).batches(lengths) == [[1, 4], [0, 2], [3]]
    assert TokenBudget(9).batches(lengths) == [[1], [4], [0, 2, 3]]


def test_buckets_save_most_padding():
    batches = draw(SampleCount(8), REAL)
    assert padded(batches, REAL) < 1.1 * sum(REAL)
    assert padded(batches, REAL) < padded([range(start, start + 8) for start in range(0, 4000, 8)], REAL)


def test_the_smaller_batch_holds_any_samples():
    """It weighs its samples more, so they must not be the longest or shortest of the set by rule."""
    lengths = tuple(range(1, 22))
    remainder = [
        next(batch[0] for batch in draw(SampleCount(4), lengths, seed) if len(batch) == 1) for seed in range(60)
    ]
    assert len(set(remainder)) > 12


@given(st.lists(st.integers(1, 40), min_size=1, max_size=80), st.integers(1, 12), st.integers(1, 6))
def test_the_heaviest_part(lengths, samples, parts):
    most = max(-(-min(samples, len(lengths) - start) // parts) * length
               for start, length in list(enumerate(sorted(lengths, reverse=True)))[::samples])  # fmt: skip
    assert SampleCount(samples).heaviest(lengths, parts) == most


def test_the_heaviest_part_of_a_token_budget():
    assert [TokenBudget(100).heaviest((50, 50, 10), parts) for parts in (1, 2, 3)] == [100, 50, 50]


def test_expected_batches():
    assert SampleCount(8).expected_batches(33, 100.0) == 5
    assert TokenBudget(1000).expected_batches(33, 100.0) == 3
    assert TokenBudget(10**6).expected_batches(33, 100.0) == 1
    for tokens in (4000, 16000):
        steps = len(draw(TokenBudget(tokens), REAL))
        assert TokenBudget(tokens).expected_batches(4000, sum(REAL) / 4000) == pytest.approx(steps, rel=0.12)


def test_what_fits():
    assert SampleCount(1).fits(10**9)
    assert [TokenBudget(5).fits(length) for length in (1, 5, 6)] == [True, True, False]
    with pytest.raises(ValueError, match=r"^A sample of 6 tokens does not fit into a batch of 5$"):
        TokenBudget(5).batches((2, 6, 1))


def test_tokens_win_over_samples():
    assert batch_size(8, None) == SampleCount(8)
    assert batch_size(8, 100) == TokenBudget(100)
    assert [str(size) for size in (SampleCount(8), TokenBudget(100))] == ["8 samples", "100 tokens"]


@pytest.mark.parametrize(("kind", "name"), [(SampleCount, "samples"), (TokenBudget, "tokens")])
def test_sizes_out_of_range(kind, name):
    with pytest.raises(ValueError, match=f"^{name} of a batch must be at least 1, got 0$"):
        kind(0)
