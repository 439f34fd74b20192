"""The objective against its definition in numpy, and its additivity over micro-batches."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from scd_lightning.errors import ConfigError
from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses.divergences import forward_kl, jensen_shannon, reverse_kl
from scd_lightning.losses.objective import Objective, dense_loss

TOKENS_OF_ROW = [3, 1, 4, 2]
ROWS = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 3, 3])
WEIGHT = torch.tensor([0.0, 0.2, 0.7, 1.0], dtype=torch.float64)
REDUCTIONS = pytest.mark.parametrize("reduction", ["sample", "token"])
TEMPERATURES = pytest.mark.parametrize("temperature", [1.0, 3.0])


def draw(dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    teacher, student = 2 * torch.randn(2, 10, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(6, (10,), generator=generator)
    return teacher.to(dtype), student.to(dtype).requires_grad_(), targets


def run(objective, teacher, student, targets, sample_weight=None, weight=WEIGHT, rows=ROWS, **window):
    return objective(
        outputs(student),
        targets,
        rows,
        torch.ones(4) if sample_weight is None else sample_weight,
        **({"window_samples": 4, "window_tokens": 10} | window),
        teacher=None if teacher is None else outputs(teacher),
        weight=weight,
    )


def outputs(logits):
    """Outputs whose logits these are."""
    return Unprojected(logits, LMHead(torch.eye(6, dtype=logits.dtype)))


def token_terms(teacher, student, targets, temperature):
    """Cross-entropy and forward KL of each token, and their gradients by the student's logits, by hand."""
    t, s = teacher.detach().numpy(), student.detach().numpy()
    cross_entropy = -log_softmax(s, axis=-1)[range(10), targets]
    p, q = softmax(t / temperature, axis=-1), softmax(s / temperature, axis=-1)
    divergence = (p * (np.log(p) - np.log(q))).sum(-1)
    return cross_entropy, divergence, softmax(s, axis=-1) - np.eye(6)[targets], (q - p) / temperature


@REDUCTIONS
@TEMPERATURES
def test_loss_and_gradient_are_the_definitions(reduction, temperature):
    teacher, student, targets = draw()
    result = run(Objective(forward_kl, temperature, reduction), teacher, student, targets)
    result.loss.backward()
    cross_entropy, divergence, ce_gradient, kl_gradient = token_terms(teacher, student, targets, temperature)
    w = WEIGHT.numpy()[ROWS]
    share = 1 / 10 if reduction == "token" else 1 / (4 * np.array(TOKENS_OF_ROW)[ROWS])
    expected = (share * ((1 - w) * cross_entropy + w * temperature**2 * divergence)).sum()
    assert result.loss.item() == pytest.approx(expected, rel=1e-12)
    gradient = (share * (1 - w))[:, None] * ce_gradient + (share * w * temperature**2)[:, None] * kl_gradient
    np.testing.assert_allclose(student.grad, gradient, rtol=1e-10, atol=1e-15)
    dense = dense_loss(
        Objective(forward_kl, temperature, reduction),
        student,
        targets,
        ROWS,
        window_samples=4,
        window_tokens=10,
        teacher_logits=teacher,
        weight=WEIGHT,
    )
    assert dense.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(dense, student)[0], gradient, rtol=1e-10, atol=1e-15)


@TEMPERATURES
def test_sample_losses_are_means_without_the_temperatures_factor(temperature):
    teacher, student, targets = draw()
    result = run(Objective(forward_kl, temperature, "token"), teacher, student, targets)
    cross_entropy, divergence, _, _ = token_terms(teacher, student, targets, temperature)
    for found, tokens in ((result.sample_cross_entropy, cross_entropy), (result.sample_divergence, divergence)):
        assert not found.requires_grad
        np.testing.assert_allclose(found, [tokens[row == ROWS].mean() for row in range(4)], rtol=1e-12)


@REDUCTIONS
def test_gradcheck(reduction):
    teacher, student, targets = draw()
    objective = Objective(partial(jensen_shannon, beta=0.3), 2.0, reduction)
    assert torch.autograd.gradcheck(lambda s: run(objective, teacher, s, targets).loss, (student,))


