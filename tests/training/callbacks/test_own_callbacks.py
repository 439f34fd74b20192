"""Callbacks of the user's: refused before anything is trained, or named where they fail."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch import callbacks

from scd_lightning.errors import ConfigError, DataError
from scd_lightning.training.callbacks.own_callbacks import check_makers, told_where_it_fails
from scd_lightning.training.callbacks.phase_progress import PhaseProgress


class Failing(Callback):
    """Raises what a test has it raise."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        if self.error is not None:
            raise self.error

    def on_train_batch_end(self, trainer: Any) -> None:  # type: ignore[override]
        """Takes less than it is given."""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (callbacks.EarlyStopping("x"), "a maker of them.*EarlyStopping.*_partial_: true"),
        ([partial(Failing)], "a maker of them.*Got: list"),
        ({"monitor": "x"}, "a maker of them.*Got: dict"),
        ("early_stopping", "a maker of them.*Got: str"),
        (callbacks.EarlyStopping, "can't be made.*monitor"),
        (partial(callbacks.Timer, duration="soon"), "can't be made.*soon"),
        (partial(callbacks.EarlyStopping, "x", mode="lowest"), "can't be made.*lowest"),
        (partial(dict, lr=1), "no callback.*dict"),
        (callbacks.TQDMProgressBar, "can't have such.*leave it out"),
        (partial(callbacks.GradientAccumulationScheduler, {0: 2}), r"can't have such.*trainer\.micro_batches"),
        (callbacks.BatchSizeFinder, r"can't have such.*budget\.batch_tokens"),
        (callbacks.LearningRateFinder, "can't have such.*hparams_search=lr"),
        (callbacks.EMAWeightAveraging, "can't have such.*weights that are kept"),
        (partial(callbacks.StochasticWeightAveraging, 0.1), "can't have such.*weights that are kept"),
        (partial(callbacks.ModelPruning, "l1_unstructured"), r"can't have such.*student\.keep_layers"),
    ],
)
def test_what_no_training_could_have_is_refused(make, said):
    with pytest.raises(ConfigError, match=rf"(?s){said}") as caught:
        check_makers({"mine": make})
    assert caught.value.where == "callbacks.mine"


def test_others_pass():
    check_makers(
        {"a": Failing, "b": partial(callbacks.EarlyStopping, "validation_loss"), "c": callbacks.RichModelSummary}
    )


@pytest.mark.parametrize("error", [ValueError("no such column"), KeyError("lr"), AssertionError()])
def test_a_failing_hook_is_named_with_its_line(error):
    with pytest.raises(ConfigError, match=r"Failing\.on_fit_start.*test_own_callbacks\.py:\d+") as caught:
        told_where_it_fails(Failing(error)).on_fit_start(None, None)
    assert caught.value.__cause__ is error


def test_so_is_one_that_takes_less_than_it_is_given():
    with pytest.raises(ConfigError, match=r"Failing\.on_train_batch_end.*positional"):
        told_where_it_fails(Failing()).on_train_batch_end(*[None] * 5)


@pytest.mark.parametrize(
    "error", [DataError("said already"), MemoryError(), torch.OutOfMemoryError(), KeyboardInterrupt()]
)
def test_what_is_told_elsewhere_passes(error):
    with pytest.raises(type(error)) as caught:
        told_where_it_fails(Failing(error)).on_fit_start(None, None)
    assert caught.value is error


def test_callbacks_of_this_package_are_left_alone():
    assert "on_train_start" not in vars(told_where_it_fails(PhaseProgress("x", 1)))
    assert "on_fit_start" in vars(told_where_it_fails(Failing()))
