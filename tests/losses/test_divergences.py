"""Divergences against scipy in float64, and their gradients against formulas by hand."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from scd_lightning.errors import ConfigError
from scd_lightning.losses.divergences import (
    forward_kl,
    jensen_shannon,
    reverse_kl,
    skew_kl,
    skew_reverse_kl,
    total_variation,
)


def kl(a, b):
    return rel_entr(a, b).sum(-1)


def js_oracle(p, q, beta):
    m = beta * p + (1 - beta) * q
    return beta * kl(p, m) + (1 - beta) * kl(q, m)


# Each divergence with its value D(p, q) in numpy, and its derivative by q, both by hand.
CASES: dict[str, Any] = {
    "forward_kl": (forward_kl, kl, lambda p, q: -p / q),
    "reverse_kl": (reverse_kl, lambda p, q: kl(q, p), lambda p, q: np.log(q / p) + 1),
    "jensen_shannon": (
        jensen_shannon,
        lambda p, q: js_oracle(p, q, 0.5),
        lambda p, q: 0.5 * np.log(q / (0.5 * p + 0.5 * q)),
    ),
    "jensen_shannon_0.9": (
        partial(jensen_shannon, beta=0.9),
        lambda p, q: js_oracle(p, q, 0.9),
        lambda p, q: 0.1 * np.log(q / (0.9 * p + 0.1 * q)),
    ),
    "skew_kl": (skew_kl, lambda p, q: kl(p, 0.1 * p + 0.9 * q), lambda p, q: -0.9 * p / (0.1 * p + 0.9 * q)),
    "skew_kl_0.7": (
        partial(skew_kl, alpha=0.7),
        lambda p, q: kl(p, 0.7 * p + 0.3 * q),
        lambda p, q: -0.3 * p / (0.7 * p + 0.3 * q),
    ),
    "skew_reverse_kl": (
        skew_reverse_kl,
        lambda p, q: kl(q, 0.1 * q + 0.9 * p),
        lambda p, q: np.log(q / (0.1 * q + 0.9 * p)) + 1 - 0.1 * q / (0.1 * q + 0.9 * p),
    ),
    "total_variation": (
        total_variation,
        lambda p, q: 0.5 * np.abs(p - q).sum(-1),
        lambda p, q: 0.5 * np.sign(q - p),
    ),
}
ALL = pytest.mark.parametrize("name", CASES)
BOUNDED = {
    "jensen_shannon": math.log(2),
    "jensen_shannon_0.9": -0.9 * math.log(0.9) - 0.1 * math.log(0.1),
    "skew_kl": -math.log(0.1),
    "skew_kl_0.7": -math.log(0.7),
    "skew_reverse_kl": -math.log(0.1),
    "total_variation": 1.0,
}
PEAK = 1e4


def draw(seed=0, tokens=6, vocabulary=11, scale=3.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, tokens, vocabulary, generator=generator, dtype=torch.float64)
    return logits[0].to(dtype), logits[1].to(dtype)


def gradient(divergence, teacher, student, weight=None):
    student = student.clone().requires_grad_()
    values = divergence(teacher, student)
    (values if weight is None else weight * values).sum().backward()
    return student.grad


@ALL
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0])
def test_value_is_scipys(name, temperature, scale):
    divergence, oracle, _ = CASES[name]
    teacher, student = draw(scale=scale)
    p, q = (softmax(logits.numpy() / temperature, axis=-1) for logits in (teacher, student))
    np.testing.assert_allclose(divergence(teacher, student, temperature), oracle(p, q), rtol=1e-9, atol=1e-14)


@ALL
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_gradient_under_non_uniform_weights_is_the_formulas(name, temperature):
    divergence, _, derivative = CASES[name]
    teacher, student = draw()
    weight = torch.tensor([0.0, 0.1, 1.0, 2.5, 0.3, 7.0], dtype=torch.float64)
    p, q = (softmax(logits.numpy() / temperature, axis=-1) for logits in (teacher, student))
    by_q = derivative(p, q)
    expected = q * (by_q - (q * by_q).sum(-1, keepdims=True)) / temperature * weight.numpy()[:, None]
    found = gradient(lambda t, s: divergence(t, s, temperature), teacher, student, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)


@ALL
def test_gradcheck_by_both_sides(name):
    teacher, student = draw(tokens=3, vocabulary=5, scale=1.0)
    assert torch.autograd.gradcheck(
        lambda t, s: CASES[name][0](t, s, 2.0), (teacher.requires_grad_(), student.requires_grad_())
    )


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_distributions_have_exactly_none(name, dtype):
    teacher, _ = draw(dtype=dtype, scale=10.0)
    divergence = CASES[name][0]
    assert divergence(teacher, teacher.clone()).eq(0).all()
    assert gradient(divergence, teacher, teacher).abs().max() < 1e-3 * torch.finfo(torch.bfloat16).eps


@ALL
def test_a_shift_of_the_logits_changes_nothing(name):
    teacher, student = draw()
    divergence = CASES[name][0]
    shifted = divergence(teacher + 100, student - 50)
    torch.testing.assert_close(shifted, divergence(teacher, student), rtol=1e-9, atol=1e-12)


@ALL
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float32, torch.float32)],
)
def test_low_precision_is_computed_in_float32(name, dtype, expected):
    divergence = CASES[name][0]
    teacher, student = draw(dtype=dtype)
    found = divergence(teacher, student)
    assert found.dtype == expected
    torch.testing.assert_close(found.double(), divergence(teacher.double(), student.double()), rtol=1e-4, atol=1e-6)
    assert gradient(divergence, teacher, student).dtype == dtype


@ALL
def test_mixed_dtypes_take_the_wider(name):
    teacher, student = draw()
    assert CASES[name][0](teacher.bfloat16(), student).dtype == torch.float64
    assert CASES[name][0](teacher.float(), student.half()).dtype == torch.float32


@pytest.mark.parametrize("name", ["jensen_shannon", "jensen_shannon_0.9", "skew_kl", "skew_reverse_kl"])
def test_mixtures_keep_their_digits_near_equality(name):
    teacher, _ = draw(dtype=torch.float32)
    student = teacher + 1e-2 * draw(seed=1, dtype=torch.float32)[0]
    exact = CASES[name][0](teacher.double(), student.double())
    torch.testing.assert_close(CASES[name][0](teacher, student).double(), exact, rtol=5e-2, atol=1e-7)


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_opposite_peaks_stay_finite(name, dtype):
    divergence = CASES[name][0]
    teacher, student = torch.zeros(1, 5, dtype=dtype), torch.zeros(1, 5, dtype=dtype)
    teacher[0, 0] = student[0, 1] = PEAK
    expected = BOUNDED.get(name, float(teacher[0, 0]))
    assert divergence(teacher, student).item() == pytest.approx(expected, rel=1e-5)
    assert gradient(divergence, teacher, student).isfinite().all()


@ALL
def test_logits_excluded_on_both_sides_add_nothing(name):
    divergence = CASES[name][0]
    teacher, student = draw()
    masked = torch.full((6, 3), -torch.inf, dtype=torch.float64)
    wide_teacher, wide_student = torch.cat([teacher, masked], 1), torch.cat([student, masked], 1)
    torch.testing.assert_close(divergence(wide_teacher, wide_student), divergence(teacher, student))
    found = gradient(divergence, wide_teacher, wide_student)
    torch.testing.assert_close(found[:, :11], gradient(divergence, teacher, student))
    assert found[:, 11:].eq(0).all()


@ALL
@pytest.mark.parametrize("side", ["teacher", "student"])
def test_logits_excluded_on_one_side_are_scipys(name, side):
    divergence, oracle, _ = CASES[name]
    teacher, student = draw()
    (teacher if side == "teacher" else student)[:, 2] = -torch.inf
    expected = oracle(softmax(teacher.numpy(), axis=-1), softmax(student.numpy(), axis=-1))
    np.testing.assert_allclose(divergence(teacher, student), expected, rtol=1e-9)
    infinite = {("forward_kl", "student"), ("reverse_kl", "teacher")}
    assert np.isinf(expected).all() == ((name, side) in infinite)
    if (name, side) != ("reverse_kl", "teacher"):  # whose slope is infinite too
        assert gradient(divergence, teacher, student).isfinite().all()


def test_forward_kls_gradient_holds_where_the_student_excludes_a_token():
    teacher, student = draw()
    student[:, 2] = -torch.inf
    p, q = softmax(teacher.numpy(), axis=-1), softmax(student.numpy(), axis=-1)
    np.testing.assert_allclose(gradient(forward_kl, teacher, student)[:, 3:], (q - p)[:, 3:], rtol=1e-9)


@ALL
def test_no_tokens_give_no_values(name):
    empty = torch.zeros(0, 5)
    assert CASES[name][0](empty, empty).shape == (0,)


@ALL
@pytest.mark.parametrize(("left", "right"), [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((3,), (3,)), ((1, 2, 3), (1, 2, 3))])
def test_other_shapes_are_refused(name, left, right):
    with pytest.raises(ValueError, match="must both be") as error:
        CASES[name][0](torch.zeros(left), torch.zeros(right))
    assert str(error.value) == (
        f"teacher_logits and student_logits must both be [K, V], got {list(left)} and {list(right)}"
    )


@ALL
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_must_be_positive(name, temperature):
    with pytest.raises(ConfigError) as error:
        CASES[name][0](torch.zeros(1, 2), torch.zeros(1, 2), temperature)
    assert str(error.value) == (
        f"The distillation temperature must be a positive number. Where: temperature. Got: {temperature}. "
        "Expected: > 0."
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
@pytest.mark.parametrize(
    ("divergence", "name"), [(jensen_shannon, "beta"), (skew_kl, "alpha"), (skew_reverse_kl, "alpha")]
)
def test_a_mixtures_share_is_inside_0_and_1(divergence, name, share):
    with pytest.raises(ConfigError) as error:
        divergence(torch.zeros(1, 2), torch.zeros(1, 2), **{name: share})
    assert str(error.value) == (
        f"A divergence's mixture share is out of range. Where: {name}. Got: {share}. Expected: a number between 0 and "
        "1, both excluded. Remedy: use forward_kl or reverse_kl for the limits."
    )
