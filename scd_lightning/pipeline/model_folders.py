"""Models in folders of the store, made once: of GGUF files, and of vocabularies that are cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedTokenizerFast

from scd_lightning import distributed
from scd_lightning.models.export import save
from scd_lightning.models.foreign import read_model
from scd_lightning.models.gguf import convert_gguf, find_gguf
from scd_lightning.models.loading import resolve_dtype, weights_identity
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.tensor_files import check_loaded
from scd_lightning.models.tokenizers import everything
from scd_lightning.models.trimming import trim_model
from scd_lightning.pipeline.job import Job
from scd_lightning.progress import say
from scd_lightning.store.artifacts import ArtifactKey, Outcome
from scd_lightning.store.manifest import sha256_file, sha256_json
from scd_lightning.training.costs import Meter

S = TypeVar("S", bound=ModelSpec)
# A folder of its own: the artifact's manifest, beside it, is none of the model's files, and has times in it.
MODEL = "model"


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that are kept.

    Attributes:
        tokenizer: Of these alone.
        kept: By new id each token's old one.
        before: How many there were.
    """

    tokenizer: PreTrainedTokenizerFast
    kept: Sequence[int]
    before: int


def as_folder(job: Job, spec: S) -> S:
    """The same model in a folder of the store where it comes in a GGUF file: reading one takes half a minute."""
    if spec.gguf is None:
        return spec
    where = f"{spec.role}.gguf"
    file, dtype = find_gguf(spec.gguf, where), resolve_dtype(spec)

    def convert(folder: Path) -> None:
        say(f"Converting {file.name}, once")
        convert_gguf(file, folder, dtype, where)

    fields = {"gguf": sha256_file(file), "dtype": str(dtype)}
    return replace(spec, path=_made(job, fields, convert, {"file": file.name}), gguf=None)


def as_trimmed(job: Job, spec: S, vocabulary: Vocabulary) -> S:
    """The same model with these tokens alone, in a folder of the store."""
    if spec.path is None:
        return spec
    path, where = spec.path, f"{spec.role}.path"
    tokenizer = vocabulary.tokenizer
    fields: Mapping[str, Any] = {
        "weights": dict(weights_identity(spec)),
        "kept": sha256_json(vocabulary.kept),
        "tokenizer": sha256_json(everything(tokenizer)),
    }

    def cut(folder: Path) -> None:
        say(f"Cutting the vocabulary of {spec.name} to {len(tokenizer):,} of {vocabulary.before:,} tokens, once")
        model, info = read_model(
            path, where=spec.name, revision=spec.revision, allow_pickle=spec.allow_pickle, dtype="auto"
        )
        check_loaded(info, where, path)
        trim_model(model, vocabulary.kept, where)
        save(model, tokenizer, folder)

    found = {"tokens": len(tokenizer), "of": vocabulary.before}
    return replace(spec, path=_made(job, fields, cut, found), revision=None)


def _made(job: Job, fields: Mapping[str, Any], write: Callable[[Path], None], found: dict[str, Any]) -> str:
    """Folder of a model in the store, which the first process writes where it is not there yet."""

    def build(folder: Path) -> Outcome:
        meter = Meter()
        if distributed.rank() == 0:
            write(folder / MODEL)
        return Outcome(found, meter.read())

    key = ArtifactKey("model", {**fields, "transformers": job.versions["transformers"]})
    return str(job.store.make(key, build, whole=True).folder / MODEL)
