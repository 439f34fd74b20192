"""What a process of run.py will end with: told by its jobs and by the sweep's callback, which only Hydra calls."""

from collections.abc import Callable
from dataclasses import dataclass

from scd_lightning.run_folder.lock import Hold
from scd_lightning.run_folder.sweep_folder import Sweep


@dataclass
class Session:
    """The state of this process between Hydra's calls.

    Attributes:
        exit_code: That of the last job that failed; Hydra itself knows success and 1 only.
        started: Whether Hydra has handed over a job: what goes wrong before is Hydra's, such as a folder that it can't
            make.
        stopped: Whether a signal has ended a job of this process, which joblib would give others.
        conclude_sweep: Set while a sweep is running: tells what its jobs found where the launcher breaks off, and
            whether that was all.
        sweep: The sweep that the running job is of.
        hold: That of the sweep's own process on its folder.
    """

    exit_code: int = 0
    started: bool = False
    stopped: bool = False
    conclude_sweep: Callable[[Exception], bool] | None = None
    sweep: Sweep | None = None
    hold: Hold | None = None

    def let_go(self) -> None:
        """Lets other sweeps have the folder of this one, which is over."""
        hold, self.hold = self.hold, None
        if hold is not None:
            hold.release()


session = Session()
