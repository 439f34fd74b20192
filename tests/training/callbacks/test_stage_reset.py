import math

import pytest

from scd_lightning.config.batch_size import SampleCount
from scd_lightning.training.callbacks.stage_reset import StageReset


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_optimizer_starts_afresh_and_stays_the_same_object(make_module, micro_batches):
    module = make_module(f"trainer.micro_batches={micro_batches}", stage_steps=12)
    trainer = module.job.trainer(max_epochs=4, callbacks=[StageReset(stage_epochs=2)])
    trainer.fit(module, datamodule=module.job.data_module(SampleCount(8)))

    # Two stages of two epochs of six steps: each weight's step count restarts, and so does the learning rate.
    assert module.ages == [{step} for step in [*range(1, 13), *range(1, 13)]]
    one = [1 / 2, 1.0] + [0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(10)]
    assert module.rates == pytest.approx([2e-3 * factor for factor in one * 2])
    assert len(trainer.optimizers) == 1
