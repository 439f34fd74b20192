"""Losses of tokens with their gradients by the student's logits, in as few passes over the vocabulary as possible.

A pass over [k, V] numbers costs from a hundredth to a tenth of the LM head's product, and autograd makes a dozen.
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
        gradient: [k, V], of sum(share * loss) by the student's logits; None where no gradient is wanted.
    """

    cross_entropy: Tensor
    divergence: Tensor | None
    gradient: Tensor | None


@dataclass(frozen=True)
class Softmax:
    """Probabilities, and what is needed of their logits: one exponential for each.

    The largest probability is at least 1 / V, so that its logarithm has all its digits. Its two parts are kept apart:
    together, where a logit is 20, they lose the digits of a loss of 0.00001.

    Attributes:
        probabilities: [k, V].
        peak: [k], the largest logit.
        log_peak: [k], the logarithm of its probability; peak - log_peak is the log of the sum of exponentials.
    """

    probabilities: Tensor
    peak: Tensor
    log_peak: Tensor

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """[k], of targets [k]; the logits [k, V] are those that it was made of."""
        return (self.peak - logits.gather(1, targets[:, None]).squeeze(1)) - self.log_peak

    def rows(self, block: slice) -> "Softmax":
        """Those of some tokens."""
        return Softmax(self.probabilities[block], self.peak[block], self.log_peak[block])


def softmax(logits: Tensor) -> Softmax:
    """The softmax of logits [k, V]."""
    probabilities = torch.softmax(logits, -1)
    return Softmax(probabilities, logits.amax(-1), probabilities.amax(-1).log())


def kl(p: Softmax, q: Softmax, difference: Tensor) -> Tensor:
    """KL(p || q) [k]: where the two agree it is exactly 0, and no digit is lost near there.

    Args:
        p: Of k tokens.
        q: Of the same.
        difference: [k, V], logits of p less those of q.
    """
    mean = torch.linalg.vecdot(p.probabilities.to(difference.dtype), difference)
    return mean - ((p.peak - q.peak) - (p.log_peak - q.log_peak))


def cross_entropy_terms(logits: Tensor, targets: Tensor, share: Tensor, *, wanted: bool) -> TokenTerms:
    """Cross-entropy of gold tokens.

    Args:
        logits: [k, V], at least float32; overwritten by the gradient.
        targets: [k].
        share: [k], each token's share of the loss.
        wanted: Whether a gradient is.
    """
    q = softmax(logits)
    cross_entropy = q.cross_entropy(logits, targets)
    if not wanted:
        return TokenTerms(cross_entropy, None, None)
    gradient = torch.mul(q.probabilities, share[:, None], out=logits)
    _subtract_at(gradient, targets, share)
    return TokenTerms(cross_entropy, None, gradient)


def forward_kl_terms(
    logits: Tensor, teacher_logits: Tensor, targets: Tensor, share: Tensor, weight: Tensor, tau: float, *, wanted: bool
) -> TokenTerms:
    """(1 - w) CE + w tau^2 KL(teacher || student); the gradient of the divergence by the logits is (q - p) / tau.

    Args:
        logits: [k, V], the student's, at least float32; overwritten by the gradient.
        teacher_logits: [k, V], likewise; overwritten.
        targets: [k].
        share: [k], each token's share of the loss.
        weight: [k], w.
        tau: The temperature.
        wanted: Whether a gradient is.
    """
    gold = q = softmax(logits)
    cross_entropy = gold.cross_entropy(logits, targets)
    if tau != 1:
        logits /= tau
        teacher_logits /= tau
        q = softmax(logits)
    p = softmax(teacher_logits)
    divergence = kl(p, q, teacher_logits.sub_(logits))
    if not wanted:
        return TokenTerms(cross_entropy, divergence, None)
    # share * ((1 - w) gold + w tau (q - p)) less what falls on the target; at tau = 1, gold and q are one.
    pull = (share * weight * tau)[:, None]
    if tau == 1:
        gradient = torch.mul(q.probabilities, share[:, None], out=logits)
    else:
        gradient = torch.mul(gold.probabilities, (share * (1 - weight))[:, None], out=logits)
        gradient.addcmul_(q.probabilities, pull)
    gradient.addcmul_(p.probabilities, pull, value=-1)
    _subtract_at(gradient, targets, share * (1 - weight))
    return TokenTerms(cross_entropy, divergence, gradient)


def _subtract_at(gradient: Tensor, targets: Tensor, values: Tensor) -> None:
    gradient.scatter_add_(1, targets[:, None], -values[:, None])
