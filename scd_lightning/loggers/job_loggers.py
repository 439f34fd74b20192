"""What the pipeline knows of loggers: one of Lightning's for each phase, and one for the job around them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.loggers import Logger

Row = Sequence[str | float | bool | None]


@dataclass(frozen=True)
class JobInfo:
    """What loggers say about a job.

    Attributes:
        name: Of this job among those that it is compared with.
        group: The comparison that it belongs to.
        method: Its method.
        settings: Its resolved configuration, nested, without secrets.
        leads: Whether this process reports on the job; not so in the processes that it starts for further devices.
        swept: Whether it is one of a sweep's jobs; known to the process that leads alone.
    """

    name: str
    group: str
    method: str
    settings: Mapping[str, Any]
    leads: bool = True
    swept: bool = False


class PhaseLogger(Logger, ABC):
    """The logger of one phase, which also takes histograms."""

    @abstractmethod
    def log_histogram(self, name: str, counts: Sequence[int], step: int) -> None:
        """Logs counts in equal bins of [0, 1]."""

    def goes_on(self) -> None:  # noqa: B027 - not all have something to say
        """Takes it that the phase is a training that was stopped, and that its first part was logged by another job."""


class JobLogger(ABC):
    """Logs one job: called with a `name`, it makes the logger of that phase; the rest is about the job."""

    @abstractmethod
    def __call__(self, name: str) -> PhaseLogger:
        """The logger of a phase."""

    @abstractmethod
    def begin(self, info: JobInfo) -> None:
        """Takes what is known of the job. Nothing needs to be opened before there is something to log."""

    @abstractmethod
    def results(self, values: Mapping[str, float], verdict: str) -> None:
        """Logs the job's final values, and what they mean in a sentence."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:  # noqa: B027 - not all have one
        """Logs a table, where the logger has a place for tables."""

    def finish(self, *, failed: bool) -> None:  # noqa: B027 - not all have to
        """Closes what the phases have left open, with the job's outcome."""


class JobLoggers:
    """Those of a job's loggers that take more than Lightning's; nothing else needs to know which there are.

    Args:
        makers: The job's loggers: `JobLogger`s, and plain makers of Lightning loggers, which only get scalars.
    """

    def __init__(self, makers: Sequence[Callable[..., Logger]]) -> None:
        self._loggers = [make for make in makers if isinstance(make, JobLogger)]

    @contextmanager
    def open(self, info: JobInfo) -> Iterator["JobLoggers"]:
        """Logs what the block does as one job, which ends with the block's outcome."""
        for logger in self._loggers:
            logger.begin(info)
        failed = True
        try:
            yield self
            failed = False
        finally:
            for logger in self._loggers:
                logger.finish(failed=failed)

    def results(self, values: Mapping[str, float], verdict: str) -> None:
        """Logs the job's final values, and what they mean in a sentence, with each of them."""
        for logger in self._loggers:
            logger.results(values, verdict)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Logs a table with each of them."""
        for logger in self._loggers:
            logger.table(name, columns, rows)
