"""Means over completion tokens against plain Python."""

import pytest
import torch
from scipy.special import log_softmax

from scd_lightning.losses.reduction import completion_cross_entropy, per_sample_mean


def test_mean_of_each_row_and_0_for_an_empty_one():
    values = torch.tensor([1.0, 3.0, 10.0, 2.0, 3.0, 4.0])
    rows = torch.tensor([0, 0, 1, 3, 3, 3])
    assert per_sample_mean(values, rows, 5).tolist() == [2.0, 10.0, 0.0, 3.0, 0.0]


def test_rows_in_any_order():
    assert per_sample_mean(torch.tensor([1.0, 5.0, 3.0]), torch.tensor([1, 0, 1]), 2).tolist() == [5.0, 2.0]


def test_no_tokens_at_all():
    found = per_sample_mean(torch.zeros(0), torch.zeros(0, dtype=torch.long), 2)
    assert found.tolist() == [0.0, 0.0]


def test_a_rows_nan_stays_its_own():
    found = per_sample_mean(torch.tensor([torch.nan, 2.0]), torch.tensor([0, 1]), 2)
    assert found[0].isnan()
    assert found[1] == 2


def test_gradient_is_one_over_the_count():
    values = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (per_sample_mean(values, torch.tensor([0, 0, 1]), 2) * torch.tensor([3.0, 5.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.5, 1.5, 5.0]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_cross_entropy_is_scipys(dtype, expected):
    logits = (5 * torch.randn(7, 9, generator=torch.Generator().manual_seed(0))).to(dtype)
    targets = torch.arange(7)
    found = completion_cross_entropy(logits, targets)
    assert found.dtype == expected
    oracle = -log_softmax(logits.double().numpy(), axis=-1)[range(7), range(7)]
    torch.testing.assert_close(found.double(), torch.from_numpy(oracle), rtol=1e-5, atol=1e-6)
