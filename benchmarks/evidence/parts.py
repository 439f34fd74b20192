"""The parts of the evidence by their numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.evidence import main_part, tuning
from benchmarks.evidence.blocks import Block
from benchmarks.evidence.study import Study


@dataclass(frozen=True)
class Part:
    """A part.

    Attributes:
        title: What it is about.
        blocks: Lists its blocks, in the order in which they are run.
    """

    title: str
    blocks: Callable[[Study], Sequence[Block]]


PARTS: Mapping[int, Part] = {
    1: Part("learning rates", tuning.blocks),
    2: Part("all methods", main_part.blocks),
}
