"""The batch plan: the same samples in the same steps for any number of processes."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.data.batching import BatchPlan, PlanSampler

SETTINGS = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 40), max_size=60).map(tuple),
        "global_batch": st.integers(1, 12),
        "seed": st.integers(-3, 3),
        "epoch": st.integers(0, 3),
        "shuffle": st.booleans(),
    }
)


def make(lengths, **settings):
    return BatchPlan(lengths, tuple(1 + length % 3 for length in lengths), **settings)


@given(SETTINGS)
def test_every_sample_stands_in_one_batch(settings):
    plan = make(**settings)
    assert sorted(index for batch in plan.batches for index in batch) == list(range(len(plan.lengths)))
    sizes = Counter(len(batch) for batch in plan.batches)
    full, remainder = divmod(len(plan.lengths), plan.global_batch)
    assert sizes == Counter({plan.global_batch: full}) + Counter([remainder] if remainder else [])


@given(SETTINGS, st.integers(1, 5), st.integers(1, 4))
def test_shards_add_up_to_the_plan(settings, world_size, micro_batches):
    plan = make(**settings)
    shards = [plan.shard(rank, world_size, micro_batches) for rank in range(world_size)]
    assert {len(shard) for shard in shards} == {len(plan.batches) * micro_batches}
    for step, batch in enumerate(plan.batches):
        window = slice(step * micro_batches, (step + 1) * micro_batches)
        micro = [slots for shard in shards for slots in shard[window]]
        assert all(micro)
        slots = [slot for part in micro for slot in part]
        assert sorted(slot.index for slot in slots if slot.weight == 1) == sorted(batch)
        assert {slot.weight for slot in slots} <= {0.0, 1.0}
        assert {slot.index for slot in slots} == set(batch)
        assert {slot.window_samples for slot in slots} == {len(batch)}
        assert {slot.window_tokens for slot in slots} == {sum(plan.completion_lengths[index] for index in batch)}


@given(SETTINGS, st.integers(1, 5), st.integers(1, 4))
def test_work_is_spread_evenly_and_padded_no_more_than_needed(settings, world_size, micro_batches):
    plan = make(**settings)
    shards = [plan.shard(rank, world_size, micro_batches) for rank in range(world_size)]
    for step, batch in enumerate(plan.batches):
        window = slice(step * micro_batches, (step + 1) * micro_batches)
        real = [[sum(slot.weight for slot in slots) for slots in shard[window]] for shard in shards]
        shares = [sum(share) for share in real]
        assert max(shares) - min(shares) <= 1
        assert all(max(share) - min(share) <= 1 for share in real)
        filled = sum(count == 0 for share in real for count in share)
        padding = [slot for shard in shards for slots in shard[window] for slot in slots if slot.weight == 0]
        assert len(padding) == filled
        assert all(plan.lengths[slot.index] == min(plan.lengths[index] for index in batch) for slot in padding)


@given(SETTINGS)
def test_equal_settings_give_equal_plans(settings):
    assert make(**settings).batches == make(**settings).batches


def test_seed_and_epoch_change_the_order():
    lengths = tuple(range(1, 41))
    orders = {
        str(make(lengths, global_batch=4, seed=seed, epoch=epoch).batches) for seed in range(3) for epoch in range(3)
    }
    assert len(orders) == 9


def test_order_does_not_depend_on_the_process():
    """Hash randomisation differs from process to process, the plan may not."""
    plan = "BatchPlan((5, 3, 9, 1, 7), (1,) * 5, 2, 7, 1)"
    code = f"from scd_lightning.data.batching import BatchPlan; print({plan}.batches)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(BatchPlan((5, 3, 9, 1, 7), (1,) * 5, 2, 7, 1).batches)


def test_unshuffled_goes_from_the_longest_to_the_shortest():
    plan = make((3, 9, 3, 1, 9), global_batch=2, seed=0, epoch=5, shuffle=False)
    assert plan.batches == [[1, 4], [0, 2], [3]]


def test_buckets_save_most_padding_and_still_mix():
    lengths = tuple(10 + (37 * index) % 91 for index in range(2000))
    plan = make(lengths, global_batch=8, seed=0, epoch=0)
    padded = sum(max(lengths[index] for index in batch) * len(batch) for batch in plan.batches)
    assert padded < 1.05 * sum(lengths)
    assert padded < sum(max(lengths[start : start + 8]) * 8 for start in range(0, 2000, 8))
    first = [max(lengths[index] for index in batch) for batch in plan.batches[:50]]
    assert first not in (sorted(first), sorted(first, reverse=True))


def test_the_smaller_step_holds_any_samples():
    """It weighs its samples more, so they must not be the longest or shortest of the set by rule."""
    lengths = tuple(range(1, 22))
    remainder = [
        next(batch[0] for batch in make(lengths, global_batch=4, seed=0, epoch=epoch).batches if len(batch) == 1)
        for epoch in range(60)
    ]
    assert len(set(remainder)) > 12


@given(SETTINGS, st.integers(1, 3), st.integers(1, 3))
def test_sampler_yields_the_plans_shards(settings, world_size, micro_batches):
    plan = make(**settings)
    for rank in range(world_size):
        sampler = PlanSampler(
            list(plan.lengths),
            list(plan.completion_lengths),
            plan.global_batch,
            plan.seed,
            plan.shuffle,
            rank,
            world_size,
            micro_batches,
        )
        before = len(sampler)
        sampler.set_epoch(plan.epoch)
        assert list(sampler) == list(sampler) == plan.shard(rank, world_size, micro_batches)
        assert len(sampler) == before == len(list(sampler))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"global_batch": 0}, "^global_batch must be at least 1, got 0$"),
        ({"completion_lengths": (1,)}, "^lengths and completion_lengths must count the same samples, got 2 and 1$"),
    ],
)
def test_wrong_settings(settings, message):
    good = {"lengths": (1, 2), "completion_lengths": (1, 1), "global_batch": 1, "seed": 0, "epoch": 0}
    with pytest.raises(ValueError, match=message):
        BatchPlan(**(good | settings))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 2), "^rank must be in 0 to world_size - 1, got rank 2 of 2$"),
        ((-1, 2), "^rank must be in 0 to world_size - 1, got rank -1 of 2$"),
        ((0, 1, 0), "^micro_batches must be at least 1, got 0$"),
    ],
)
def test_wrong_shards(arguments, message):
    with pytest.raises(ValueError, match=message):
        make((1, 2), global_batch=1, seed=0, epoch=0).shard(*arguments)
