"""How sure a mean difference of two models is, over seeds that were run and the test samples that were scored."""

from collections.abc import Hashable, Sequence
from math import sqrt
from statistics import fmean, variance

import numpy as np

from scd_lightning.analysis.bootstrap import LEVEL, Interval, Scores, central_range
from scd_lightning.analysis.comparison.student_t import two_sided_quantile
from scd_lightning.tasks.measures import Floats

# Standard errors of a normal distribution that hold `LEVEL` of it.
_NORMAL = 1.959964


def paired_interval(ours: Sequence[Scores], theirs: Sequence[Scores], tests: Sequence[Hashable]) -> Interval:
    """The mean difference over seeds, with a t interval that holds the chance of seeds and of test samples.

    The spread s of the K differences has in it whatever is drawn anew with each seed: s^2 / K is the variance of their
    mean where each seed has test samples of its own. Where seeds share them, one lucky set of samples lifts all of
    them, and s shows nothing of it: what two seeds' differences share when the samples are resampled, their
    covariance, is then a second part of the variance. Each part has a half-width of its own, Student's with K - 1
    degrees of freedom for the first and the normal one for the second, which knows many samples; the interval's is the
    root of the sum of their squares. It covers 95 % with either part alone, and never less with both.

    With one seed there is no spread: the interval is that of a bootstrap over its test samples.

    Args:
        ours: A model's scores, one element a seed, K of them.
        theirs: Those of the model it is compared with, for the same seeds and samples in the same order.
        tests: What names each seed's test samples; equal names are equal samples.

    Raises:
        ValueError: The scores are not of the same seeds and samples, or there are none.
    """
    samples = _check(ours, theirs, tests)
    pairs = list(zip(ours, theirs, strict=True))
    by_seed = [a.value - b.value for a, b in pairs]
    value = fmean(by_seed)
    if len(pairs) == 1:
        low, high = central_range(pairs[0][0].resampled - pairs[0][1].resampled)
    else:
        own = two_sided_quantile(LEVEL, len(pairs) - 1) * sqrt(variance(by_seed) / len(pairs))
        half = sqrt(own**2 + _NORMAL**2 * _shared_variance(pairs, tests))
        low, high = value - half, value + half
    return Interval(value, low, high, LEVEL, len(pairs), samples, by_seed)


def _shared_variance(pairs: Sequence[tuple[Scores, Scores]], tests: Sequence[Hashable]) -> float:
    """The mean covariance of two seeds' differences under draws of the test samples; 0 for samples of their own."""
    same = np.array([[one == other for other in tests] for one in tests]) & ~np.eye(len(tests), dtype=bool)
    if not same.any():
        return 0.0
    resampled: Floats = np.stack([a.resampled - b.resampled for a, b in pairs])
    covariance = np.cov(resampled)
    return max(0.0, float(covariance[same].sum()) / (len(pairs) * (len(pairs) - 1)))


def _check(ours: Sequence[Scores], theirs: Sequence[Scores], tests: Sequence[Hashable]) -> int:
    """The number of test samples, each counted once."""
    sizes = [[scores.samples for scores in side] for side in (ours, theirs)]
    if sizes[0] != sizes[1] or len(tests) != len(ours) or not ours or 0 in sizes[0]:
        raise ValueError(
            f"scores must be of the same seeds and S > 0 samples, got samples {sizes[0]} and {sizes[1]} "
            f"for {len(tests)} seeds"
        )
    return sum(dict(zip(tests, sizes[0], strict=True)).values())
