"""Weightings and divergences of people's own: what they must return, tried before anything is trained."""

import functools

import pytest
import torch

from scd_lightning.errors import ConfigError
from scd_lightning.losses.divergences import forward_kl, jensen_shannon
from scd_lightning.losses.loss_contracts import (
    check_divergence,
    check_range,
    check_weight,
    check_weighting,
    value_range,
)
from scd_lightning.losses.weighting import AdaptiveWeight, ConstantWeight


class Own:
    """A weighting made of a function."""

    needs_anchor = True

    def __init__(self, weigh):
        self.weigh, self.calls = weigh, 0

    def __call__(self, anchor_loss, teacher_loss):
        self.calls += 1
        return self.weigh(anchor_loss, teacher_loss)


def made(weigh):
    return Own(weigh)


def better(anchor, teacher):
    return (teacher < anchor).to(teacher.dtype)


@pytest.mark.parametrize(
    "weighting", [ConstantWeight(0.3), AdaptiveWeight(), made(better)], ids=lambda w: type(w).__name__
)
def test_weightings_that_keep_to_it(weighting):
    state = torch.random.get_rng_state()
    check_weighting(weighting)
    check_weighting(made(lambda anchor, teacher: torch.rand_like(teacher)))
    check_weighting(made(lambda anchor, teacher: torch.ones_like(teacher)))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_weighting_keeps_no_memory_of_it():
    own = made(better)
    check_weighting(own)
    assert own.calls == 0


@pytest.mark.parametrize(
    ("weigh", "got"),
    [
        (lambda anchor, teacher: 0.5, "a float"),
        (lambda anchor, teacher: None, "a NoneType"),
        (lambda anchor, teacher: [0.5] * len(teacher), "a list"),
        (lambda anchor, teacher: teacher.mean(), r"torch\.float32, shape \[\]"),
        (lambda anchor, teacher: torch.stack([anchor, teacher], 1), r"shape \[3, 2\]"),
        (lambda anchor, teacher: better(anchor, teacher).squeeze(), r"shape \[\]"),
        (lambda anchor, teacher: teacher < anchor, r"torch\.bool"),
        (lambda anchor, teacher: (teacher < anchor).long(), r"torch\.int64"),
        (lambda anchor, teacher: teacher - anchor, r"-1\.75 to 1"),
        (lambda anchor, teacher: anchor / (anchor + teacher), "nan"),
        (lambda anchor, teacher: anchor / teacher, "nan|inf"),
        (lambda anchor, teacher: anchor.log(), "-inf"),
    ],
)
def test_weightings_that_do_not(weigh, got):
    with pytest.raises(ConfigError, match=f"returns no weight of each sample.*Own.* Got: .*({got})"):
        check_weighting(made(weigh))


def test_a_weighting_that_fails_is_named_with_its_line():
    def fails(anchor, teacher):
        raise RuntimeError("no anchor here")

    with pytest.raises(
        ConfigError, match=r"fails when it is tried.*Own.*no anchor here \(.*test_loss_contracts\.py:\d+\)"
    ):
        check_weighting(made(fails))


@pytest.mark.parametrize("flag", ["yes", None, 1])
def test_a_weighting_says_whether_it_needs_the_anchor(flag):
    own = made(better)
    own.needs_anchor = flag
    with pytest.raises(ConfigError, match=f"lacks needs_anchor.*Own. Got: {flag!r}. Expected: needs_anchor = True or"):
        check_weighting(own)
    del Own.needs_anchor, own.needs_anchor
    try:
        with pytest.raises(ConfigError, match="Got: none"):
            check_weighting(own)
    finally:
        Own.needs_anchor = True


def test_only_samples_that_count_are_held_to_the_range():
    weight, counts = torch.tensor([0.2, float("nan"), 7.0, 0.9]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    assert value_range(weight, counts).tolist() == pytest.approx([0.2, 0.9])
    check_range(made(better), value_range(weight, counts))
    with pytest.raises(ConfigError, match="Got: nan to nan"):
        check_range(made(better), value_range(weight, torch.ones(4)))
    check_weight(made(better), weight, counts)


def test_divergences_that_keep_to_it():
    for divergence in (forward_kl, functools.partial(jensen_shannon, beta=0.3)):
        check_divergence(divergence, 2.0)


def plain(teacher, student):
    return (teacher.softmax(-1) - student.softmax(-1)).square()


@pytest.mark.parametrize(
    ("divergence", "got"),
    [
        (lambda t, s, tau: plain(t, s).sum(), r"shape \[\]"),
        (lambda t, s, tau: plain(t, s).sum(-1).mean(), r"shape \[\]"),
        (lambda t, s, tau: plain(t, s), r"shape \[3, 4\]"),
        (lambda t, s, tau: plain(t, s).sum(-1, keepdim=True), r"shape \[3, 1\]"),
        (lambda t, s, tau: plain(t, s).sum(-1).squeeze(), r"shape \[\]"),
        (lambda t, s, tau: plain(t, s.detach()).sum(-1), "without a gradient"),
        (lambda t, s, tau: plain(t, s).sum(-1).detach().numpy(), "a ndarray"),
        (lambda t, s, tau: plain(t, s).sum(-1).tolist(), "a list"),
        (lambda t, s, tau: None, "a NoneType"),
    ],
)
def test_divergences_that_do_not(divergence, got):
    with torch.no_grad(), pytest.raises(ConfigError, match=f"no divergence of each token.*lambda.* Got: .*{got}"):
        check_divergence(divergence, 1.0)
