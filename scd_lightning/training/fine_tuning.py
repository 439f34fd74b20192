"""Fine-tuning on gold completions: the teacher's and the anchor's, and what distillation builds on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import Metric
from transformers import PreTrainedTokenizerFast
from typing_extensions import override

from scd_lightning.batch import Batch
from scd_lightning.lm_head import Unprojected
from scd_lightning.losses.objective import Objective, ObjectiveResult
from scd_lightning.losses.reduction import per_sample_mean
from scd_lightning.losses.token_scores import chunked_scores
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.spec import ModelSpec
from scd_lightning.store.sharded import whole
from scd_lightning.training.data_module import EncodedData
from scd_lightning.training.finite import FiniteWatch, explain
from scd_lightning.training.learning_rate import learning_rate_factor
from scd_lightning.training.predictor import answer, gold_outputs
from scd_lightning.training.private_parts import convert_micro_batches, let_lightning_unscale
from scd_lightning.training.resume.module_state import read_sums, trained_only, write_sums
from scd_lightning.training.sums import SampleValues, TaskMetric, WeightedMean


@dataclass(frozen=True)
class LossPart:
    """What some of a micro-batch's tokens are trained on.

    Attributes:
        teacher: The teacher's outputs on all of its K tokens, or None for the cross-entropy alone.
        weight: [B], the distillation term's weight; given exactly where the teacher is.
        tokens: [K], which of the tokens; None for all.
    """

    teacher: Unprojected | None = None
    weight: Tensor | None = None
    tokens: Tensor | None = None


class FineTuning(LightningModule):
    """Trains a causal language model on its completions' cross-entropy; validates its loss and its answers.

    Args:
        model: The model.
        spec: Its optimizer and warm-up.
        data: The data, encoded.
        tokenizer: The tokenizer that encoded it.
        objective: The training loss.
        stage_steps: Optimizer steps until the learning rate starts afresh.
        lr_scale: Factor on the optimizer's learning rate.

    Attributes:
        curve: One point an epoch: epoch, step, train_loss, and validation_loss and validation_metric, None where it was
            not validated. Of several validations of an epoch it holds the one whose weights would be kept.
        last_validation: The newest of the latter two.
        validations: All of the epoch so far.
        last_losses: After a validation, each validation sample's mean completion-token loss, in nats; [S].
        epoch_sums: The sums over an epoch's training samples, by name.
        course: Names of what a state to go on from holds of the training's course, besides those sums.
    """

    course: ClassVar[tuple[str, ...]] = ("curve", "last_validation", "validations")

    def __init__(
        self,
        model: CausalLM,
        spec: ModelSpec,
        data: EncodedData,
        tokenizer: PreTrainedTokenizerFast,
        objective: Objective,
        stage_steps: int,
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__()
        # A state to go on from never holds frozen weights.
        self.strict_loading = False
        self.lm = model
        self.spec = spec
        self.data = data
        self.tokenizer = tokenizer
        self.objective = objective
        self.stage_steps = stage_steps
        self.lr_scale = lr_scale
        self.curve: list[dict[str, Any]] = []
        self.last_validation: dict[str, float | None] = {"validation_loss": None, "validation_metric": None}
        self.validations: list[dict[str, float | None]] = []
        self.train_loss = WeightedMean()
        self.epoch_sums: dict[str, Metric] = {"train_loss": self.train_loss}
        self.validation_loss = WeightedMean()
        exact = next(model.parameters()).dtype == torch.float64
        validation = len(data.samples["validation"])
        self.sample_losses = SampleValues(validation, torch.float64 if exact else torch.float32)
        self.last_losses: Tensor | None = None
        self.watch = FiniteWatch()
        answers = data.task.validation == "task"
        self.validation_metric: Metric = TaskMetric(data.validation_measures) if answers else WeightedMean()

    @override
    def configure_model(self) -> None:
        """Nothing, but Lightning's strategies for sharded models insist on it: the model comes sharded or whole."""

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.loss_share(batch)

    def loss_share(self, batch: Batch, *parts: LossPart) -> Tensor:
        """A micro-batch's share of the loss, with the averages of DDP and of gradient accumulation undone.

        The objective has divided by the optimizer step's own count already, whatever the number of ranks.

        Args:
            batch: The micro-batch.
            *parts: What its tokens are trained on, each in one part; none for all on the cross-entropy alone.
        """
        student = self.lm.outputs(batch)
        results = [self.part_of_loss(batch, student, part) for part in parts or (LossPart(),)]
        losses = torch.stack([result.sample_cross_entropy for result in results]).sum(0)
        self.train_loss.update(losses, batch.sample_weight)
        watched = [losses, *(each.sample_divergence for each in results if each.sample_divergence is not None)]
        self.watch.add(batch, torch.stack(watched).sum(0))
        return self.undo_averages(torch.stack([result.loss for result in results]).sum())

    def undo_averages(self, share: Tensor) -> Tensor:
        """A micro-batch's share of the step's loss as Lightning is to have it, which averages over all of them."""
        return share * self.trainer.world_size * self.trainer.accumulate_grad_batches

    def part_of_loss(self, batch: Batch, student: Unprojected, part: LossPart) -> ObjectiveResult:
        """What the objective makes of a part of a micro-batch's tokens, given the student's outputs on all of them."""
        teacher, targets, rows = part.teacher, batch.targets, batch.rows
        if part.tokens is not None:
            student = replace(student, hidden=student.hidden[part.tokens])
            teacher = teacher and replace(teacher, hidden=teacher.hidden[part.tokens])
            targets, rows = targets[part.tokens], rows[part.tokens]
        return self.objective(
            student,
            targets,
            rows,
            batch.sample_weight,
            window_samples=batch.window_samples,
            window_tokens=batch.window_tokens,
            teacher=teacher,
            weight=part.weight,
        )

    @property
    def phase(self) -> str:
        """The phase that this training is."""
        return f"{self.spec.role}_sft"

    @property
    def rate_setting(self) -> str:
        """The setting that the learning rate comes from."""
        return f"{self.spec.role}.optimizer.lr"

    @override
    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips as Lightning does, whose own would keep the norm to itself, and has an eye on it.

        A CPU's numbers are looked at before the step is taken. A GPU's would have to be waited for, so they are looked
        at every `log_every_n_steps` steps, and before anything is validated or saved: what is kept is always finite.
        """
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            norm = whole(clip_grad_norm_(parameters, gradient_clip_val))
        else:
            norm = whole(get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None]))
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        self.watch.close(self.global_step, None if self._scales_loss else norm)
        if self.watch.pending >= self._unseen_steps:
            self.check_finite()

    @property
    def _unseen_steps(self) -> int:
        """After how many steps to look at them."""
        on_cpu = self.device.type == "cpu"
        return 1 if on_cpu else self.trainer.log_every_n_steps  # type: ignore[attr-defined]

    @property
    def _scales_loss(self) -> bool:
        """Whether steps with overflown gradients are left out, and the scale of the loss lowered."""
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def check_finite(self) -> None:
        """Stops the training where a step since the last look has left the range of numbers; on all processes alike.

        Raises:
            NotFinite: One has; the message names its samples.
        """
        trouble = self.watch.look(shared=not self._scales_loss)
        if trouble is not None:
            raise explain(
                trouble,
                self.data,
                where=f"{self.phase}, with the {self.spec.role} {self.spec.name}",
                role=self.spec.role,
                setting=self.rate_setting,
                rate=self.trainer.optimizers[0].param_groups[0]["lr"],
                precision=str(self.trainer.precision),
            )

    @override
    def on_validation_start(self) -> None:
        """No validation, and so no choice of the best weights, of numbers that are not finite."""
        self.check_finite()

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves no numbers that are not finite, and no weights that training leaves alone."""
        self.check_finite()
        checkpoint["state_dict"] = trained_only(self, checkpoint["state_dict"])
        progress = {name: getattr(self, name) for name in self.course}
        checkpoint["progress"] = progress | {"sums": read_sums(self.epoch_sums)}
        checkpoint["micro_batches"] = self.trainer.accumulate_grad_batches
        # Whether a callback, such as one for early stopping, has ended the training; Lightning forgets it.
        checkpoint["should_stop"] = self.trainer.should_stop

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up what was saved, with the number of micro-batches of now."""
        self.trainer.should_stop = checkpoint["should_stop"]
        progress = checkpoint["progress"]
        for name in self.course:
            setattr(self, name, progress[name])
        write_sums(self.epoch_sums, progress["sums"])
        now, then = self.trainer.accumulate_grad_batches, checkpoint["micro_batches"]
        convert_micro_batches(checkpoint["loops"], now, then)

    @override
    def on_train_epoch_end(self) -> None:
        """Logs `train_loss`, the mean over the epoch's samples of their cross-entropy, and adds to the curve.

        Where a callback has ended the training before the epoch's first step there is nothing to tell.
        """
        self.check_finite()
        if self.global_step == (self.curve[-1]["step"] if self.curve else 0):
            return
        train_loss = self.train_loss.compute()
        self.log_dict({"train_loss": train_loss, **self._when()})
        self.train_loss.reset()
        point = {"epoch": self.current_epoch, "step": self.global_step, "train_loss": float(train_loss)}
        none: dict[str, float | None] = dict.fromkeys(self.last_validation)
        self.curve.append(point | max(self.validations, key=_standing, default=none))
        self.validations = []

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Per-sample losses, and either exact match by one pass or the task's own metric."""
        answers = self.data.task.validation == "task"
        outputs, read = gold_outputs(self.lm, self.data, "validation", batch, answers)
        token_losses, right = chunked_scores(outputs, batch.targets)
        loss = per_sample_mean(token_losses, batch.rows, batch.size)
        self.validation_loss.update(loss, batch.sample_weight)
        self.sample_losses.update(loss, batch.index, batch.sample_weight)
        if answers:
            found = answer(self.lm, self.data, self.tokenizer, "validation", batch, read)
            rows = [self.data.judge("validation", index, each.value).row() for index, each in found.items()]
            self.validation_metric.update(rows, [self.data.describe("validation", index) for index in found])
        else:
            # Greedy decoding reproduces the gold completion exactly when the argmax is right at each position.
            exact = per_sample_mean(right.to(loss.dtype), batch.rows, batch.size) == 1
            self.validation_metric.update(exact.to(loss.dtype), batch.sample_weight)

    @override
    def on_validation_epoch_end(self) -> None:
        """Logs `validation_loss` and `validation_metric`, exact over uneven ranks."""
        metric = self.validation_metric.compute()
        if isinstance(metric, dict):
            metric = metric[self.data.primary_metric]
        loss = self.validation_loss.compute()
        self.log_dict({"validation_loss": loss, "validation_metric": metric, **self._when()})
        self.last_validation = {"validation_loss": float(loss), "validation_metric": float(metric)}
        self.validations.append(self.last_validation)
        # Put together here and not when asked for: after a pass the module is on the CPU, where NCCL moves nothing.
        self.last_losses = self.sample_losses.vector()
        self.validation_loss.reset()
        self.validation_metric.reset()
        self.sample_losses.reset()

    def _when(self) -> dict[str, float]:
        """Step and epoch, logged with an epoch's values: Lightning would count the step from another point."""
        return {"step": float(self.global_step), "epoch": float(self.current_epoch)}

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = self.spec.optimizer([p for p in self.lm.parameters() if p.requires_grad])
        let_lightning_unscale(optimizer)
        shape = (self.stage_steps, self.spec.warmup, self.lr_scale)
        scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(step, *shape))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _standing(validation: Mapping[str, float | None]) -> tuple[float, float]:
    """What the best weights are chosen by: the higher metric, then the lower loss."""
    metric, loss = validation["validation_metric"], validation["validation_loss"]
    assert metric is not None
    assert loss is not None
    return metric, -loss
