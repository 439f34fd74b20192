"""Whether a prepared job's models fit its data and its training: what is known before the first optimizer step."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from scd_lightning.batch import TokenizedSample
from scd_lightning.config.trainer_options import whole_precision
from scd_lightning.data.samples import Sample
from scd_lightning.errors import ConfigError
from scd_lightning.models.loading import build_empty, build_model
from scd_lightning.models.positions import most_positions, trained_positions
from scd_lightning.models.resolution import stuck_share
from scd_lightning.models.spec import ModelSpec
from scd_lightning.models.stored_weights import stored_files, stored_numbers
from scd_lightning.pipeline.job import PreparedJob
from scd_lightning.training.data_module import EncodedData

# Fewer weights than this are no matter: norms begin at one, where numbers of half precision stand far apart.
_FEW = 0.01
# Models of so many weights keep a GPU busy.
_LARGE = 50_000_000


@dataclass(frozen=True)
class Longest:
    """The sample that takes most positions of a model.

    Attributes:
        data: The data.
        split: Its split.
        index: Its position there.
        tokens: Of its prompt and the longest answer that is scored or may be generated.
    """

    data: EncodedData
    split: str
    index: int
    tokens: int

    @property
    def sample(self) -> Sample:
        """The sample."""
        return self.data.samples[self.split][self.index]

    @property
    def place(self) -> str:
        """As messages say it."""
        return self.sample.place(self.split)

    @property
    def own_answer(self) -> bool:
        """Whether its gold answer is longer than what answers have room for."""
        return len(self.data.tokenized[self.split][self.index]) > self.data.task.max_length


def longest_sample(data: EncodedData, splits: Iterable[str] | None = None) -> Longest:
    """The one that takes most positions, of these splits, or of all."""
    lengths = (
        (len(sample.prompt_ids) + _longest_answer(data, split, sample), split, sample.index)
        for split in (data.tokenized if splits is None else splits)
        for sample in data.tokenized[split]
    )
    tokens, split, index = max(lengths, key=itemgetter(0))
    return Longest(data, split, index, tokens)


def _longest_answer(data: EncodedData, split: str, sample: TokenizedSample) -> int:
    own = len(sample.completion_ids)
    if sample.candidate_ids is not None:
        return max(own, *map(len, sample.candidate_ids))
    return own if split == "train" else max(own, data.max_new_tokens)


def check_lengths(job: PreparedJob, models: Mapping[str, nn.Module]) -> None:
    """Fails where a model has no positions for samples as long as `task.max_length` allows, or as they are.

    Args:
        job: The job.
        models: Role -> the model without memory for its weights.

    Raises:
        ConfigError: Both numbers, and where the longest sample is.
    """
    longest = longest_sample(job.data)
    for spec in (job.teacher, job.student):
        positions = most_positions(_base(models[spec.role]))
        if positions is not None and positions < max(longest.tokens, job.task.max_length):
            raise _too_long(job, spec, positions, longest)


def _too_long(job: PreparedJob, spec: ModelSpec, positions: int, longest: Longest) -> ConfigError:
    remedy = f"task.max_length={positions}, which cuts longer texts; or a model with more positions"
    if longest.own_answer:
        needed = len(job.data.tokenized[longest.split][longest.index].completion_ids)
        remedy = "a shorter answer, or a model with more positions"
        # The prompt's wording takes some of them, too: where few are left, the data say so.
        if needed < positions:
            remedy = f"task.max_new_tokens={needed} with task.max_length={positions}; or a model with more positions"
    return ConfigError(
        f"Samples may be longer than the {spec.role} has positions",
        where=f"task.max_length, {spec.role}.path",
        got=f"task.max_length={job.task.max_length}; the longest sample takes {longest.tokens} tokens, its answer "
        f"included: {longest.place}",
        expected=f"at most {positions}, the positions of {spec.name}",
        remedy=remedy,
    )


def _base(model: nn.Module) -> PreTrainedModel:
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    return base


def warn_of_models(job: PreparedJob) -> None:
    """Warns of what can work and hardly will; for the process that speaks for the job, once prepared."""
    _warn_of_slowness(job)
    longest = longest_sample(job.data)
    for spec in (job.teacher, job.student):
        empty = build_empty(spec, job.tokenizer)
        _warn_of_lengths(spec, _base(empty), longest)
        if spec is job.student or not job.trajectory:
            _warn_of_resolution(job, spec, job.trainer.convert(empty))


def _warn_of_slowness(job: PreparedJob) -> None:
    """Whether a GPU computes in float32 what is large enough to gain by half precision."""
    precision = whole_precision(job.settings["trainer"])
    if job.trainer.on_gpu and precision == "32-true" and max(job.parameters.values()) >= _LARGE:
        warnings.warn(
            "The GPU computes in float32, as trainer.precision=32-true has it. trainer=gpu, which computes in bfloat16 "
            "with float32 weights, takes a fraction of the time.",
            stacklevel=3,
        )


def _warn_of_lengths(spec: ModelSpec, model: PreTrainedModel, longest: Longest) -> None:
    trained = trained_positions(model.config) if spec.pretrained else None
    if trained is not None and longest.tokens > trained:
        warnings.warn(
            f"The longest sample, {longest.place}, takes {longest.tokens} tokens, its answer included, and the "
            f"{spec.role} {spec.name} was trained for {trained}: what it makes of the rest is uncertain. "
            f"task.max_length={trained} would cut such texts.",
            stacklevel=3,
        )


def _warn_of_resolution(job: PreparedJob, spec: ModelSpec, empty: nn.Module) -> None:
    """Whether a step of the learning rate's size is lost in the rounding of half precision."""
    dtypes = {p.dtype for p in empty.parameters() if p.requires_grad}
    coarse = next((dtype for dtype in dtypes if torch.finfo(dtype).bits < 32), None)
    rate = _rate(job, spec)
    if coarse is None or rate is None:
        return
    share = stuck_share(_starting_weights(job, spec, empty), rate, coarse)
    if share >= _FEW:
        name = str(coarse).removeprefix("torch.")
        of_trainer = str(job.trainer.options.get("precision")) in ("bf16-true", "16-true")
        remedy = "trainer.precision=bf16-mixed" if of_trainer else f"{spec.role}.dtype=float32"
        warnings.warn(
            f"{share:.0%} of the {spec.role}'s weights will not move: they are trained in {name}, where a step of the "
            f"learning rate's size, {rate:.3g}, is lost in the rounding. Train float32 weights ({remedy}), or raise "
            f"{spec.role}.optimizer.lr.",
            stacklevel=3,
        )


