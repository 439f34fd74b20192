"""Losses of tokens with their gradients by the student's logits, in as few passes over the vocabulary as possible.

A pass over [k V] numbers costs about as much as a tenth of the LM head's product, and autograd makes a dozen of them.
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


def cross_entropy_terms(logits: Tensor, targets: Tensor, share: Tensor, *, wanted: bool) -> TokenTerms:
    """Cross-entropy of gold tokens.

    Args:
        logits: [k V], at least float32; overwritten.
        targets: [k].
        share: [k], each token's share of the loss.
        wanted: Whether a gradient is.
    """
    log_sum = torch.logsumexp(logits, -1)
    cross_entropy = log_sum - _at(logits, targets)
    if not wanted:
        return TokenTerms(cross_entropy, None, cross_entropy, None)
    gradient = _softmax_(logits, log_sum)
    _subtract_at(gradient, targets, torch.ones_like(share))
    return TokenTerms(cross_entropy, None, cross_entropy, gradient.mul_(share[:, None]))


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
        logits: [k V], the student's, at least float32; overwritten.
        teacher_logits: [k V], likewise.
        targets: [k].
        share: [k], each token's share of the loss.
        weight: [k], w.
        temperature: tau.
        wanted: Whether a gradient is.
    """
    gold_log_sum = torch.logsumexp(logits, -1)
    cross_entropy = gold_log_sum - _at(logits, targets)
    gold = None
    if temperature != 1:
        # Cross-entropy is at temperature 1, so it has a softmax of its own.
        gold = _softmax_(logits.clone(), gold_log_sum) if wanted else None
        logits /= temperature
        teacher_logits /= temperature
    log_sum = gold_log_sum if temperature == 1 else torch.logsumexp(logits, -1)
    teacher_log_sum = torch.logsumexp(teacher_logits, -1)
    p = torch.softmax(teacher_logits, -1)
    # Differences first: where the two agree, theirs is exactly 0, and no digit is lost near there.
    divergence = torch.linalg.vecdot(p, teacher_logits.sub_(logits)) - (teacher_log_sum - log_sum)
    loss = (1 - weight) * cross_entropy + weight * temperature**2 * divergence
    if not wanted:
        return TokenTerms(cross_entropy, divergence, loss, None)
    q = _softmax_(logits, log_sum)
    if gold is None:
        gradient = q.sub_(p.mul_(weight[:, None]))
    else:
        gradient = q.sub_(p).mul_((weight * temperature)[:, None]).addcmul_(gold, (1 - weight)[:, None])
    _subtract_at(gradient, targets, 1 - weight)
    return TokenTerms(cross_entropy, divergence, loss, gradient.mul_(share[:, None]))


def _at(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(1, targets[:, None]).squeeze(1)


def _softmax_(logits: Tensor, log_sum: Tensor) -> Tensor:
    """The softmax, in the logits' own memory."""
    return logits.sub_(log_sum[:, None]).exp_()


def _subtract_at(gradient: Tensor, targets: Tensor, values: Tensor) -> None:
    gradient.scatter_add_(1, targets[:, None], -values[:, None])
