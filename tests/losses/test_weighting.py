"""Weights against the fraction Ls / (Ls + Lt) in exact arithmetic, and at their limits."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scd_lightning.errors import ConfigError
from scd_lightning.losses.weighting import AdaptiveWeight, ConstantWeight, adaptive_weight

LOSSES = st.floats(min_value=0, max_value=1e30)
NORMAL = st.floats(min_value=1e-30, max_value=1e30)


@given(NORMAL, NORMAL)
def test_is_the_anchors_share_of_both_losses(anchor, teacher):
    found = adaptive_weight(torch.tensor([anchor], dtype=torch.float64), torch.tensor([teacher], dtype=torch.float64))
    expected = float(Fraction(anchor) / (Fraction(anchor) + Fraction(teacher)))
    assert found.item() == pytest.approx(expected, rel=1e-12)


@given(LOSSES, LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_is_inside_0_and_1_for_any_losses(dtype, anchor, teacher):
    found = adaptive_weight(torch.tensor([anchor], dtype=dtype), torch.tensor([teacher], dtype=dtype))
    assert 0 < found.item() < 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_limits(dtype):
    anchor = torch.tensor([0, 0, 1, math.inf, math.inf, 1], dtype=dtype)
    teacher = torch.tensor([0, 1, 0, math.inf, 1, math.inf], dtype=dtype)
    found = adaptive_weight(anchor, teacher)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert found[0] == found[3] == 0.5
    assert (found[[1, 5]] > 0).all()
    assert (found[[1, 5]] < 1e-30).all()
    assert (found[[2, 4]] < 1).all()
    assert (found[[2, 4]] > 1 - 1e-6).all()


def test_a_nan_loss_is_not_hidden():
    assert adaptive_weight(torch.tensor([torch.nan]), torch.tensor([1.0])).isnan().all()


def test_adaptive_weight_class_is_the_function():
    anchor, teacher = torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0])
    assert AdaptiveWeight.needs_anchor
    assert AdaptiveWeight()(anchor, teacher).tolist() == pytest.approx([0.25, 0.75])
    with pytest.raises(ValueError, match=r"^adaptive weighting needs anchor_loss \[B\], got None$"):
        AdaptiveWeight()(None, teacher)


def test_constant_weight_has_the_batchs_shape():
    assert not ConstantWeight.needs_anchor
    assert ConstantWeight(0.25)(None, torch.tensor([7.0, 0.0])).tolist() == [0.25, 0.25]


@pytest.mark.parametrize("weight", [-0.1, 1.5, math.nan])
def test_constant_weight_out_of_range(weight):
    with pytest.raises(ConfigError) as error:
        ConstantWeight(weight)
    assert str(error.value) == (
        f"The weight of the distillation loss is out of range. Where: weight. Got: {weight}. Expected: 0 to 1."
    )
