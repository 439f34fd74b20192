"""Divergences between the teacher's and the student's next-token distributions, in nats per token.

Each takes teacher_logits [K, V] and student_logits [K, V] and returns [K]: no reduction, and no tau^2 (the objective
multiplies by it). In the formulas, p is the teacher's distribution and q the student's, both at the temperature.
All are computed from log-probabilities in at least float32. A token that one side excludes (logit -inf) is exact: it
adds nothing where its own probability is 0, and makes a plain KL infinite where only the other's is.
"""

import math

import torch
from torch import Tensor

from scd_lightning.losses.outlines import check_share, check_temperature

# Below this log ratio a mixture is computed through expm1 and log1p, which is exact at 0; above it through logaddexp.
_NEAR = 0.5


def forward_kl(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(p || q), mass-covering.

    Args:
        teacher_logits: [K, V].
        student_logits: [K, V].
        temperature: Divides both logits.

    Returns:
        [K], nats per token.

    Raises:
        ValueError: The logits are not both [K, V].
        ConfigError: The temperature is not above 0.
    """
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return _kl(log_p, log_q)


def reverse_kl(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(q || p), mode-seeking; arguments, result and errors as in `forward_kl`."""
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return _kl(log_q, log_p)


def jensen_shannon(
    teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0, *, beta: float = 0.5
) -> Tensor:
    """Beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q; at most ln 2.

    Args:
        teacher_logits: [K, V].
        student_logits: [K, V].
        temperature: Divides both logits.
        beta: The teacher's share of the mixture, between 0 and 1.

    Returns:
        [K], nats per token.

    Raises:
        ValueError: The logits are not both [K, V].
        ConfigError: The temperature is not above 0, or beta not between 0 and 1.
    """
    check_share("beta", beta)
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return beta * _kl_to_mixture(log_p, log_q, beta) + (1 - beta) * _kl_to_mixture(log_q, log_p, 1 - beta)


def skew_kl(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0, *, alpha: float = 0.1) -> Tensor:
    """KL(p || alpha p + (1 - alpha) q); at most -ln alpha.

    Args:
        teacher_logits: [K, V].
        student_logits: [K, V].
        temperature: Divides both logits.
        alpha: The teacher's share of the mixture, between 0 and 1.

    Returns:
        [K], nats per token.

    Raises:
        ValueError: The logits are not both [K, V].
        ConfigError: The temperature is not above 0, or alpha not between 0 and 1.
    """
    check_share("alpha", alpha)
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return _kl_to_mixture(log_p, log_q, alpha)


def skew_reverse_kl(
    teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0, *, alpha: float = 0.1
) -> Tensor:
    """KL(q || alpha q + (1 - alpha) p), alpha being the student's share; otherwise as `skew_kl`."""
    check_share("alpha", alpha)
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return _kl_to_mixture(log_q, log_p, alpha)


def total_variation(teacher_logits: Tensor, student_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Half the L1 distance of p and q, in 0 to 1; arguments and errors as in `forward_kl`."""
    log_p, log_q = _log_probabilities(teacher_logits, student_logits, temperature)
    return 0.5 * (log_p.exp() - log_q.exp()).abs().sum(-1)


def _log_probabilities(teacher_logits: Tensor, student_logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    if teacher_logits.ndim != 2 or teacher_logits.shape != student_logits.shape:
        raise ValueError(
            f"teacher_logits and student_logits must both be [K, V], got {list(teacher_logits.shape)} and "
            f"{list(student_logits.shape)}"
        )
    check_temperature(temperature)
    dtype = torch.promote_types(torch.promote_types(teacher_logits.dtype, student_logits.dtype), torch.float32)
    log_p = torch.log_softmax(teacher_logits.to(dtype) / temperature, dim=-1)
    log_q = torch.log_softmax(student_logits.to(dtype) / temperature, dim=-1)
    return log_p, log_q


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b): [K, V], [K, V] -> [K]."""
    a = log_a.exp()
    return (a * _log_ratio(a, log_a, log_b)).sum(-1)


def _kl_to_mixture(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """KL(a || share a + (1 - share) b): [K, V], [K, V] -> [K]."""
    a = log_a.exp()
    ratio = -_log_ratio(a, log_a, log_b)
    # log(mixture / a) = log(share + (1 - share) b / a). The first form is exact where a and b are equal and keeps its
    # digits near there; the second holds for any ratio, 0 included. The clamp keeps the unused form's gradient finite.
    near = torch.log1p((1 - share) * torch.expm1(ratio.clamp(-_NEAR, _NEAR)))
    far = torch.logaddexp(ratio.new_full((), math.log(share)), ratio + math.log1p(-share))
    return -(a * torch.where(ratio.abs() < _NEAR, near, far)).sum(-1)


def _log_ratio(a: Tensor, log_a: Tensor, log_b: Tensor) -> Tensor:
    """log(a / b) where a is above 0, and 0 elsewhere: there a's factor is 0, and the log may be inf - inf."""
    return torch.where(a > 0, log_a - log_b, torch.zeros_like(a))
