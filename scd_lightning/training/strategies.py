"""FSDP2 as a strategy of Lightning's, for models that are cut over the processes before a trainer sees them."""

from lightning import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.fsdp import FSDPModule
from typing_extensions import override

from scd_lightning.models.sharding import process_mesh


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's `ModelParallelStrategy` with all processes in one row: data parallel, each with a part of the model.

    Unlike it, it makes no new process groups for every trainer: they would pile up, each with buffers on the GPU.

    Args:
        process_group_backend: As Lightning has it.
    """

    def __init__(self, process_group_backend: str | None = None) -> None:
        super().__init__(save_distributed_checkpoint=False, process_group_backend=process_group_backend)

    @override
    def setup_environment(self) -> None:
        """Joins the processes, as Lightning's own does, but keeps to the mesh that the models are cut by."""
        self._setup_distributed()
        self._device_mesh = process_mesh(self.root_device.type)

    @override
    def setup(self, trainer: Trainer) -> None:
        """Has the optimizer see the parts, which are its parameters, whatever ran before."""
        assert self.model is not None
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()
        super().setup(trainer)
