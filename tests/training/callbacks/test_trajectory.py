import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.config.batch_size import SampleCount
from scd_lightning.errors import ConfigError
from scd_lightning.store.checkpoints import CheckpointStore
from scd_lightning.training.callbacks.trajectory import Trajectory, kept_steps


@pytest.mark.parametrize(
    ("total", "checkpoints", "expected"),
    [(8, 4, [2, 4, 6, 8]), (12, 3, [4, 8, 12]), (7, 1, [7]), (5, 5, [1, 2, 3, 4, 5]), (10, 3, [3, 7, 10])],
)
def test_kept_steps(total, checkpoints, expected):
    assert kept_steps(total, checkpoints) == expected


@given(st.integers(1, 60), st.integers(0, 2000))
def test_kept_steps_are_distinct_and_evenly_spaced(checkpoints, more):
    total = checkpoints + more
    steps = kept_steps(total, checkpoints)
    gaps = [later - earlier for earlier, later in zip([0, *steps], steps, strict=False)]
    assert len(steps) == checkpoints
    assert steps[-1] == total
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


def test_too_few_steps():
    with pytest.raises(ConfigError, match=r"teacher\.checkpoints\. Got: 4 checkpoints of 3 steps"):
        kept_steps(3, 4)


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_saves_after_exactly_these_steps(make_module, tmp_path, micro_batches):
    module = make_module(f"trainer.micro_batches={micro_batches}", stage_steps=12)
    store = CheckpointStore(tmp_path / "trajectory")
    steps = kept_steps(12, 5)
    trainer = module.job.trainer(max_epochs=2, callbacks=[Trajectory(store, steps, keep_frozen=True)])
    trainer.fit(module, datamodule=module.job.data_module(SampleCount(8)))

    assert len(module.weights) == 12
    assert [entry.step for entry in store.entries] == steps
    loaded = module.job.build(module.job.student)
    for entry in store.entries:
        store.load_into(loaded, entry.index)
        for name, parameter in loaded.named_parameters():
            assert torch.equal(parameter, module.weights[entry.step - 1][name])
