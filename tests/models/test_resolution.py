"""The share of weights that no step moves, held against torch's own optimizers."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from scd_lightning.models.resolution import stuck_share

BF16, FP16 = torch.bfloat16, torch.float16


def left_behind(weights: torch.Tensor, rate: float, dtype: torch.dtype, steps: int) -> float:
    """The share that torch's AdamW leaves where it is, with gradients of one sign for each weight."""
    parameter = nn.Parameter(weights.to(dtype))
    start, sign = parameter.detach().clone(), torch.randn(weights.shape).sign().to(dtype)
    optimizer = AdamW([parameter], lr=rate, weight_decay=0.0)
    for _ in range(steps):
        parameter.grad = sign.clone()
        optimizer.step()
    return float((parameter.detach() == start).double().mean())


@pytest.mark.parametrize("dtype", [BF16, FP16])
@pytest.mark.parametrize("rate", [1e-6, 2e-5, 3e-4, 1e-2])
@pytest.mark.parametrize("steps", [1, 8])
def test_it_is_what_adam_leaves(dtype, rate, steps):
    torch.manual_seed(0)
    weights = torch.randn(40_001) * 0.02
    share = stuck_share([weights[:1], weights[1:].reshape(-1, 8)], rate, dtype)
    # Below a power of two the next number is nearer than above it: a few weights move one way alone.
    assert left_behind(weights, rate, dtype, steps) == pytest.approx(share, abs=0.01)


def test_by_hand():
    # Between 1 and 2, numbers of bfloat16 stand 2^-7 apart, below 1 they stand 2^-8 apart.
    weights = torch.tensor([1.5, 1.25, 0.75, 0.0])
    assert stuck_share([weights], 2.0**-8 * 0.99, BF16) == 0.5
    assert stuck_share([weights], 2.0**-8 * 1.01, BF16) == 0.0
    assert stuck_share([weights], 2.0**-9 * 0.99, BF16) == 0.75
    assert stuck_share([weights], 1e-9, torch.float32) == 0.75
    assert stuck_share([], 1.0, BF16) == 0.0


def test_a_large_tensor_is_looked_at_in_parts(monkeypatch):
    weights = torch.randn(1000) * 0.02
    whole = stuck_share([weights], 2e-5, BF16)
    monkeypatch.setattr("scd_lightning.models.resolution._CHUNK", 64)
    assert stuck_share([weights], 2e-5, BF16) == whole > 0.5
