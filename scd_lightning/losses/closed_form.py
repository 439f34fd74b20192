"""Losses of tokens with their gradients by the student's logits, in as few passes over the vocabulary as possible.

A pass over [k V] numbers costs from a hundredth to a tenth of the LM head's product, and autograd makes a dozen.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenTerms:
    """What k tokens contribute.

    Attributes:
        cross_entropy: [k], detached.
        divergence: [k], detached, without tau^2; None without a teacher.
        loss: [k], each token's (1 - w) CE + w tau^2 D, detached.
        gradient: [k V], of sum(share * loss) by the student's logits; None where no gradient is wanted.
    """

    cross_entropy: Tensor
    divergence: Tensor | None
    loss: Tensor
    gradient: Tensor | None


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities [k V] and the log of the sum of exponentials [k], with one exponential for each logit."""
    probabilities = torch.softmax(logits, -1)
    # The largest probability is at least 1 / V: its logarithm has all its digits.
    return probabilities, logits.amax(-1) - probabilities.amax(-1).log()


def cross_entropy_terms(logits: Tensor, targets: Tensor, share: Tensor, *, wanted: bool) -> TokenTerms:
    """Cross-entropy of gold tokens.

    Args:
        logits: [k V], at least float32; overwritten by the gradient.
        targets: [k].
        share: [k], each token's share of the loss.
        wanted: Whether a gradient is.
    """
    q, log_sum = softmax(logits)
    cross_entropy = log_sum - _at(logits, targets)
    if not wanted:
        return TokenTerms(cross_entropy, None, cross_entropy, None)
    gradient = torch.mul(q, share[:, None], out=logits)
    _subtract_at(gradient, targets, share)
    return TokenTerms(cross_entropy, None, cross_entropy, gradient)


def forward_kl_terms(
    logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    share: Tensor,
    weight: Tensor,
    temperature: float,
    *,
    wanted: bool,
) -> TokenTerms:
    """(1 - w) CE + w tau^2 KL(teacher || student); the gradient of the divergence by the logits is (q - p) / tau.

    Args:
        logits: [k V], the student's, at least float32; overwritten by the gradient.
        teacher_logits: [k V], likewise; overwritten.
        targets: [k].
        share: [k], each token's share of the loss.
        weight: [k], w.
        temperature: tau.
        wanted: Whether a gradient is.
    """
    gold, log_sum = softmax(logits)
    cross_entropy = log_sum - _at(logits, targets)
    if temperature == 1:
        q = gold
    else:
        logits /= temperature
        teacher_logits /= temperature
        q, log_sum = softmax(logits)
    p, divergence = forward_kl_of(teacher_logits, logits, log_sum)
    loss = (1 - weight) * cross_entropy + weight * temperature**2 * divergence
    if not wanted:
        return TokenTerms(cross_entropy, divergence, loss, None)
    # share * ((1 - w) gold + w tau (q - p)) less what falls on the target; at tau = 1, gold and q are one.
    pull = (share * weight * temperature)[:, None]
    if temperature == 1:
        gradient = torch.mul(q, share[:, None], out=logits)
    else:
        gradient = torch.mul(gold, (share * (1 - weight))[:, None], out=logits).addcmul_(q, pull)
    gradient.addcmul_(p, pull, value=-1)
    _subtract_at(gradient, targets, share * (1 - weight))
    return TokenTerms(cross_entropy, divergence, loss, gradient)


def forward_kl_of(teacher_logits: Tensor, logits: Tensor, log_sum: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's probabilities [k V] and KL(teacher || student) [k].

    Args:
        teacher_logits: [k V], overwritten.
        logits: [k V], the student's.
        log_sum: [k], the log of the sum of their exponentials.
    """
    p, teacher_log_sum = softmax(teacher_logits)
    # Differences first: where the two agree, theirs is exactly 0, and no digit is lost near there.
    return p, torch.linalg.vecdot(p, teacher_logits.sub_(logits)) - (teacher_log_sum - log_sum)


def _at(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(1, targets[:, None]).squeeze(1)


def _subtract_at(gradient: Tensor, targets: Tensor, values: Tensor) -> None:
    gradient.scatter_add_(1, targets[:, None], -values[:, None])
