"""A training step never asks for the value of a tensor: on a GPU that would wait for all work queued so far."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from scd_lightning.losses.divergences import forward_kl, reverse_kl, skew_kl
from scd_lightning.losses.objective import Objective
from scd_lightning.losses.weighting import AdaptiveWeight, ConstantWeight
from scd_lightning.teachers.cached import CachedSource
from scd_lightning.teachers.signals import SignalStore
from scd_lightning.training.distillation import Distillation

ASKING = (
    "item",
    "tolist",
    "cpu",
    "numpy",
    "nonzero",
    "masked_select",
    "new_tensor",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
)


@pytest.mark.parametrize("reduction", ["sample", "token"])
@pytest.mark.parametrize("divergence", [forward_kl, reverse_kl, partial(skew_kl, alpha=0.1)])
@pytest.mark.parametrize("weighting", [AdaptiveWeight(), ConstantWeight(0.5)])
def test_a_cached_step_asks_for_no_value(helpers, make_teacher, monkeypatch, weighting, divergence, reduction):
    made = make_teacher()
    source = CachedSource(
        made.store, SignalStore(made.root, "32"), helpers.sample_set(), made.live, torch.device("cpu")
    )
    source.load(0)
    module = Distillation(
        source,
        weighting,
        torch.ones(11),
        torch.zeros(3),
        model=helpers.make_model(seed=5),
        spec=None,
        data=SimpleNamespace(task=SimpleNamespace(validation="teacher_forced"), samples={"validation": [None] * 3}),
        tokenizer=None,
        objective=Objective(divergence, 1.0, reduction),
        stage_steps=1,
    )
    module.eval()  # without dropout, so that two steps are equal
    monkeypatch.setattr(module, "_trainer", SimpleNamespace(world_size=1, accumulate_grad_batches=1))
    batch = next(iter(helpers.batches([1, 2])))
    expected = module.training_step(batch, 0)
    # transformers' own code looks at positions once a pass.
    outputs = module.lm.outputs(batch)
    monkeypatch.setattr(module.lm, "outputs", lambda _: outputs)

    refuse_to_answer(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="by item"):
        expected.item()
    with pytest.raises(pytest.fail.Exception, match="by a mask"):
        expected.new_ones(2)[torch.ones(2, dtype=torch.bool)]
    loss = module.training_step(batch, 1)
    monkeypatch.undo()
    torch.testing.assert_close(loss, expected)


def refuse_to_answer(monkeypatch):
    def refuse(name):
        return lambda *_, **__: pytest.fail(f"a step asks for a value by {name}")

    for name in ASKING:
        monkeypatch.setattr(torch.Tensor, name, refuse(name))
    take = torch.Tensor.__getitem__

    def taken(tensor, places):
        every = places if isinstance(places, tuple) else (places,)
        if any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in every):
            refuse("a mask")()
        return take(tensor, places)

    monkeypatch.setattr(torch.Tensor, "__getitem__", taken)