@REDUCTIONS
@pytest.mark.parametrize("parts", [[[0], [1], [2], [3]], [[0, 3], [1, 2]], [[2], [3, 1, 0]], [[0, 1, 2], [3], []]])
def test_micro_batches_of_one_window_add_up(reduction, parts):
    teacher, student, targets = draw()
    objective = Objective(reverse_kl, 2.0, reduction)
    whole = run(objective, teacher, student, targets)
    (expected,) = torch.autograd.grad(whole.loss, student)
    loss, gradient = 0.0, torch.zeros_like(student)
    for part in parts:
        # A micro-batch that the plan had to fill holds one padding row, here a copy of row 0.
        chosen, real = (part, 1.0) if part else ([0], 0.0)
        tokens = torch.cat([ROWS.eq(row).nonzero().squeeze(1) for row in chosen])
        rows = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor([TOKENS_OF_ROW[row] for row in chosen]))
        micro = run(
            objective,
            teacher[tokens],
            student[tokens],
            targets[tokens],
            torch.full((len(chosen),), real),
            WEIGHT[chosen],
            rows,
        )
        loss += micro.loss.item()
        gradient += torch.autograd.grad(micro.loss, student)[0]
    assert loss == pytest.approx(whole.loss.item(), rel=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


@REDUCTIONS
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 1e30])
def test_nothing_of_a_padding_row_leaks(reduction, poison):
    teacher, student, targets = draw()
    objective = Objective(forward_kl, 2.0, reduction)
    kept = (ROWS != 2).nonzero().squeeze(1)
    window = {"window_samples": 3, "window_tokens": 6}
    real = torch.tensor([1.0, 1.0, 0.0, 1.0])
    clean = run(objective, teacher[kept], student[kept], targets[kept], real, rows=ROWS[kept], **window)
    (expected,) = torch.autograd.grad(clean.loss, student)
    with torch.no_grad():
        teacher[ROWS == 2] = poison
        student[ROWS == 2] = poison
    weight = WEIGHT.clone()
    weight[2] = torch.nan
    padded = run(objective, teacher, student, targets, real, weight, **window)
    assert padded.loss.item() == pytest.approx(clean.loss.item(), rel=1e-15)
    assert padded.sample_cross_entropy[2] == 0
    assert padded.sample_divergence is not None
    assert padded.sample_divergence[2] == 0
    torch.testing.assert_close(torch.autograd.grad(padded.loss, student)[0], expected, rtol=0, atol=0)


@REDUCTIONS
def test_all_rows_masked_give_zero_with_a_zero_gradient(reduction):
    teacher, student, targets = draw()
    result = run(Objective(forward_kl, 1.0, reduction), teacher, student, targets, torch.zeros(4))
    result.loss.backward()
    assert result.loss.item() == 0
    assert student.grad is not None
    assert student.grad.eq(0).all()


@REDUCTIONS
def test_without_a_teacher_it_is_the_mean_cross_entropy(reduction):
    teacher, student, targets = draw()
    result = run(Objective(forward_kl, 2.0, reduction), None, student, targets, weight=None)
    cross_entropy = token_terms(teacher, student, targets, 1.0)[0]
    means = [cross_entropy[row == ROWS].mean() for row in range(4)]
    assert result.loss.item() == pytest.approx(np.mean(means if reduction == "sample" else cross_entropy), rel=1e-12)
    assert result.sample_divergence is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_logits_give_a_float32_loss(dtype):
    teacher, student, targets = draw(dtype)
    loss = run(Objective(forward_kl, 2.0), teacher, student, targets, weight=WEIGHT.to(dtype)).loss
    exact = run(Objective(forward_kl, 2.0), teacher.double(), student.double(), targets, weight=WEIGHT.to(dtype)).loss
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("missing", ["teacher", "weight"])
def test_teacher_and_weight_come_together(missing):
    teacher, student, targets = draw()
    with pytest.raises(ValueError, match="^teacher and weight must be given together or not at all$"):
        run(
            Objective(forward_kl),
            None if missing == "teacher" else teacher,
            student,
            targets,
            weight=None if missing == "weight" else WEIGHT,
        )


def test_wrong_options_show_at_construction():
    with pytest.raises(
        ConfigError, match="Unknown reduction of the loss. Where: reduction. Got: mean. Expected: sample or t"
    ):
        Objective(forward_kl, reduction="mean")
    with pytest.raises(ConfigError, match="temperature must be a positive number"):
        Objective(forward_kl, temperature=0.0)
    with pytest.raises(ConfigError, match="mixture share is out of range. Where: beta. Got: 2"):
        Objective(partial(jensen_shannon, beta=2))
