"""Whether a saved model is one of the model that is built here, and its tensors copied into that."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from torch import Tensor, nn

from scd_lightning.errors import ModelError
from scd_lightning.existing.saved import Kind, SavedModel
from scd_lightning.models.tensor_files import (
    TensorInfo,
    describe,
    read_infos,
    read_renamed,
    read_tensors,
    require_finite,
)
from scd_lightning.models.weight_files import first_few

# Buffers that older versions of transformers stored, and that are computed since.
_COMPUTED = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias")
_DIVERGED = "leave this checkpoint out: its training had diverged"


class Receiver:
    """A model that saved ones are read into.

    Args:
        model: A transformers model, or a peft model around one; on the meta device for checks alone.
        kind: The kind of the saved models.
        vocab_size: Length V of the tokenizer. Rows past it, of embeddings and LM head, are never used.
        name: What messages call the model, e.g. "teacher".
        trimmed: Whether its vocabulary was cut: then the rows of another one, however many, are other tokens.

    Attributes:
        config: The model's configuration.
    """

    def __init__(self, model: nn.Module, kind: Kind, vocab_size: int, name: str, *, trimmed: bool = False) -> None:
        self.vocab_size, self.name, self.kind, self.trimmed = vocab_size, name, kind, trimmed
        self.tensors = _tensors(model, kind)
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        self.config: Any = base.config
        layers = (base.get_input_embeddings(), base.get_output_embeddings())  # type: ignore[operator]
        self._tables = {id(p) for layer in layers if layer is not None for p in layer.parameters(recurse=False)}
        trained = [t for t in self.tensors.values() if not _frozen(t)]
        # Below adapters, the weights are the base model's; a file may leave them out.
        self._needed = {id(t) for t in (trained if isinstance(model, PeftModel) else self.tensors.values())}

    def match(self, saved: SavedModel) -> dict[str, str]:
        """Names in the saved model -> names of this model's tensors; nothing is loaded.

        Raises:
            ModelError: A name or a shape differs, the vocabulary is too small, or the weights are quantized.
        """
        infos = read_infos(saved.files)
        if (renamed := self._renamed(saved, infos, "meta")) is not None:
            infos = describe(renamed)
        prefix = "" if self.kind == "peft" else self._prefix(infos, saved.path)
        names = {name: _plain(name).removeprefix(prefix) for name in infos if _plain(name).startswith(prefix)}
        pairs = {name: target for name, target in names.items() if target in self.tensors}
        for name, target in pairs.items():
            self._check_tensor(target, infos[name], saved.path)
        unknown = [n for n, target in names.items() if n not in pairs and not target.endswith(_COMPUTED)]
        self._check_complete(set(pairs.values()), unknown, saved.path)
        return pairs

    def check_finite(self, saved: SavedModel) -> None:
        """Reads the tensors that `load` will copy, one at a time.

        Raises:
            ModelError: As `match`; or a weight is not a finite number.
        """
        pairs, infos = self.match(saved), read_infos(saved.files)
        # By way of transformers they have other names than in the files, and all of them are taken.
        wanted = pairs.keys() if pairs.keys() <= infos.keys() else infos.keys()
        for name, tensor in read_tensors(saved.files):
            if name in wanted:
                require_finite(tensor, f"{name} in {saved.path}", _DIVERGED)

    def _renamed(self, saved: SavedModel, infos: Mapping[str, TensorInfo], device: str) -> dict[str, Tensor] | None:
        """The tensors by way of transformers, where the stored names are not the model's."""
        if saved.kind != "transformers" or infos.keys() <= self.tensors.keys():
            return None
        return read_renamed(saved.path, device, allow_pickle=saved.pickled)

    @torch.no_grad()
    def load(self, saved: SavedModel) -> None:
        """Copies the saved tensors into this model's own, in its dtype.

        Raises:
            ModelError: As `match`; or a weight is not a finite number, or the base below the adapters is another one.
        """
        pairs, filled = self.match(saved), set()
        renamed = self._renamed(saved, read_infos(saved.files), "cpu")
        for name, tensor in read_tensors(saved.files) if renamed is None else renamed.items():
            if name not in pairs:
                continue
            target = self.tensors[pairs[name]]
            # Only tables of tokens may differ in length, where no token is.
            rows = slice(min(len(target), len(tensor))) if id(target) in self._tables else ...
            compare = _frozen(target) or id(target) in filled
            filled.add(id(target))
            self._copy(tensor[rows], target[rows], f"{pairs[name]} in {saved.path}", compare=compare)

    def _copy(self, tensor: Tensor, target: Tensor, where: str, *, compare: bool) -> None:
        require_finite(tensor, where, _DIVERGED)
        if not compare:
            target.copy_(tensor)
        elif not torch.equal(tensor.to(target), target):
            raise ModelError(
                "A weight differs from the one that it should be the same as",
                where=where,
                got="other numbers",
                expected=f"those of the {self.name}'s base model below the adapters, or of the weight it is tied to",
                remedy=f"set {self.name}.path to the model that the fine-tuning started from",
            )

    def _prefix(self, infos: Iterable[str], path: Path) -> str:
        """What stands before the model's own names, e.g. "lm.model." in a Lightning module: the most frequent one."""
        counts: Counter[str] = Counter()
        for name in map(_plain, infos):
            parts = name.split(".")
            starts = (".".join(parts[i:]) for i in range(len(parts)))
            counts.update(name.removesuffix(start) for start in starts if start in self.tensors)
        ranked = counts.most_common(2)
        if not ranked:
            raise ModelError(
                f"None of the tensors is one of the {self.name}'s",
                where=path,
                got=first_few(list(infos), 2) or "none",
                expected=first_few(list(self.tensors), 2),
                remedy=f"take checkpoints of the {self.name}'s model, or name that model by {self.name}.path",
            )
        if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
            raise ModelError(
                f"The checkpoint holds several models like the {self.name}",
                where=path,
                got=f"tensors under {ranked[0][0]!r} and under {ranked[1][0]!r}",
                remedy="save the one that was fine-tuned alone",
            )
        return ranked[0][0]

    def _check_tensor(self, name: str, info: TensorInfo, path: Path) -> None:
        target = self.tensors[name]
        if not info.plain and target.is_floating_point():
            raise ModelError(
                "The weights are quantized",
                where=f"{name} in {path}",
                got=info.dtype,
                expected="float32, float16, bfloat16 or float64",
                remedy="save the model dequantized",
            )
        shape = tuple(target.shape)
        if id(target) in self._tables and info.shape[1:] == shape[1:]:
            if self.trimmed and info.shape != shape:
                raise ModelError(
                    "The saved model has another vocabulary than the one that was cut to these texts",
                    where=f"{name} in {path}",
                    got=f"{info.shape[0]} rows",
                    expected=f"{shape[0]}",
                    remedy="teacher.trim_vocabulary=false, where it was tuned with the whole vocabulary",
                )
            if info.shape[0] < self.vocab_size:
                raise ModelError(
                    "The saved model's vocabulary is smaller than the tokenizer's",
                    where=f"{name} in {path}",
                    got=f"{info.shape[0]} rows",
                    expected=f"{self.vocab_size} or more",
                )
        elif info.shape != shape:
            raise ModelError(
                f"The saved model has other shapes than the {self.name}",
                where=f"{name} in {path}",
                got=list(info.shape),
                expected=list(shape),
                remedy=f"set {self.name}.path (or its architecture) to the model that the fine-tuning started from",
            )

    def _check_complete(self, found: set[str], unknown: list[str], path: Path) -> None:
        filled = {id(self.tensors[name]) for name in found}
        missing = [n for n, t in self.tensors.items() if id(t) in self._needed and id(t) not in filled]
        if missing or unknown:
            here, there = (first_few(names, 2) or "none" for names in (unknown, missing))
            raise ModelError(
                f"The saved model has other tensors than the {self.name}",
                where=path,
                got=f"tensors that the {self.name} lacks: {here}; that the file lacks: {there}",
                remedy=f"set {self.name}.path to the model that the fine-tuning started from",
            )


def _tensors(model: nn.Module, kind: Kind) -> dict[str, Tensor]:
    """A model's tensors under the names that files of a kind give them; tied ones under each of their names."""
    if kind == "peft":
        return get_peft_model_state_dict(model, save_embedding_layers=False)
    return model.state_dict(keep_vars=True)


def _frozen(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and not tensor.requires_grad


def _plain(name: str) -> str:
    """A name without what compiled and sharded modules add to it."""
    return name.replace("_orig_mod.", "").replace("_fsdp_wrapped_module.", "")
