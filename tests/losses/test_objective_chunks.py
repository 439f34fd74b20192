"""The objective against its definition on whole logits: values and gradients, whatever the chunks."""

from functools import partial

import pytest
import torch

from scd_lightning.lm_head import LMHead, Unprojected
from scd_lightning.losses import logits
from scd_lightning.losses.divergences import forward_kl, reverse_kl, skew_kl, total_variation
from scd_lightning.losses.objective import Objective, dense_loss
from scd_lightning.losses.reduction import completion_cross_entropy

TOKENS, WIDTH, TEACHER_WIDTH, VOCAB, SAMPLES = 37, 8, 12, 50, 6
REAL = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Three chunks of four blocks, the last of each cut short."""
    monkeypatch.setattr(logits, "CHUNK_BYTES", 4 * VOCAB * 16)
    monkeypatch.setattr(logits, "CHUNK_TOKENS", 1)
    monkeypatch.setattr(logits, "CPU_BLOCK_BYTES", 4 * VOCAB * 5)


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


@pytest.fixture
def case():
    torch.manual_seed(5)
    return {
        "student": [draw(TOKENS, WIDTH).requires_grad_(), draw(VOCAB, WIDTH).requires_grad_(), draw(VOCAB)],
        "teacher": Unprojected(draw(TOKENS, TEACHER_WIDTH), LMHead(draw(VOCAB, TEACHER_WIDTH))),
        "targets": torch.randint(VOCAB, (TOKENS,)),
        "rows": torch.randint(SAMPLES, (TOKENS,)).sort().values,
        "weight": torch.rand(SAMPLES, dtype=torch.float64),
    }


def by_chunks(case, objective, *, teacher=True):
    hidden, weight, bias = case["student"]
    more = {"teacher": case["teacher"], "weight": case["weight"]} if teacher else {}
    return objective(
        Unprojected(hidden, LMHead(weight, bias)),
        case["targets"],
        case["rows"],
        REAL,
        window_samples=4,
        window_tokens=30,
        **more,
    )


def dense(case, objective, *, teacher=True):
    """The definition, without the padding rows."""
    hidden, weight, bias = case["student"]
    kept = (REAL > 0)[case["rows"]].nonzero().squeeze(1)
    more = {"teacher_logits": case["teacher"].logits()[kept], "weight": case["weight"]} if teacher else {}
    return dense_loss(
        objective,
        (hidden @ weight.T + bias)[kept],
        case["targets"][kept],
        case["rows"][kept],
        window_samples=4,
        window_tokens=30,
        **more,
    )


@pytest.mark.parametrize("teacher", [True, False])
@pytest.mark.parametrize("reduction", ["sample", "token"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("divergence", [forward_kl, reverse_kl, partial(skew_kl, alpha=0.2), total_variation])
def test_values_and_gradients_are_the_dense_ones(case, divergence, temperature, reduction, teacher):
    case["student"][2].requires_grad_()
    objective = Objective(divergence, temperature, reduction)
    result, expected = by_chunks(case, objective, teacher=teacher), dense(case, objective, teacher=teacher)
    assert result.loss.item() == pytest.approx(expected.item(), rel=1e-12)
    # Not 1 only: gradient accumulation and loss scalers multiply.
    found = torch.autograd.grad(1.7 * result.loss, case["student"])
    for got, wanted in zip(found, torch.autograd.grad(1.7 * expected, case["student"]), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-13)


def test_a_frozen_head_gets_no_gradient(case):
    case["student"][1].requires_grad_(False)
    by_chunks(case, Objective(forward_kl)).loss.backward()
    assert case["student"][1].grad is None
    assert case["student"][0].grad.abs().sum() > 0


def test_no_more_than_a_chunk_of_logits_exists(case, monkeypatch):
    sizes, memory = [], set()
    project = logits.ChunkedLogits.project

    def recorded(self, chunk):
        projected = project(self, chunk)
        sizes.append(len(projected))
        memory.add(projected.data_ptr())
        return projected

    monkeypatch.setattr(logits.ChunkedLogits, "project", recorded)
    by_chunks(case, Objective(forward_kl)).loss.backward()
    assert sizes == [16, 16, 16, 16, 5, 5]
    assert len(memory) == 2, "one buffer for the student, one for the teacher"


@pytest.mark.parametrize("constant", ["CHUNK_BYTES", "CPU_BLOCK_BYTES"])
def test_neither_chunks_nor_blocks_change_the_numbers(case, monkeypatch, constant):
    expected = torch.autograd.grad(by_chunks(case, Objective(forward_kl)).loss, case["student"][:2])
    monkeypatch.setattr(logits, constant, 2**20)
    found = torch.autograd.grad(by_chunks(case, Objective(forward_kl)).loss, case["student"][:2])
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-15)


def test_the_divergence_of_equal_outputs_is_exactly_zero(case):
    hidden, weight, _ = case["student"]
    case["student"][2] = None
    case["teacher"] = Unprojected(hidden.detach(), LMHead(weight.detach()))
    result = by_chunks(case, Objective(forward_kl))
    assert result.sample_divergence is not None
    assert result.sample_divergence.eq(0).all()


def test_under_autocast_gradients_have_their_parameters_dtype(case):
    case["student"] = [each.detach().float().requires_grad_() for each in case["student"]]
    case["teacher"] = case["teacher"].to(torch.float32)
    exact = by_chunks(case, Objective(forward_kl)).loss
    expected = torch.autograd.grad(exact, case["student"])
    with torch.autocast("cpu", torch.bfloat16):
        loss = by_chunks(case, Objective(forward_kl)).loss
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    for got, wanted in zip(torch.autograd.grad(loss, case["student"]), expected, strict=True):
        assert got.dtype == torch.float32
        assert (got - wanted).norm() < 0.03 * wanted.norm()


def test_without_gradients_none_are_formed(case):
    with torch.no_grad():
        loss = by_chunks(case, Objective(forward_kl)).loss
    assert not loss.requires_grad


@pytest.mark.parametrize("teacher", [True, False])
def test_a_batch_of_padding_alone_has_no_loss_and_no_gradient(case, teacher):
    case["student"][0].data.fill_(float("nan"))
    hidden, weight, bias = case["student"]
    more = {"teacher": case["teacher"], "weight": case["weight"]} if teacher else {}
    result = Objective(forward_kl)(
        Unprojected(hidden, LMHead(weight, bias)),
        case["targets"],
        case["rows"],
        torch.zeros(SAMPLES),
        window_samples=4,
        window_tokens=30,
        **more,
    )
    assert result.loss.item() == 0
    for gradient in torch.autograd.grad(result.loss, [hidden, weight]):
        assert gradient.eq(0).all()


def test_extreme_logits_lose_no_digit(case):
    """A nearly certain token, and one whose probability is far below the smallest float32."""
    hidden = torch.tensor([[30.0], [30.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [0.0], [-6.0]], requires_grad=True)
    targets, rows = torch.tensor([0, 2]), torch.tensor([0, 1])
    result = Objective(forward_kl)(
        Unprojected(hidden, LMHead(weight)), targets, rows, torch.ones(2), window_samples=2, window_tokens=2
    )
    exact = completion_cross_entropy(hidden.double() @ weight.double().T, targets)
    torch.testing.assert_close(result.sample_cross_entropy.double(), exact, rtol=1e-6, atol=1e-7)
    for gradient in torch.autograd.grad(result.loss, [hidden, weight]):
        assert gradient.isfinite().all()
