"""Whether a saved model's settings agree with ours: adapters, configuration, tokenizer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerFast

from scd_lightning.errors import ModelError
from scd_lightning.existing.adapters import read_adapter
from scd_lightning.existing.saved import SavedModel
from scd_lightning.models.file_digests import file_digest
from scd_lightning.models.foreign import read_config
from scd_lightning.models.spec import LoRA
from scd_lightning.models.tensor_files import read_infos
from scd_lightning.models.tokenizers import check_pair, load_tokenizer

# conf/model/adapters.yaml's rank: with 0, what no user has asked for by name.
PRESET_RANKS = (0, 16)
# Fields of a configuration that do not change what the model computes in evaluation.
_HOW = {"architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache", "vocab_size"}
_HOW |= {"bos_token_id", "eos_token_id", "pad_token_id", "initializer_range", "output_attentions", "return_dict"}
_HOW |= {"output_hidden_states", "id2label", "label2id", "problem_type", "pretraining_tp", "tokenizer_class"}
# Fields that any family may have: other weights, or other code.
_OTHERS = {"quantization_config", "auto_map"}


def has_adapters(saved: SavedModel) -> bool:
    """Whether the weights are, or have in them, low-rank adapters."""
    return saved.kind == "peft" or any(".lora_A." in name for name in read_infos(saved.files))


def adapters_of(models: Sequence[SavedModel], given: LoRA, where: str) -> LoRA:
    """The adapters that saved models need the model to have: a peft folder's own, or none.

    Args:
        models: Saved models of one kind.
        given: What the configuration says.
        where: The model's place in the configuration, e.g. "teacher".

    Raises:
        ModelError: They differ among each other, or from what was given on purpose.
    """
    if models[0].kind == "peft":
        return _shared_adapters(models, given, where)
    if has_adapters(models[0]):
        if not given.r:
            raise ModelError(
                "The checkpoint holds low-rank adapters, and a Lightning checkpoint does not tell their scale",
                where=models[0].path,
                got=f"{where}.lora.r=0",
                remedy=f"set {where}.lora.r, {where}.lora.alpha and {where}.lora.target_modules as in its training",
            )
        return given
    if given.r not in PRESET_RANKS:
        raise ModelError(
            "The checkpoints hold all weights of the model and no adapters",
            where=f"{where}.lora.r",
            got=given.r,
            expected=0,
            remedy=f"leave {where}.lora out",
        )
    return replace(given, r=0)


def _shared_adapters(models: Sequence[SavedModel], given: LoRA, where: str) -> LoRA:
    found = [read_adapter(model.path).lora for model in models]
    for model, lora in zip(models, found, strict=True):
        if lora != found[0]:
            raise ModelError("The adapters differ among the checkpoints", where=model.path, got=lora, expected=found[0])
    check_lora(found[0], given, where, free_ranks=PRESET_RANKS)
    return found[0]


def check_lora(found: LoRA, given: LoRA, where: str, *, free_ranks: Sequence[int] = ()) -> None:
    """Refuses adapters other than the given ones; dropout, which evaluation has none of, may differ.

    Args:
        found: The saved adapters.
        given: What the configuration says; "all-linear" is checked by the names of the tensors instead.
        where: The model's place in the configuration.
        free_ranks: Ranks that stand for nothing said: then alpha may be anything too, unless it is given.

    Raises:
        ModelError: Both values of the first field that differs.
    """
    free = given.r in free_ranks
    wanted: dict[str, Any] = {} if free else {"r": given.r}
    if given.alpha is not None or not free:
        wanted["alpha"] = given.alpha or 2 * given.r
    if given.target_modules != "all-linear":
        wanted["target_modules"] = _as_set(given.target_modules)
    for name, value in wanted.items():
        got = getattr(found, name)
        if (_as_set(got) if name == "target_modules" else got) != value:
            raise ModelError(
                "The adapters are not the ones that were asked for",
                where=f"{where}.lora.{name}",
                got=f"{got} in the adapters' own configuration",
                expected=getattr(given, name) or value,
                remedy=f"leave {where}.lora.{name} out, or give the adapters' value",
            )


def _as_set(targets: str | list[str]) -> object:
    return targets if isinstance(targets, str) else frozenset(targets)


def check_config(saved: SavedModel, config: PretrainedConfig, where: str, *, trust_remote_code: bool) -> None:
    """Refuses a folder whose model computes something else with weights of the same names and shapes.

    Args:
        saved: A transformers folder.
        config: The configuration of the model here.
        where: The argument, for messages.
        trust_remote_code: As for the model.

    Raises:
        ModelError: It can't be read, or a field such as rope_theta or the number of heads differs.
    """
    found = read_config(saved.path, where=where, what="The configuration", trust_remote_code=trust_remote_code)
    theirs, ours = found.to_dict(), config.to_dict()
    # Tools write fields of their own, as Unsloth does its version; none that the family does not know is read.
    known = type(found)().to_dict().keys() | _OTHERS
    # Rates of dropout, whatever a family calls them, matter to a training alone.
    names = sorted(name for name in known & (theirs.keys() | ours.keys()) - _HOW if "drop" not in name)
    # The kind of the model first: of another one, every field differs.
    for name in sorted(names, key=lambda name: name != "model_type"):
        if theirs.get(name) != ours.get(name):
            raise ModelError(
                "The saved model is of another configuration",
                where=f"{name} in {saved.path / 'config.json'}",
                got=theirs.get(name),
                expected=f"{ours.get(name)}, as in the model of {where}",
                remedy=f"set {where}.path to the model that the fine-tuning started from",
            )


def check_tokenizers(
    models: Sequence[SavedModel], tokenizer: PreTrainedTokenizerFast, where: str, remedy: str | None = None
) -> None:
    """Refuses folders with another tokenizer than ours; a folder without one says nothing of it.

    Args:
        models: Saved models.
        tokenizer: Ours.
        where: The argument, for messages.
        remedy: What helps; None for naming another model.

    Raises:
        ModelError: It differs, or can't be read.
    """
    seen: set[str] = set()
    for model in models:
        file = model.path / "tokenizer.json"
        if not file.is_file() or (content := file_digest(file)) in seen:
            continue
        seen.add(content)
        theirs = load_tokenizer(str(model.path), None, trust_remote_code=False, where=where)
        try:
            check_pair(theirs, tokenizer)
        except ModelError as error:
            raise ModelError(
                "The saved model has another tokenizer, so its tokens mean something else",
                where=model.path,
                got=error.got,
                expected=f"the tokenizer of {where}",
                remedy=remedy or f"set {where}.path to the model that the fine-tuning started from",
            ) from error
