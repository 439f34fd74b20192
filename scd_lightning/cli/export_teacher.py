"""`scd export RUN --model teacher`: the teacher of a finished run, from the store, as a student's folder is."""

from pathlib import Path

from scd_lightning.analysis.records import read_config
from scd_lightning.cli.built_job import rebuild_job
from scd_lightning.errors import ModelError
from scd_lightning.pipeline.stored_student import stored
from scd_lightning.pipeline.student_folder import write_tuned
from scd_lightning.progress import say
from scd_lightning.store.making import made_whole


def export_teacher(run: Path, folder: Path) -> None:
    """Writes the teacher's best checkpoint, adapters merged, with the prompt that it was trained on.

    Args:
        run: The run's folder.
        folder: Where to; it gets its name when it is whole.

    Raises:
        ModelError: The folder is not that of a run.
        StoreError: The store does not have the teacher any more.
        ScdError: The run's data or models are not where they were.
    """
    if not read_config(run):
        raise ModelError(
            "Only a run knows its teacher",
            where="STUDENT",
            got=run,
            expected="the folder of a run, with a config.yaml in it",
            remedy="name the run's folder",
        )
    job, made = stored(rebuild_job(run.absolute()), "teacher")
    with made_whole(folder) as place:
        write_tuned(job, made, place, "teacher")
    found = made["teacher"]
    metric, value = job.data.validation_metric, found.result.trajectory[found.result.best]["metrics"]["metric"]
    say(f"teacher: {job.teacher.name}, checkpoint {found.result.best}, validation {metric} {value:.3f}")
