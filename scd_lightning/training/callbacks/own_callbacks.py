"""Callbacks of the user's: whether a training can have them, and what is said where one fails in its middle."""

import functools
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lightning import Callback
from lightning.pytorch import callbacks

from scd_lightning.config.definitions import defined_as
from scd_lightning.errors import ConfigError, ScdError, translated, words_of
from scd_lightning.training.callbacks.hooks import wrapped
from scd_lightning.training.memory_signs import is_about_memory

_AVERAGES = "leave it out: the weights that are kept are those that were trained, and it would have others validated"
# Those of Lightning's that a training here can't have, and the way that works.
_REFUSED: Mapping[type[Callback], str] = {
    callbacks.ProgressBar: "leave it out: on a terminal a bar of this package's is shown, and Lightning's own never",
    callbacks.GradientAccumulationScheduler: "trainer.micro_batches, and budget.global_batch and teacher.global_batch",
    callbacks.BatchSizeFinder: "budget.batch_tokens and teacher.batch_tokens, and trainer.micro_batches",
    callbacks.LearningRateFinder: "a search: hparams_search=lr",
    callbacks.WeightAveraging: _AVERAGES,
    callbacks.StochasticWeightAveraging: _AVERAGES,
    callbacks.ModelPruning: "student.keep_layers, which takes whole layers out of a pretrained model",
}
C = TypeVar("C", bound=Callback)


def check_makers(makers: Mapping[str, Any]) -> None:
    """Refuses, before anything is trained, what a training could not have as a callback.

    Args:
        makers: The job's callbacks by their names in the configuration.

    Raises:
        ConfigError: One makes no callback, fails at that, or makes one that can't work here.
    """
    for name, make in makers.items():
        where = f"callbacks.{name}"
        if isinstance(make, Callback) or not callable(make):
            raise ConfigError(
                "Every training needs a callback of its own, and so a maker of them",
                where=where,
                got=type(make).__name__,
                expected="a call (_target_: ...) with _partial_: true; null leaves it out",
            )
        with translated("A callback can't be made", where=where, kind=ConfigError):
            made = make()
        _check(made, where)


def _check(made: object, where: str) -> None:
    got = defined_as(type(made))
    if not isinstance(made, Callback):
        raise ConfigError("This is no callback", where=where, got=got, expected="a Lightning Callback")
    for kind, remedy in _REFUSED.items():
        if isinstance(made, kind):
            raise ConfigError("Trainings here can't have such a callback", where=where, got=got, remedy=remedy)


def told_where_it_fails(callback: C) -> C:
    """The callback; whatever one of its hooks raises names the callback, the hook and the line.

    Memory that does not suffice is told elsewhere, and this package's own are left alone.
    """
    return callback if defined_as(type(callback)).startswith("scd_lightning.") else wrapped(callback, _told)


def _told(hook: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(hook)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except ScdError:
            raise
        except Exception as error:
            if is_about_memory(error):
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                "A callback has failed",
                where=f"callbacks, {name}",
                got=f"{words_of(error)} ({last.filename}:{last.lineno})",
                remedy="correct it, or leave it out",
            ) from error

    return call
