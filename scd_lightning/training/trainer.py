"""Lightning trainers for the phases: what users set once, and what the method fixes."""

import gc
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy, Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from scd_lightning import distributed
from scd_lightning.config.trainer_options import check_trainer
from scd_lightning.data.batching import PlanSampler
from scd_lightning.errors import ConfigError
from scd_lightning.launch import network
from scd_lightning.models.causal_lm import CausalLM
from scd_lightning.models.sharding import process_mesh, shard
from scd_lightning.models.spec import ModelSpec
from scd_lightning.training.private_parts import leave_signals_alone
from scd_lightning.training.strategies import ShardedStrategy

# Precisions of Lightning that hold the weights themselves in another dtype than the model's own.
_WEIGHTS = {"64": torch.float64, "64-true": torch.float64, "bf16-true": torch.bfloat16, "16-true": torch.float16}
# Strategies that leave each process a whole model, or cut it as models are cut here.
_STRATEGIES = (SingleDeviceStrategy, DDPStrategy, ShardedStrategy)
# Precisions that sharded models are trained in: a scaled loss would need its overflows told to all processes.
_SHARDED = ("32-true", "64-true", "bf16-mixed", "bf16-true")
M = TypeVar("M", bound=nn.Module)


def count_gpus() -> int:
    """How many GPUs this process sees, without waking them."""
    return torch.cuda.device_count()


def runs_on_gpu(options: Mapping[str, Any]) -> bool:
    """Whether a trainer that is told so has its models on GPUs, here.

    Args:
        options: The part `trainer` of a configuration, or what of it is Lightning's.
    """
    return options.get("accelerator") != "cpu" and torch.cuda.is_available()


