"""What goes below the public names of Lightning and torch, in one place: look here first when one of them changes.

Tried on Lightning 2.6.6 and torch 2.13.0.
"""

import copy
from typing import Any

from lightning import Trainer
from torch.optim import Optimizer


def leave_signals_alone(trainer: Trainer) -> Trainer:
    """A trainer that installs no handlers of its own, and asks no other process about signals.

    Lightning's handler of SIGTERM talks to the other processes from within, wherever they are: it can hang all of
    them. Its handler of SLURM's signal would requeue the job a second time. And before each batch it has all processes
    tell whether a signal came, which waits for everything that the GPU still has to do.

    Args:
        trainer: A trainer that has not run yet.
    """
    trainer._signal_connector.register_signal_handlers = _nothing  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
    return trainer


def _nothing() -> None: ...


def next_is_a_batch(trainer: Trainer) -> bool:
    """Whether an epoch goes on with its next batch, and is neither validated first nor over."""
    loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
    assert fetcher is not None
    # What Lightning itself asks right after the hooks of a batch's end, before it validates or ends the epoch.
    over = loop.batch_progress.is_last_batch or trainer.should_stop or trainer.global_step == trainer.max_steps
    return not over and not loop._should_check_val_fx(fetcher)


def loops_state(trainer: Trainer) -> dict[str, Any]:
    """Lightning's counts of what a training has done, as a checkpoint that is saved now has them."""
    return copy.deepcopy(trainer._checkpoint_connector._get_loops_state_dict())


def let_lightning_unscale(optimizer: Optimizer) -> None:
    """Has gradients unscaled by Lightning: it refuses to clip those that a fused optimizer would unscale by itself."""
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def convert_micro_batches(loops: dict[str, Any], now: int, then: int) -> None:
    """Turns Lightning's counts of micro-batches into those of another number of them in a step.

    Args:
        loops: The loops' part of a checkpoint that was made between two optimizer steps; it is changed.
        now: Micro-batches of a step from now on.
        then: Those when it was made.
    """
    for counts in loops["fit_loop"]["epoch_loop.batch_progress"].values():
        if isinstance(counts, dict):
            # States are saved from a batch's last hook, after which Lightning counts it as completed.
            unfinished = counts["processed"] - counts["completed"]
            for name in ("ready", "started", "processed"):
                counts[name] = counts[name] // then * now
            counts["completed"] = counts["processed"] - unfinished
