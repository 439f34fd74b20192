"""A training step never asks for the value of a tensor: on a GPU that would wait for all work queued so far."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from scd_lightning.errors import ConfigError
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


def cached_step(helpers, make_teacher, monkeypatch, weighting, divergence, reduction):
    """A distillation that its trainer has begun, and a batch of it."""
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
    plugin = SimpleNamespace(scaler=None)
    outside = SimpleNamespace(world_size=1, accumulate_grad_batches=1, precision_plugin=plugin)
    monkeypatch.setattr(module, "_trainer", outside)
    return module, next(iter(helpers.batches([1, 2])))


@pytest.mark.parametrize("reduction", ["sample", "token"])
@pytest.mark.parametrize("divergence", [forward_kl, reverse_kl, partial(skew_kl, alpha=0.1)])
@pytest.mark.parametrize("weighting", [AdaptiveWeight(), ConstantWeight(0.5)])
def test_a_cached_step_asks_for_no_value(helpers, make_teacher, monkeypatch, weighting, divergence, reduction):
    module, batch = cached_step(helpers, make_teacher, monkeypatch, weighting, divergence, reduction)
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


class Beyond:
    """Weights of the usual kind for small losses, and more than 1 for large ones."""

    needs_anchor = True

    def __call__(self, anchor_loss, teacher_loss):
        return (teacher_loss - 0.5 * anchor_loss) * 0 + 1.5


def test_weights_that_leave_their_range_end_the_training_where_it_looks(helpers, make_teacher, monkeypatch):
    module, batch = cached_step(helpers, make_teacher, monkeypatch, Beyond(), forward_kl, "sample")
    module.check_finite()
    module.training_step(batch, 0)
    with pytest.raises(ConfigError, match=r"no weight of each sample.*Beyond\. Got: 0\.5 to 1\.5"):
        module.check_finite()


def test_weights_of_another_shape_end_the_first_step(helpers, make_teacher, monkeypatch):
    module, batch = cached_step(
        helpers, make_teacher, monkeypatch, lambda anchor, teacher: teacher.mean(), forward_kl, "sample"
    )
    with pytest.raises(ConfigError, match=r"no weight of each sample.*shape \[\]"):
        module.training_step(batch, 0)
