"""What the evidence is made of: runs of `run.py`, in blocks that are worked through one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scd_lightning.store.manifest import sha256_json

if TYPE_CHECKING:
    from benchmarks.evidence.rates import Rates

# Stands in overrides for the folder that `DATA=` names.
DATA = "DATA"


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: What it is called within its block.
        overrides: All that its numbers depend on, as on the command line.
    """

    name: str
    overrides: tuple[str, ...]

    def on(self, draw: int, split: str) -> "Run":
        """The run of one draw, evaluated on a split."""
        return replace(self, overrides=(f"seed={draw}", f"evaluate.split={split}", *self.overrides))


# Makes a block's runs from the rates that were chosen.
Make = Callable[["Rates"], Sequence[Run]]


@dataclass(frozen=True)
class Block:
    """The runs of one draw that are worked through together, and leave one file.

    Attributes:
        part: Number of its part.
        kind: What the part's blocks of this kind are for.
        task: The task, or the name of the real data set.
        draw: The seed, with which the data are drawn or cut.
        split: What its models are evaluated on: "validation" where settings are chosen, "test" where results are shown.
        make: Makes its runs; raises `NotChosen` where they need rates that are not chosen yet.
        data: Folder of the real data set within `DATA`; None for the embedded ones.
    """

    part: int
    kind: str
    task: str
    draw: int
    split: str
    make: Make
    data: str | None = None

    @property
    def name(self) -> str:
        """Its file's name, without folder and ending."""
        return f"{self.kind}-{self.task}-{self.draw}"

    def runs(self, rates: "Rates") -> list[Run]:
        """Its runs, each with all of its overrides.

        Args:
            rates: The learning rates that were chosen.

        Raises:
            NotChosen: One that is needed is not chosen yet.
        """
        return [run.on(self.draw, self.split) for run in self.make(rates)]


def digest(runs: Sequence[Run]) -> str:
    """Names the settings of a block: with equal ones it isn't run again."""
    return sha256_json([[run.name, list(run.overrides)] for run in runs])[:24]
