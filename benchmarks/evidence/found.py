"""What the blocks have found so far, for the page: the files that are there for today's settings, and no others."""

from collections.abc import Callable, Mapping
from functools import cached_property

from benchmarks.evidence.blocks import Block
from benchmarks.evidence.contrasts import LEVEL, Contrast, contrast
from benchmarks.evidence.kept import Kept, read
from benchmarks.evidence.parts import PARTS
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.work import state

Values = dict[int, float]


class Found:
    """The blocks of a study.

    Args:
        study: What is run.

    Attributes:
        rates: The rates that were chosen.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.rates = study, Rates(study)

    @cached_property
    def states(self) -> Mapping[Block, str]:
        """Block -> what there is of it, see `work.state`; in the order of the parts."""
        return {
            block: state(self.study, block, self.rates) for part in PARTS.values() for block in part.blocks(self.study)
        }

    @cached_property
    def _kept(self) -> dict[tuple[int, str, str], dict[int, Kept]]:
        kept: dict[tuple[int, str, str], dict[int, Kept]] = {}
        for block, there in self.states.items():
            found = read(self.study.kept, block) if there == "done" else None
            if found is not None:
                kept.setdefault((block.part, block.kind, block.task), {})[block.draw] = found
        return kept

    @property
    def every(self) -> list[Kept]:
        """All files."""
        return [kept for by_draw in self._kept.values() for kept in by_draw.values()]

    def kept(self, part: int, kind: str, task: str) -> dict[int, Kept]:
        """Draw -> the file, of the blocks of one kind."""
        return self._kept.get((part, kind, task), {})

    def values(self, part: int, kind: str, task: str, run: str, role: str = "student") -> Values:
        """Draw -> the primary metric of a run's teacher, anchor or student, where it is known."""
        return self.of(part, kind, task, run, lambda kept: kept.metric(run, role))

    def of(self, part: int, kind: str, task: str, run: str, take: Callable[[Kept], float]) -> Values:
        """Draw -> anything of a run, where it is known."""
        return {draw: take(kept) for draw, kept in self.kept(part, kind, task).items() if run in kept.runs}


def without(values: Mapping[int, float], draws: tuple[int, ...]) -> Values:
    """The values without those of some draws."""
    return {draw: value for draw, value in values.items() if draw not in draws}


def gap_closed(student: Values, plain: Values, teacher: Values) -> float | None:
    """(student - plain) / (teacher - plain), of means over the draws; None where the gap is not surely positive."""
    ours, gap = contrast(student, plain), contrast(teacher, plain, LEVEL)
    return ours.mean / gap.mean if ours is not None and surely_positive(gap) and gap is not None else None


def surely_positive(gap: Contrast | None) -> bool:
    """Whether the whole interval of a difference lies above zero."""
    return gap is not None and gap.side > 0
