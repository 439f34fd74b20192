"""Trainings that a callback ends before their last step, as one for early stopping does."""

from scd_lightning.errors import ConfigError
from scd_lightning.progress import say


def tell_of_end(phase: str, done: int, total: int) -> None:
    """Says where a training has ended early.

    Args:
        phase: The phase that it was.
        done: Optimizer steps that it has made.
        total: Those that it was to make.

    Raises:
        ConfigError: None was made, so that there is nothing to go on with.
    """
    if done == 0:
        raise ConfigError(
            "A callback has ended a training before its first optimizer step",
            where="callbacks",
            got=f"{phase}: 0 of {total} steps",
            remedy="leave the callback out, or have it end trainings later",
        )
    if done < total:
        say(f"  {phase}: a callback has ended the training after optimizer step {done} of {total}")
