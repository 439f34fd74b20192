"""The losses' settings and what they may be, without a framework: so a wrong number is said before one is loaded.

What has a name here stands for what has it in `objective`, `weighting` and `divergences`, which check by these.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from scd_lightning.config.checks import require_one_of
from scd_lightning.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


class Weighting(Protocol):
    """Gives each sample the weight of its distillation term; `needs_anchor` tells whether it reads anchor losses."""

    needs_anchor: ClassVar[bool]

    def __call__(self, anchor_loss: "Tensor | None", teacher_loss: "Tensor") -> "Tensor":
        """Weights in 0 to 1: [B], [B] -> [B]."""
        ...


class ConstantWeight:
    """The same weight for every sample.

    Args:
        weight: Weight of the distillation term, in 0 to 1.
    """

    needs_anchor: ClassVar[bool] = False

    def __init__(self, weight: float = 0.5) -> None:
        if not 0 <= weight <= 1:
            raise ConfigError(
                "The weight of the distillation loss is out of range", where="weight", got=weight, expected="0 to 1"
            )
        self.weight = weight


class AdaptiveWeight:
    """The paper's adaptive weighting, which has no setting."""

    needs_anchor: ClassVar[bool] = True


class Objective:
    """The settings of the loss.

    Args:
        divergence: Called with the temperature, it refuses that or a setting of its own.
        temperature: tau, for both sides of the divergence.
        reduction: "sample" or "token".
    """

    def __init__(self, divergence: Callable[..., Any], temperature: float = 1.0, reduction: str = "sample") -> None:
        check_reduction(reduction)
        divergence(temperature)


def forward_kl(temperature: float = 1.0) -> None:
    """Has a temperature alone, like the next two."""
    check_temperature(temperature)


def reverse_kl(temperature: float = 1.0) -> None:
    """Has a temperature alone."""
    check_temperature(temperature)


def total_variation(temperature: float = 1.0) -> None:
    """Has a temperature alone."""
    check_temperature(temperature)


def jensen_shannon(temperature: float = 1.0, *, beta: float = 0.5) -> None:
    """Has a mixture share too, like the next two."""
    check_share("beta", beta)
    check_temperature(temperature)


def skew_kl(temperature: float = 1.0, *, alpha: float = 0.1) -> None:
    """Has a mixture share too."""
    check_share("alpha", alpha)
    check_temperature(temperature)


def skew_reverse_kl(temperature: float = 1.0, *, alpha: float = 0.1) -> None:
    """Has a mixture share too."""
    check_share("alpha", alpha)
    check_temperature(temperature)


def check_reduction(reduction: str) -> None:
    """Raises a ConfigError for an unknown reduction of the loss."""
    require_one_of(("sample", "token"), what="Unknown reduction of the loss", reduction=reduction)


def check_temperature(temperature: float) -> None:
    """Raises a ConfigError for a temperature that is not above 0, or is infinite."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ConfigError(
            "The distillation temperature must be a positive number",
            where="temperature",
            got=temperature,
            expected="> 0",
        )


def check_share(name: str, share: float) -> None:
    """Raises a ConfigError for a share of a mixture that is not between 0 and 1."""
    if not 0 < share < 1:
        raise ConfigError(
            "A divergence's mixture share is out of range",
            where=name,
            got=share,
            expected="a number between 0 and 1, both excluded",
            remedy="use forward_kl or reverse_kl for the limits",
        )
