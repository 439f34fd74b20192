"""Sees to it that a training's numbers stay finite, without waiting for a GPU in each of its steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scd_lightning import distributed
from scd_lightning.batch import Batch
from scd_lightning.errors import NotFinite
from scd_lightning.training.data_module import EncodedData

# Samples that a message names, at most.
_NAMED = 8


@dataclass(frozen=True)
class Trouble:
    """The first optimizer step whose numbers are not finite.

    Attributes:
        step: The optimizer step, from 0.
        samples: Positions, in the training split, of its samples over all processes.
        culprits: Those of them whose own loss is not finite; empty where only the gradients are not.
    """

    step: int
    samples: list[int]
    culprits: list[int]


# A micro-batch's positions in the split, which of them are real, and their losses [B].
_Part = tuple[tuple[int, ...], tuple[bool, ...], Tensor]


@dataclass(frozen=True)
class _Step:
    number: int
    evidence: Tensor
    parts: list[_Part]


class FiniteWatch:
    """Keeps, on their device, what is needed to tell whether steps went well, until it is asked for.

    The evidence of a step is the norm of its gradients: it is not finite where any loss or gradient of any process is
    not, DDP having added them up, so that all processes come to the same conclusion without a word. Where gradients
    may overflow rightfully (float16 with a scaled loss, which leaves such a step out), it is the loss.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._steps: list[_Step] = []

    @property
    def pending(self) -> int:
        """Steps that nobody has looked at yet."""
        return len(self._steps)

    def add(self, batch: Batch, losses: Tensor) -> None:
        """Takes the losses [B] of a micro-batch."""
        self._parts.append((batch.indices, batch.real, losses))

    def close(self, step: int, norm: Tensor | None) -> None:
        """Ends an optimizer step.

        Args:
            step: Its number, from 0.
            norm: That of its gradients; None where it says nothing.
        """
        if norm is None:
            norm = torch.stack([losses.sum() for *_, losses in self._parts]).sum()
        self._steps.append(_Step(step, norm, self._parts))
        self._parts = []

    def look(self, *, shared: bool) -> Trouble | None:
        """Looks at the steps since the last time; waits for them. All processes of a job call it together.

        Args:
            shared: Whether all processes have the same evidence.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return None
        bad = ~torch.stack([step.evidence for step in steps]).isfinite()
        if not shared:
            bad = distributed.sum_over_ranks(bad.int()) > 0
        return _trouble(steps[int(bad.int().argmax())]) if bad.any() else None


def _trouble(step: _Step) -> Trouble:
    found = [
        (index, finite)
        for indices, real, losses in step.parts
        for index, is_real, finite in zip(indices, real, losses.isfinite().tolist(), strict=True)
        if is_real
    ]
    everywhere = sorted(distributed.gather_lists(found))
    return Trouble(
        step.number, [index for index, _ in everywhere], [index for index, finite in everywhere if not finite]
    )


def explain(
    trouble: Trouble, data: EncodedData, *, where: str, role: str, setting: str, rate: float, precision: str
) -> NotFinite:
    """The error that ends a training.

    Args:
        trouble: What was found.
        data: Knows the samples by name.
        where: The phase and the model.
        role: The part of the configuration that the model is of.
        setting: Where the learning rate is set.
        rate: That of the step.
        precision: The trainer's.
    """
    named = trouble.culprits or trouble.samples
    samples = [data.samples["train"][i] for i in named[:_NAMED]]
    places = [each.id if each.row is None else f"{each.id} ({each.row.where})" for each in samples]
    more = [f"and {len(named) - _NAMED} more"] if len(named) > _NAMED else []
    if trouble.culprits:
        what = "loss is no finite number"
        of = f"not finite in {len(trouble.culprits)} of its {len(trouble.samples)} samples"
    else:
        what, of = "gradients are no finite numbers", "finite losses in all of its samples"
    return NotFinite(
        f"The {what} any more, and nothing that came of it was kept",
        where=f"{where}, optimizer step {trouble.step + 1}",
        got=f"{of}: {', '.join(places + more)}",
        expected="finite numbers",
        remedy=_remedy(trouble, role, setting, rate, precision),
    )


def _remedy(trouble: Trouble, role: str, setting: str, rate: float, precision: str) -> str:
    parts = []
    if trouble.step == 0:
        parts.append(f"no step was taken yet, so look at the model's weights ({role}.path) or at these samples")
    else:
        parts.append(f"lower {setting} (the step's rate was {rate:.3g})")
        if 0 < len(trouble.culprits) < len(trouble.samples):
            parts.append("look at these samples")
    return "; ".join(parts + _of_precision(precision))


def check_validation(metrics: Mapping[str, float], of: str, *, where: str, remedy: str, precision: str) -> None:
    """Ends a run, in all of its processes, over a validation that gave no finite number.

    Args:
        metrics: What was measured, the same in all processes.
        of: The model.
        where: As in `no_finite_number`, and so the others.
        remedy: What helps, besides another precision.
        precision: The trainer's.

    Raises:
        NotFinite: One of the numbers is not finite.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            what = f"validation {name} of {of}"
            raise no_finite_number(what, where=where, got=value, remedy=remedy, precision=precision)


def no_finite_number(what: str, *, where: str, got: float, remedy: str, precision: str) -> NotFinite:
    """The error that ends a run over a number that was measured of finished weights.

    Args:
        what: What was measured.
        where: The phase or the split, and what it was measured of.
        got: The number.
        remedy: What helps, besides another precision.
        precision: The trainer's.
    """
    return NotFinite(
        f"The {what} is no finite number",
        where=where,
        got=got,
        expected="a finite number",
        remedy="; ".join([remedy, *_of_precision(precision)]),
    )


def _of_precision(precision: str) -> list[str]:
    if precision.startswith("16"):
        return ["float16 ends at 65504: take trainer.precision=bf16-mixed or 32-true"]
    return []
