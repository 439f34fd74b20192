"""Learning rates, chosen on the validation split of the tuning draws, from the files of the blocks that tried them."""

from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from benchmarks.evidence.blocks import Block, digest
from benchmarks.evidence.kept import Kept, read
from benchmarks.evidence.study import Study


class NotChosen(Exception):
    """A learning rate that is needed is not chosen yet."""


def at(method: str, rate: float) -> str:
    """Name of a run that tries a method at a rate.

    >>> at("td", 0.004)
    'td@0.004'
    """
    return f"{method}@{rate:g}"


class Rates:
    """Chooses, from the blocks that are there.

    Args:
        study: What is run.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        # A choice is asked for by every block that takes it; files don't change meanwhile, except that some come.
        self._known = lru_cache(maxsize=None)(self._read)

    def best(self, blocks: Sequence[Block], method: str, grid: Sequence[float]) -> float:
        """The rate with the highest validation metric on average over some blocks; of equal ones the lower.

        Args:
            blocks: Those that tried the method at each rate, one a draw.
            method: The method.
            grid: The rates.

        Raises:
            NotChosen: A block's file is missing or of other settings.
        """
        tried = self.tried(blocks, method, grid)
        return max(tried, key=lambda rate: fmean(tried[rate]))

    def tried(self, blocks: Sequence[Block], method: str, grid: Sequence[float]) -> dict[float, list[float]]:
        """Rate -> the validation metric of each block; arguments and errors as of `best`."""
        kept = [self._of(block) for block in blocks]
        return {rate: [each.metric(at(method, rate)) for each in kept] for rate in sorted(grid)}

    def _of(self, block: Block) -> Kept:
        kept = self._known(block)
        if kept is None:
            self._known.cache_clear()
            raise NotChosen(f"part {block.part}'s {block.name} has to be run first")
        return kept

    def _read(self, block: Block) -> Kept | None:
        kept = read(self.study.kept, block)
        return kept if kept is not None and kept.settings == digest(block.runs(self)) else None
