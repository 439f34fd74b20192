"""A model cut over the processes of a job (FSDP2): each has a part of every weight, and a whole layer while it runs."""

from functools import lru_cache

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard

from scd_lightning import distributed
from scd_lightning.models.causal_lm import CausalLM


@lru_cache
def process_mesh(device_type: str) -> DeviceMesh:
    """All processes in a row; made once, since each new one could cost a GPU the buffers of a new communicator.

    Args:
        device_type: "cpu" or "cuda".
    """
    return init_device_mesh(device_type, (distributed.world_size(),), mesh_dim_names=("data_parallel",))


def shard(model: CausalLM, mesh: DeviceMesh) -> CausalLM:
    """Cuts a model's weights over the processes, in place. All call it, with equal models.

    Each transformer layer is put together by itself, just before it runs, and given up after it. What stands outside
    of the layers (embeddings, last norm, LM head) is one more such part, which stays together from the forward pass to
    the end of the backward pass: the loss takes the head's weight itself. Tied embeddings and head stay one weight.

    Args:
        model: The model, whole.
        mesh: The processes.
    """
    kinds = set(model.base._no_split_modules or ())
    # Embeddings are among what some models must not split, but their weight may be the head's.
    tables = (model.base.get_input_embeddings(), model.base.get_output_embeddings())
    outer = {id(weight) for table in tables for weight in table.parameters()}
    for layer in [module for module in model.body.modules() if type(module).__name__ in kinds]:
        if not outer & {id(weight) for weight in layer.parameters()}:
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model