class TrainerFactory:
    """Makes one trainer for each fit, validation or prediction of a job.

    Args:
        devices: Number of processes on this machine.
        micro_batches: Forward passes that each process makes for one optimizer step (gradient accumulation).
        strategy: "auto", or a maker of a Lightning strategy: a strategy object serves one trainer only.
        num_nodes: Number of machines.
        wait_minutes: How long the processes wait for one another before they count one as hung.
        **options: Further arguments of `lightning.Trainer`, of those that `config/trainer_options.py` has users set.

    Attributes:
        options: Those of them that Lightning is to be told.
    """

    def __init__(
        self,
        devices: int = 1,
        micro_batches: int = 1,
        strategy: str | Callable[[], Strategy] = "auto",
        num_nodes: int = 1,
        wait_minutes: float = 30,
        **options: Any,
    ) -> None:
        self.options = check_trainer(devices, micro_batches, strategy, num_nodes, wait_minutes, **options)
        self.devices, self.micro_batches, self.strategy = devices, micro_batches, strategy
        self.num_nodes, self.wait_minutes = num_nodes, wait_minutes

    def check_devices(self, *, launched: bool) -> None:
        """Fails early where the devices are not there, or this process can't start the others.

        Args:
            launched: Whether this is one of several processes already, started by torchrun.

        Raises:
            ConfigError: There are fewer GPUs than devices, or several machines and no torchrun; or torchrun has started
                another number of processes.
        """
        gpus = count_gpus()
        if self.options.get("accelerator") in ("gpu", "cuda") and gpus < self.devices:
            raise ConfigError(
                "There are fewer GPUs than the job wants",
                where="trainer.devices",
                got=f"{self.devices} devices, {gpus} GPUs",
                remedy="lower trainer.devices, or take trainer=cpu, trainer=ddp_cpu or trainer=fsdp_cpu",
            )
        if self.num_nodes > 1 and not launched:
            raise ConfigError(
                "A job on several machines has to be started on each of them",
                where="trainer.num_nodes",
                got=self.num_nodes,
                remedy="start it by torchrun --nnodes=... --nproc-per-node=... run.py ... on each machine",
            )
        if launched:
            self._check_launch()

    def _check_launch(self) -> None:
        """Others than the trainers count on would wait for one another, or each train alone."""
        here, all_of_them = (int(os.environ.get(name, "0")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        if (here, all_of_them) != (self.devices, self.devices * self.num_nodes):
            raise ConfigError(
                "Torchrun has started another number of processes than the job has",
                where="trainer.devices, trainer.num_nodes",
                got=f"{self.devices} devices on each of {self.num_nodes} machines",
                expected=f"{here} processes on this machine, of {all_of_them}",
                remedy="trainer.devices as --nproc-per-node, trainer.num_nodes as --nnodes",
            )

    @property
    def on_gpu(self) -> bool:
        """Whether its models are on GPUs."""
        return runs_on_gpu(self.options)

    @property
    def shards(self) -> bool:
        """Whether the processes share the weights among them, instead of having all of them each."""
        return self._has_strategy(ShardedStrategy)

    def _has_strategy(self, *kinds: type) -> bool:
        made = getattr(self.strategy, "func", self.strategy)
        return isinstance(made, type) and issubclass(made, kinds)

    def check_options(self) -> None:
        """Fails before anything is trained where Lightning can't make such a trainer.

        Raises:
            ConfigError: An option is unknown or wrong.
        """
        self._check_strategy()
        self._check_plugins()
        precision = str(self.options.get("precision"))
        if self.shards and precision not in _SHARDED:
            raise ConfigError(
                "Models that are cut over processes can't be trained in this precision",
                where="trainer.precision",
                got=precision,
                expected=", ".join(_SHARDED),
            )
        try:
            # The strategy of several processes would look for them; a single process shows what is wrong elsewhere.
            self(devices=1, num_nodes=1, strategy="auto")
        except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"Lightning can't make such a trainer ({error})", where="trainer") from error

    def _check_strategy(self) -> None:
        # One of DDP's kind that cuts models over processes in its own way.
        known = self._has_strategy(*_STRATEGIES) and not self._has_strategy(DeepSpeedStrategy)
        if not isinstance(self.strategy, str) and not known:
            raise ConfigError(
                "Models can't be trained by this strategy",
                where="trainer.strategy",
                got=self.strategy,
                remedy="in its place take trainer=ddp or trainer=fsdp; on a CPU, trainer=ddp_cpu or trainer=fsdp_cpu",
            )
        if self.shards and self.options.get("inference_mode"):
            raise ConfigError(
                "Models that are cut over processes can't be validated in inference mode and trained afterwards",
                where="trainer.inference_mode",
                got=True,
                expected="false, or leave it out",
            )

    def _check_plugins(self) -> None:
        given = self.options.get("plugins", [])
        for plugin in given if isinstance(given, Sequence) else [given]:
            if not isinstance(plugin, CheckpointIO):
                raise ConfigError(
                    "Lightning's Trainer can't have such a plugin here",
                    where="trainer.plugins",
                    got=type(plugin).__name__,
                    expected="plugins that write files (CheckpointIO)",
                    remedy="trainer.precision says how to compute; run.py, torchrun or srun start the processes",
                )

    def check_validation(self, sampler: PlanSampler, epochs: int) -> None:
        """Fails early where a student's training would end without having been validated.

        Args:
            sampler: What a process trains on in each epoch.
            epochs: Epochs of the training.

        Raises:
            ConfigError: It would.
        """
        interval, every = self.options.get("val_check_interval"), self.options.get("check_val_every_n_epoch", 1)
        if type(interval) is int:
            most = len(sampler) * (epochs if every is None else 1)
            if interval > most:
                raise ConfigError(
                    "There are fewer batches than from one validation to the next",
                    where="trainer.val_check_interval",
                    got=f"{interval}, of {most} batches",
                    expected=f"1 to {most}",
                )
        if every is not None and every > epochs:
            raise ConfigError(
                "There are fewer epochs than from one validation to the next",
                where="trainer.check_val_every_n_epoch",
                got=f"{every}, of {epochs} epochs",
                expected=f"1 to {epochs}",
            )

    def check_model(self, spec: ModelSpec) -> None:
        """Fails early where a model can't be cut over the processes, and would have to be.

        Raises:
            ConfigError: Its weights are quantized.
        """
        if self.shards and spec.quantization is not None:
            raise ConfigError(
                "Quantized weights can't be cut over processes",
                where=f"{spec.role}.quantization",
                got=f"{spec.quantization}, with trainer=fsdp",
                remedy=f"set {spec.role}.quantization=null, since trainer=fsdp saves memory too; or take trainer=ddp",
            )

    def __call__(
        self, *, max_epochs: int = 1, callbacks: Sequence[Callback] = (), loggers: Sequence[Logger] = (), **fixed: Any
    ) -> Trainer:
        """A trainer whose sampler, checkpoints and display are this package's own matter.

        Args:
            max_epochs: Epochs of a fit.
            callbacks: Callbacks of this fit.
            loggers: Loggers; none logs nothing.
            **fixed: Further arguments, which win over the user's.
        """
        strategy = self.strategy if isinstance(self.strategy, str) else self.strategy()
        # Lightning leaves these two as an earlier trainer of the process has set them.
        given = {"deterministic": False, "benchmark": False} | self.options
        own = self._sharded_options() | {
            "devices": self.devices,
            "num_nodes": self.num_nodes,
            "strategy": strategy,
            "accumulate_grad_batches": self.micro_batches,
            "max_epochs": max_epochs,
            "callbacks": list(callbacks),
            "logger": list(loggers) or False,
            # The batch plan shards; a sampler of Lightning's would shard again.
            "use_distributed_sampler": False,
            # States of a training are saved by a callback of this package, the only one of its kind.
            "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
        arguments = {**given, **own, **fixed}
        self._join(arguments)
        if "profiler" in given:
            # It reports to Lightning's log, which is silenced.
            logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)
        return leave_signals_alone(Trainer(**arguments))

    def _join(self, arguments: Mapping[str, Any]) -> None:
        """Leaves nothing to Lightning that starts processes, or listens for them."""
        several = arguments["devices"] * arguments["num_nodes"] > 1
        if several and not distributed.active():
            # It would start run.py once more for each, which would make everything a second time.
            raise RuntimeError("a trainer of several processes was asked for in a process on its own")
        if not several and not distributed.active() and arguments["strategy"] != "auto":
            network.choose_interface()
            distributed.join_alone(on_gpu=self.on_gpu)

    def _sharded_options(self) -> dict[str, Any]:
        """What Lightning has to be told besides the strategy, where models are cut over processes."""
        if not self.shards:
            return {}
        # Weights that are put together in inference mode could not be trained afterwards.
        options: dict[str, Any] = {"inference_mode": False}
        if str(self.options.get("precision")) in ("64", "64-true"):
            # Lightning refuses the name with its ModelParallelStrategy, and takes what it stands for.
            plugins = self.options.get("plugins") or []
            plugins = list(plugins) if isinstance(plugins, Sequence) else [plugins]
            options |= {"precision": None, "plugins": [*plugins, DoublePrecision()]}
        return options

    def shard(self, model: CausalLM) -> CausalLM:
        """The model cut over the processes, where the strategy is such a one and there are several; all call it."""
        if not (self.shards and distributed.active()):
            return model
        # Sharded models are in cycles of references: those of earlier phases are in memory until someone looks.
        gc.collect()
        return shard(model, process_mesh("cuda" if self.on_gpu else "cpu"))

    def convert(self, model: M) -> M:
        """The model in the dtype that training leaves its weights in, so that they fit it wherever they are loaded."""
        dtype = _WEIGHTS.get(str(self.options.get("precision")))
        return model if dtype is None else model.to(dtype)
