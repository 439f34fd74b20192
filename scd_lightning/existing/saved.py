"""What lies at a path: a transformers folder, a peft folder or a Lightning checkpoint, and after which step."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from scd_lightning.errors import ConfigError, ModelError
from scd_lightning.existing import adapters
from scd_lightning.existing.places import KINDS, is_of_hub, named
from scd_lightning.models.file_digests import file_digest
from scd_lightning.models.foreign import read_json, read_pickled
from scd_lightning.models.hub import fetch_folder
from scd_lightning.models.weight_files import check_intact, check_plain, check_shards, find_weights, first_few

Kind = Literal["transformers", "peft", "lightning"]
_COMMIT = re.compile("[0-9a-f]{40}")
# Safetensors before pickled ones.
_WEIGHTS = {
    "transformers": ("model.safetensors", "pytorch_model.bin"),
    "peft": ("adapter_model.safetensors", "adapter_model.bin"),
}


@dataclass(frozen=True)
class SavedModel:
    """A fine-tuned model that another program left.

    Attributes:
        path: The folder or the file.
        kind: What it is.
        files: The files that hold tensors.
        step: Optimizer step after which it was taken, where it tells.
    """

    path: Path
    kind: Kind
    files: tuple[Path, ...]
    step: int | None = field(default=None, compare=False)

    @property
    def pickled(self) -> bool:
        """Whether one of the files is read by unpickling."""
        return any(file.suffix != ".safetensors" for file in self.files)

    def contents(self) -> str:
        """Hex digest of the tensor files, wherever they are and whatever they are called."""
        return hashlib.sha256("".join(sorted(map(file_digest, self.files))).encode()).hexdigest()


def recognise(path: Path, where: str, *, allow_pickle: bool = False) -> SavedModel:
    """What lies at a path.

    Args:
        path: A folder or a file.
        where: The argument that named it, for messages.
        allow_pickle: Read weights that are there in pickled form alone.

    Raises:
        ModelError: Nothing that can be read as a fine-tuned model, or not without unpickling.
    """
    if path.is_file() and path.suffix == ".ckpt":
        if not allow_pickle:
            check_plain([path], where, path.parent)
        check_intact(path)
        step = read_pickled(path, "meta").get("global_step")
        return SavedModel(path, "lightning", (path,), step if type(step) is int else _last_number(path.stem))
    kind = _kind(path) if path.is_dir() else None
    files = find_weights(path, _WEIGHTS[kind]) if kind else ()
    if kind is None or not files:
        raise ModelError(_why_not(path), where=where, got=f"{path}: {_listing(path)}", expected=KINDS)
    check_shards(files)
    if not allow_pickle:
        check_plain(files, where, path)
    return SavedModel(path, kind, files, _folder_step(path))


def find(
    patterns: str | Sequence[str],
    where: str,
    *,
    revisions: Mapping[str | None, str | None] | None = None,
    allow_pickle: bool = False,
) -> list[SavedModel]:
    """Every saved model that patterns name, each once.

    Args:
        patterns: A glob pattern, a path or a hub id, or several. A folder that has checkpoints in it stands for these.
        where: The argument, for messages.
        revisions: Of hub ids, where they are not the hub's own.
        allow_pickle: As in `recognise`.

    Raises:
        ConfigError: Nothing is there.
        ModelError: As `recognise`.
    """
    paths: dict[Path, Path] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = _matches(pattern, where, revisions or {}, allow_pickle=allow_pickle)
        # A link such as Lightning's last.ckpt is no checkpoint of its own.
        paths |= {path.resolve(): path for path in found if path.resolve() not in paths}
    if not paths:
        raise ConfigError("The list of paths is empty", where=where, expected="one or more")
    return [recognise(path, where, allow_pickle=allow_pickle) for path in paths.values()]


def in_order(models: Sequence[SavedModel], where: str) -> list[SavedModel]:
    """Saved models by their optimizer steps; one alone needs none.

    Raises:
        ConfigError: One of several has no step, or two have the same.
    """
    if len(models) == 1:
        return [replace(models[0], step=models[0].step or 0)]
    by_step: dict[int, SavedModel] = {}
    for model in models:
        if model.step is None:
            raise ConfigError(
                "A checkpoint tells no optimizer step, so its place in the trajectory is unknown",
                where=where,
                got=model.path,
                expected="trainer_state.json with global_step, a Lightning checkpoint, or a number in the name",
                remedy="put the step into its name, e.g. checkpoint-300",
            )
        if model.step in by_step:
            raise ConfigError(
                "Two checkpoints are of the same optimizer step",
                where=where,
                got=f"{by_step[model.step].path} and {model.path}, both step {model.step}",
                remedy="leave one of them out, by a narrower pattern or a list of paths",
            )
        by_step[model.step] = model
    return [by_step[step] for step in sorted(by_step)]


def _matches(pattern: str, where: str, revisions: Mapping[str | None, str | None], *, allow_pickle: bool) -> list[Path]:
    if is_of_hub(pattern):
        return [fetch_folder(pattern, where, revisions.get(pattern), allow_pickle=allow_pickle)]
    path = Path(pattern).expanduser()
    if path.is_dir():
        return [each for each in sorted(path.iterdir()) if _is_checkpoint(each)] or [path]
    return named(pattern, where)


def _is_checkpoint(path: Path) -> bool:
    """Whether an entry of a run's folder claims to be one; those that are broken are refused later, not left out."""
    return path.suffix == ".ckpt" or (
        path.is_dir() and (path.name.startswith("checkpoint-") or _kind(path) is not None)
    )


def _kind(folder: Path) -> Kind | None:
    if (folder / adapters.CONFIG).is_file():
        return "peft"
    return "transformers" if (folder / "config.json").is_file() else None


def _folder_step(folder: Path) -> int | None:
    state = folder / "trainer_state.json"
    if state.is_file() and type(step := read_json(state).get("global_step")) is int:
        return step
    # A hub's cache names folders by commits, whose digits say nothing.
    return None if _COMMIT.fullmatch(folder.name) else _last_number(folder.name)


def _last_number(name: str) -> int | None:
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else None


def _why_not(path: Path) -> str:
    if path.suffix == ".ckpt":
        return "The Lightning checkpoint is a folder of shards, which has to be put together first"
    names = {each.name for each in path.iterdir()} if path.is_dir() else set()
    if names & {"optimizer.pt", "optimizer.bin", "scheduler.pt", "latest"}:
        return "The folder holds a training's state and no weights that can be read"
    return "There is no fine-tuned model at the path"


def _listing(path: Path) -> str:
    if not path.is_dir():
        return "a file" if path.exists() else "nothing"
    names = sorted(each.name for each in path.iterdir())
    return first_few(names, 6) or "an empty folder"
