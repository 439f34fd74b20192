"""What the evidence spans: sizes, draws and tasks; and the tiny one with which everything is tried."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.evidence.grounds import Sizes

KEPT = Path(__file__).parent / "blocks"
TASKS = {"ner": "Named entity recognition", "qa": "Extractive question answering", "classification": "Classification"}


@dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        kept: Folder of the blocks' files.
        sizes: How much is drawn and trained.
        tuning: Draws on which settings are chosen, by validation alone.
        shown: Draws on which results are shown, each run once.
        few: The first of the shown ones, where only some are run.
        real: Draws of the real data sets.
        grid: Learning rates that students of the embedded pair are tried with: those of the demo's search.
        tasks: The embedded tasks.
    """

    kept: Path = KEPT
    sizes: Sizes = field(default_factory=Sizes)
    tuning: tuple[int, ...] = (100, 101, 102, 103)
    shown: tuple[int, ...] = tuple(range(10, 18))
    few: tuple[int, ...] = (10, 11, 12)
    real: tuple[int, ...] = (10, 11)
    grid: tuple[float, ...] = (4e-3, 8e-3, 1.2e-2)
    tasks: tuple[str, ...] = tuple(TASKS)


def tiny(kept: Path) -> Study:
    """A study of which a block takes seconds; its numbers are good for nothing.

    Args:
        kept: Folder of its blocks' files.
    """
    sizes = Sizes(
        train=32,
        validation=10,
        tuning=12,
        test=14,
        # As many optimizer steps as the ablations keep checkpoints.
        teacher_epochs=8,
        checkpoints=2,
        stages=2,
        stage_epochs=1,
        texts=(16, 8, 24),
        probe=8,
    )
    return Study(
        kept, sizes, tuning=(100,), shown=(10,), few=(10,), real=(10,), grid=(4e-3, 8e-3), tasks=("classification",)
    )
