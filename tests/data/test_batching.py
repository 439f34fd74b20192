"""The batch plan: the same samples in the same steps for any number of processes."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.config.batch_size import SampleCount, TokenBudget
from scd_lightning.data.batching import BatchPlan, PlanSampler

SETTINGS = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 40), max_size=60).map(tuple),
        "size": st.integers(1, 12).map(SampleCount) | st.integers(40, 400).map(TokenBudget),
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


@pytest.mark.parametrize("size", [SampleCount(4), TokenBudget(80)])
def test_seed_and_epoch_change_the_order(size):
    lengths = tuple(range(1, 41))
    orders = {str(make(lengths, size=size, seed=seed, epoch=epoch).batches) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@given(SETTINGS)
def test_every_epoch_has_as_many_steps(settings):
    counts = {len(make(**settings | {"epoch": epoch, "seed": epoch % 2}).batches) for epoch in range(6)}
    assert counts == {PlanSampler(make(**settings)).steps}


@pytest.mark.parametrize("size", [SampleCount(2), TokenBudget(9)])
def test_order_does_not_depend_on_the_process(size):
    """Hash randomisation differs from process to process, the plan may not."""
    plan = f"BatchPlan((5, 3, 9, 1, 7), (1,) * 5, {size!r}, 7, 1)"
    imports = "from scd_lightning.config.batch_size import *; from scd_lightning.data.batching import *"
    code = f"{imports}; print({plan}.batches)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(BatchPlan((5, 3, 9, 1, 7), (1,) * 5, size, 7, 1).batches)


@given(SETTINGS, st.integers(1, 5), st.integers(1, 4))
def test_padded_tokens_are_those_of_all_batches_that_are_made(settings, world_size, micro_batches):
    plan = make(**settings)
    micro = [slots for rank in range(world_size) for slots in plan.shard(rank, world_size, micro_batches)]
    widths = [[plan.lengths[slot.index] for slot in slots] for slots in micro]
    assert plan.padded_tokens(world_size, micro_batches) == sum(len(each) * max(each) for each in widths)
    assert plan.padded_tokens(1) >= sum(plan.lengths)


@given(SETTINGS, st.integers(1, 3), st.integers(1, 3))
def test_sampler_yields_the_plans_shards(settings, world_size, micro_batches):
    plan = make(**settings)
    for rank in range(world_size):
        sampler = PlanSampler(replace(plan, epoch=0), rank, world_size, micro_batches)
        before = len(sampler)
        sampler.set_epoch(plan.epoch)
        assert list(sampler) == list(sampler) == plan.shard(rank, world_size, micro_batches)
        assert len(sampler) == before == len(list(sampler))


def test_lengths_of_other_samples():
    with pytest.raises(ValueError, match="^lengths and completion_lengths must count the same samples, got 2 and 1$"):
        BatchPlan((1, 2), (1,), SampleCount(1), seed=0, epoch=0)


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
        make((1, 2), size=SampleCount(1), seed=0, epoch=0).shard(*arguments)
