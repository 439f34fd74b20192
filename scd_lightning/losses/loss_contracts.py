"""What a weighting and a divergence of the user's own must return: tried before anything is trained."""

from collections.abc import Callable

import torch
from torch import Tensor

from scd_lightning.config.extensions import copy_to_try, refused, require_flag, tried
from scd_lightning.losses.outlines import Weighting

_WEIGHTING, _DIVERGENCE = "method.weighting", "objective.divergence"
# The teacher is the better one, the worse one, and both know the answer by heart.
_ANCHOR_LOSSES, _TEACHER_LOSSES = (0.5, 2.0, 0.0), (1.5, 0.25, 0.0)
# Of one sample, or token, too: what squeezes its result shows there.
_SIZES = (3, 1)
_IN_UNIT = "in 0 to 1 for any losses from 0 on"


def check_weighting(weighting: Weighting) -> None:
    """Tries a weighting, on a copy, so that it has no memory of it.

    Raises:
        ConfigError: It does not say whether it needs the anchor, fails, or returns something else than weights.
    """
    require_flag(weighting, "needs_anchor", _WEIGHTING, "whether it reads the anchor's losses")
    trial = copy_to_try(weighting)
    if trial is None:
        return
    for size in _SIZES:
        anchor, teacher = torch.tensor(_ANCHOR_LOSSES[:size]), torch.tensor(_TEACHER_LOSSES[:size])
        with tried(weighting, _WEIGHTING), torch.random.fork_rng(devices=[]):
            weight = trial(anchor if weighting.needs_anchor else None, teacher)
        check_weight(weighting, weight, teacher)
        check_range(weighting, value_range(weight, torch.ones(size)))


def check_weight(weighting: Weighting, weight: object, losses: Tensor) -> None:
    """Refuses what is no tensor of a weight for each loss [B]; looks at no value, so that no device is waited for.

    Raises:
        ConfigError: It is none.
    """
    expected = f"floating-point numbers [B], here of shape {list(losses.shape)} on {losses.device}"
    if not isinstance(weight, Tensor):
        raise _no_weights(weighting, f"a {type(weight).__name__}", expected)
    if weight.shape != losses.shape or not weight.is_floating_point() or weight.device != losses.device:
        raise _no_weights(weighting, f"{weight.dtype}, shape {list(weight.shape)}, on {weight.device}", expected)


def value_range(weight: Tensor, counts: Tensor) -> Tensor:
    """[2], the least and the largest of weights [B] whose sample counts [B]; NaN where one of them is."""
    found = torch.where(counts > 0, weight.detach(), 0.5)
    return torch.stack([found.min(), found.max()])


def check_range(weighting: Weighting, values: Tensor) -> None:
    """Refuses weights that are not in 0 to 1.

    Args:
        weighting: What they are of.
        values: [2], as `value_range` gives them.

    Raises:
        ConfigError: They are not.
    """
    least, largest = values.tolist()
    if not (least >= 0 and largest <= 1):
        raise _no_weights(weighting, f"{least:.4g} to {largest:.4g}", f"numbers {_IN_UNIT}")


def check_divergence(divergence: Callable[[Tensor, Tensor, float], Tensor], temperature: float) -> None:
    """Tries a divergence; its own errors pass.

    Raises:
        ConfigError: It returns something else than a divergence for each token, or one that nothing can be learnt from.
    """
    for size in _SIZES:
        teacher = torch.linspace(-1, 1, 4).repeat(size, 1)
        student = teacher.flip(1).clone().requires_grad_()
        with torch.enable_grad():
            found: object = divergence(teacher, student, temperature)
        expected = f"floating-point numbers [K], here of shape [{size}], with a gradient by the student's logits"
        if isinstance(found, Tensor) and found.shape == (size,) and found.is_floating_point() and found.requires_grad:
            continue
        got = f"a {type(found).__name__}"
        if isinstance(found, Tensor):
            got = f"{found.dtype}, shape {list(found.shape)}{'' if found.requires_grad else ', without a gradient'}"
        what = "The divergence returns no divergence of each token"
        raise refused(what, divergence, where=_DIVERGENCE, got=got, expected=expected)


def _no_weights(weighting: Weighting, got: str, expected: str) -> Exception:
    what = "The weighting returns no weight of each sample"
    return refused(what, weighting, where=_WEIGHTING, got=got, expected=expected)
