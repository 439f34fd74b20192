"""Takes signals out of Lightning's hands: `preemption` handles them, and saves first."""

from lightning import Trainer


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
