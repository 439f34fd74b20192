"""The parts of the evidence by their numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.evidence import ablations, main_part, real, texts_part, tuning, where_part
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


def _with_texts(study: Study) -> list[Block]:
    return [*texts_part.blocks(study), *real.text_blocks(study)]


PARTS: Mapping[int, Part] = {
    1: Part("learning rates", tuning.blocks),
    2: Part("all methods", main_part.blocks),
    3: Part("banking77", partial(real.blocks_of, real.BANKING77)),
    4: Part("ncbi_disease_sent", partial(real.blocks_of, real.NCBI)),
    5: Part("where it pays", where_part.blocks),
    6: Part("texts without labels", _with_texts),
    7: Part("ablations", ablations.blocks),
}
