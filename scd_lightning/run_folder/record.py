"""run.json: whose a folder is, and which files in it are that run's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_lightning.errors import StoreError
from scd_lightning.run_folder.names import ATTEMPT, FAILURE, RUN, logged, may_be_own, present
from scd_lightning.store.manifest import read_json


@dataclass(frozen=True)
class Record:
    """What a folder says of the run that it is of.

    Attributes:
        folder: The folder.
        content: run.json.
    """

    folder: Path
    content: Mapping[str, Any]

    @property
    def identity(self) -> str | None:
        """Digest of all that the run's files depend on; None where it ended before that was known."""
        return self.content.get("identity")

    @property
    def sweep(self) -> str | None:
        """Which sweep it is a job of."""
        return self.content.get("sweep")

    @property
    def finished(self) -> bool:
        """Whether it went through all that it was asked for."""
        return bool(self.content["finished"])

    @property
    def listed(self) -> set[str]:
        """The files that it has noted as its own."""
        return {name for name in self.content.get("files", ()) if isinstance(name, str) and may_be_own(name)}

    def files(self) -> set[str]:
        """Its files, by their names in the folder; those of a run that was killed, which could not note them, too.

        When it began, none of what it may write was there but its own.
        """
        names = self.listed | {RUN, FAILURE, ATTEMPT}
        killed = not self.finished and "ended" not in self.content
        return names | present(self.folder) | logged(self.folder) if killed and self.identity is not None else names


def read_record(folder: Path) -> Record | None:
    """The record of a folder's run; None where there is none of ours."""
    try:
        content = read_json(folder / RUN)
    except StoreError:
        return None
    own = isinstance(content.get("command"), str) and {"started", "finished"} <= content.keys()
    return Record(folder, content) if own and isinstance(content.get("files"), list) else None
