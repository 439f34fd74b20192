"""What a method is, without a framework."""

from dataclasses import dataclass
from typing import Literal

from scd_lightning.config.checks import require_one_of, require_positive
from scd_lightning.errors import ConfigError
from scd_lightning.losses.outlines import Weighting
from scd_lightning.schedules.policies import Policy
from scd_lightning.schedules.policy_contract import check_flags


@dataclass(frozen=True)
class Method:
    """How the student is distilled.

    Attributes:
        name: What tables call it.
        policy: Which checkpoint teaches in which stage; None for no distillation at all (plain fine-tuning).
        weighting: The weight of the distillation term of each sample.
        teacher: "cached" reads the teacher's signals from the store, "live" runs its weights.
        signals_dtype: What the signals' hidden states are stored in: "auto", the dtype that the teacher has them in,
            which is exact, "float32" or "bfloat16".
        pseudo_labels: Whether, with neither policy nor weighting, the student is fine-tuned on rows with labels and on
            texts without, for which the teacher's answers stand as labels.
        lr_scale: Factor on the distilled student's learning rate, beside the budget's; not on the anchor's, since a
            method's best rate need not be that of fine-tuning.
    """

    name: str
    policy: Policy | None
    weighting: Weighting | None
    teacher: Literal["cached", "live"] = "cached"
    signals_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    pseudo_labels: bool = False
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        require_positive(**{"method.lr_scale": self.lr_scale})
        what = "There is no such teacher source"
        require_one_of(("cached", "live"), what=what, **{"method.teacher": self.teacher})
        what = "Signals can't be stored in this dtype"
        require_one_of(("auto", "float32", "bfloat16"), what=what, **{"method.signals_dtype": self.signals_dtype})
        if (self.policy is None) != (self.weighting is None) or (self.pseudo_labels and self.policy is not None):
            raise ConfigError(
                "A method needs a policy and a weighting, or neither, as with pseudo_labels",
                where=f"method {self.name}",
                got=f"policy {self.policy}, weighting {self.weighting}, pseudo_labels {self.pseudo_labels}",
            )
        if self.policy is not None:
            check_flags(self.policy)

    @property
    def trains_student(self) -> bool:
        """Whether the student is another than the anchor."""
        return self.policy is not None or self.pseudo_labels

    @property
    def needs_anchor(self) -> bool:
        """Whether the weighting uses the anchor's losses."""
        return self.weighting is not None and self.weighting.needs_anchor
