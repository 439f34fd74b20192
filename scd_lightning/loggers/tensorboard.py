"""TensorBoard: the folder of a job, with one of its own for each phase and one for the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger as LightningTensorBoard
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from scd_lightning.loggers.job_loggers import JobInfo, JobLogger, PhaseLogger
from scd_lightning.loggers.shown_settings import flat

RESULTS = "results"


class TensorBoardPhase(LightningTensorBoard, PhaseLogger):
    """Lightning's logger, for histograms too."""

    @override
    @rank_zero_only
    def log_histogram(self, name: str, counts: Sequence[int], step: int) -> None:
        bins = len(counts)
        # The samples' own values are not known any more: their sums are taken from the middles of the bins.
        middles = [(i + 0.5) / bins for i in range(bins)]
        self.experiment.add_histogram_raw(
            name,
            min=0.0,
            max=1.0,
            num=sum(counts),
            sum=sum(n * x for n, x in zip(counts, middles, strict=True)),
            sum_squares=sum(n * x * x for n, x in zip(counts, middles, strict=True)),
            bucket_limits=[(i + 1) / bins for i in range(bins)],
            bucket_counts=list(counts),
            global_step=step,
        )


class TensorBoardLogger(JobLogger):
    """Writes event files.

    Args:
        save_dir: Their folder.
    """

    def __init__(self, save_dir: str) -> None:
        self.save_dir = Path(save_dir)
        self._info: JobInfo | None = None

    @override
    def __call__(self, name: str) -> TensorBoardPhase:
        return TensorBoardPhase(self.save_dir, name=name, version="")

    @override
    def begin(self, info: JobInfo) -> None:
        self._info = info

    @override
    @rank_zero_only
    def results(self, values: Mapping[str, float], verdict: str) -> None:
        # Settings are logged with the results: TensorBoard then compares jobs by them.
        logger = self(RESULTS)
        settings = {} if self._info is None else flat(self._info.settings)
        logger.log_hyperparams({"method": self._info.method if self._info else "", **settings}, dict(values))
        logger.experiment.add_text("verdict", verdict)
        logger.finalize("success")