def _rate(job: PreparedJob, spec: ModelSpec) -> float | None:
    """The highest learning rate of a model's trainings; None of an optimizer that has none of its own."""
    rate = spec.optimizer([nn.Parameter(torch.zeros(1))]).param_groups[0].get("lr")
    if rate is None:
        return None
    return float(rate) * (job.budget.lr_scale * max(1.0, job.method.lr_scale) if spec is job.student else 1.0)


def _starting_weights(job: PreparedJob, spec: ModelSpec, empty: nn.Module) -> Iterable[Tensor]:
    if isinstance(empty, PeftModel):
        return _fresh_adapters(empty)
    if spec.path is not None:
        return stored_numbers(stored_files(spec))
    return build_model(spec, job.tokenizer, job.seed).parameters()


def _fresh_adapters(empty: PeftModel) -> Iterator[Tensor]:
    """Adapters as peft begins them, one layer's at a time: the weights below take no memory."""
    for layer in empty.modules():
        if isinstance(layer, LoraLayer):
            parts = [getattr(layer, name) for name in layer.adapter_layer_names]
            for part in parts:
                part.to_empty(device="cpu")
            for adapter in layer.active_adapters:
                layer.reset_lora_parameters(adapter, True)
            yield from (p for part in parts for p in part.parameters())
