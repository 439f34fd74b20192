"""What a sweep over several seeds has found so far: a table as soon as all methods of a seed are through."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from scd_lightning.errors import StoreError
from scd_lightning.store.making import make_folder
from scd_lightning.store.ownership import Kind
from scd_lightning.store.removal import delete

# Where the jobs of a sweep note that they have ended, in its folder, until it is over.
_NOTES = ".draws"
_NOTES_FOLDER = Kind(r"\.draws", r"\d+|lock", marked=True, fixed=True)


@dataclass(frozen=True)
class Draws:
    """The jobs of a sweep by their seeds, and which of them have ended; for all processes of one machine.

    Attributes:
        jobs: Seed -> numbers of its jobs.
        folder: The sweep's folder.
    """

    jobs: Mapping[str, Sequence[int]]
    folder: Path

    @classmethod
    def of(cls, jobs: Sequence[Sequence[str]], folder: Path) -> "Draws | None":
        """Groups a sweep's jobs by their seed.

        Args:
            jobs: The overrides of each.
            folder: The sweep's folder.

        Returns:
            None where there is one seed, or one job a seed: then no table says more than the jobs do themselves.
        """
        found: dict[str, list[int]] = {}
        for number, overrides in enumerate(jobs):
            for each in overrides:
                if each.startswith("seed="):
                    found.setdefault(each.partition("=")[2], []).append(number)
        several = len(found) > 1 and all(len(numbers) > 1 for numbers in found.values())
        return cls(found, folder.absolute()) if several else None

    def forget(self) -> None:
        """Takes away what is noted: an earlier sweep may have had the same folder."""
        with suppress(OSError, StoreError):
            delete(self.folder / _NOTES, _NOTES_FOLDER, self.folder)

    def end(self, job: int, run_dir: Path, allowed: Sequence[str] = ()) -> None:
        """Notes that a job has ended, well or not; shows what was found so far if it is the last one of its seed.

        After the last seed of all nothing is shown: the end of the sweep does that.

        Args:
            job: Its number.
            run_dir: Its folder.
            allowed: See `task_of`.
        """
        notes = self.folder / _NOTES
        make_folder(notes, _NOTES_FOLDER, self.folder)
        # The one that ends last sees all the others' notes, whichever that is.
        with FileLock(notes / "lock"):
            (notes / str(job)).write_text(str(run_dir), encoding="utf-8")
            ended = {int(path.name): Path(path.read_text("utf-8")) for path in notes.iterdir() if path.name.isdigit()}
            whole = {seed: numbers for seed, numbers in self.jobs.items() if ended.keys() >= set(numbers)}
            if len(whole) < len(self.jobs) and any(job in numbers for numbers in whole.values()):
                runs = sorted(number for numbers in whole.values() for number in numbers)
                # Not before: the sweep's own process, which starts those of its jobs, would import matplotlib first.
                from scd_lightning.analysis.comparison.comparison_so_far import show_so_far

                named = f"seed{'' if len(whole) == 1 else 's'} {', '.join(whole)}"
                title = f"after {len(whole)} of {len(self.jobs)} draws ({named}); more are running"
                show_so_far(title, [ended[number] for number in runs], self.folder, allowed)
