"""Runs a block anew, and holds what comes out against its file."""

from concurrent.futures import Executor
from dataclasses import replace

from benchmarks.evidence.blocks import Block
from benchmarks.evidence.kept import ROLES, Kept, farthest, read
from benchmarks.evidence.rates import Rates
from benchmarks.evidence.study import Study
from benchmarks.evidence.work import Places, work
from scd_lightning.errors import ConfigError, DataError


def again(study: Study, block: Block, places: Places, pool: Executor) -> tuple[float, float]:
    """How far a block's numbers are from those that come out anew.

    Args:
        study: Whose block it is.
        block: The block.
        places: Where data lie, and a folder that is not there yet, for an empty store.
        pool: Makes the runs.

    Returns:
        The largest difference of any model's metric, and of the mean losses of its samples in nats.

    Raises:
        ConfigError: The folder is there.
        DataError: The block has no file, or could not be made.
    """
    if places.build.exists():
        raise ConfigError("The store is to be empty", where="--build", got=places.build, expected="a new folder")
    kept = read(study.kept, block)
    if kept is None:
        raise DataError("There is no file to hold the block against", where=block.name)
    # Learning rates are still those of the files that are there.
    runs = block.make(Rates(study))
    elsewhere, same = replace(study, kept=places.build / "blocks"), replace(block, make=lambda _: runs)
    troubles = work(elsewhere, [same], places, pool)
    made = read(elsewhere.kept, same)
    if made is None:
        raise DataError("The block could not be made", where=block.name, got="; ".join(troubles))
    return differences(kept, made)


def differences(one: Kept, other: Kept) -> tuple[float, float]:
    """The largest difference of any model's primary metric, and of any model's mean loss, in nats.

    Args:
        one: A block's file.
        other: Another one, with the same runs.
    """
    pairs = [
        (one.model(run, role), other.model(run, role)) for run in one.runs for role in ROLES if role in one.runs[run]
    ]
    return farthest(pairs, one.content["metric"])
