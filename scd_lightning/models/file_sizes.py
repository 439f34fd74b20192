"""How large the files beside a model's weights are, before a library reads them whole."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from scd_lightning.config.size_limits import MODEL_FILE
from scd_lightning.errors import ModelError

# How the names of those end that transformers reads.
_READ = {".json", ".jinja", ".txt", ".model", ".py"}
_TEMPLATES = "additional_chat_templates"


def config_file(path: str | Path, revision: str | None) -> Path | None:
    """The config.json of a folder, there or not; of a model of the hub, the one in the cache, or None.

    Args:
        path: Folder or hub id.
        revision: Branch, tag or commit on the hub, or None.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder / "config.json"
    cached = try_to_load_from_cache(str(path), "config.json", revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def check_sizes(path: str | Path, revision: str | None) -> None:
    """Looks at all files beside a model's weights.

    Args:
        path: Folder or hub id.
        revision: Branch, tag or commit on the hub, or None.

    Raises:
        ModelError: As `check_size`.
    """
    config = config_file(path, revision)
    for file in _files(config.parent) if config is not None else ():
        check_size(file)


def check_size(file: Path) -> None:
    """Refuses a file beside the weights that is larger than any of its kind; one that is not there is another's matter.

    Raises:
        ModelError: It is; or it is a pipe or a device, which a reader would wait for.
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        raise ModelError(
            "What should be a file beside the weights is a pipe or a device", where=file, remedy="copy the model anew"
        )
    MODEL_FILE.check_file(file, "A file beside the weights is larger than is read", ModelError)


def _files(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / _TEMPLATES):
        if place.is_dir():
            yield from (file for file in sorted(place.iterdir()) if file.suffix in _READ)
