"""Measures of completion tokens against the same on whole logits."""

import pytest
import torch

from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses import logits
from scd_lightning.losses.divergences import forward_kl
from scd_lightning.losses.reduction import completion_cross_entropy
from scd_lightning.losses.token_scores import chunked_cross_entropy, chunked_forward_kl, chunked_scores

TOKENS, VOCAB = 37, 50


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(logits, "CHUNK_BYTES", 4 * VOCAB * 16)
    monkeypatch.setattr(logits, "CHUNK_TOKENS", 1)
    monkeypatch.setattr(logits, "CPU_BLOCK_BYTES", 4 * VOCAB * 5)


def outputs(width, dtype=torch.float64, bias=True):
    drawn = [
        torch.randn(*shape, dtype=torch.float64).to(dtype) for shape in ((TOKENS, width), (VOCAB, width), (VOCAB,))
    ]
    return Unprojected(drawn[0], LMHead(drawn[1], drawn[2] if bias else None))


@pytest.fixture
def targets():
    torch.manual_seed(3)
    return torch.randint(VOCAB, (TOKENS,))


@pytest.mark.parametrize("bias", [True, False])
def test_cross_entropy_and_argmax(targets, bias):
    model = outputs(8, bias=bias)
    targets[::3] = model.logits()[::3].argmax(-1)
    expected = completion_cross_entropy(model.logits(), targets)
    torch.testing.assert_close(chunked_cross_entropy(model, targets), expected, rtol=1e-12, atol=0)
    losses, right = chunked_scores(model, targets)
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=0)
    assert torch.equal(right, model.logits().argmax(-1) == targets)


def test_small_losses_keep_their_digits():
    """Logits of 30 in float32: the log of the sum of their exponentials has steps of 2e-6."""
    hidden = torch.tensor([[30.0]])
    weight = torch.tensor([[1.0], [0.6], [0.5]])
    exact = completion_cross_entropy(hidden.double() @ weight.double().T, torch.tensor([0]))
    found = chunked_cross_entropy(Unprojected(hidden, LMHead(weight)), torch.tensor([0]))
    assert 1e-6 < float(exact) < 1e-5
    torch.testing.assert_close(found.double(), exact, rtol=0.02, atol=0)


def test_outputs_of_two_dtypes(targets):
    teacher, student = outputs(12, torch.float64), outputs(8, torch.float32)
    expected = forward_kl(teacher.logits(), student.logits().double())
    torch.testing.assert_close(chunked_forward_kl([teacher], [student])[0, 0], expected, rtol=1e-5, atol=1e-6)
    expected = forward_kl(student.logits().double(), teacher.logits())
    found = chunked_forward_kl([student], [teacher])[0, 0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_half_precision_outputs_are_measured_in_float32(targets):
    model = outputs(8, torch.bfloat16)
    losses = chunked_cross_entropy(model, targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, completion_cross_entropy(model.logits(), targets))


def test_divergence(targets):
    teacher, student = outputs(12), outputs(8)
    expected = forward_kl(teacher.logits(), student.logits())
    found = chunked_forward_kl([teacher, student], [student, teacher])
    assert found.shape == (2, 2, TOKENS)
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[1, 1], forward_kl(student.logits(), teacher.logits()), rtol=1e-10, atol=1e-12)
    assert found[1, 0].eq(0).all()
    assert found[0, 1].eq(0).all()


def test_under_autocast_only_the_heads_product_is_in_half_precision(targets):
    teacher, student = outputs(12, torch.float32), outputs(8, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = chunked_forward_kl([teacher], [student])[0, 0]
        expected = forward_kl(teacher.logits().float(), student.logits().float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_nothing_here_has_a_gradient(targets):
    model = outputs(8)
    model.hidden.requires_grad_()
    assert not chunked_cross_entropy(model, targets).requires_grad
