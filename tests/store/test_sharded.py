"""A model in two parts leaves the same files as the whole one, and reads what that has left."""

import copy
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from scd_lightning.errors import StoreError
from scd_lightning.store.checkpoints import CheckpointStore, required_bytes
from scd_lightning.store.sharded import gathered, whole


class Model(nn.Module):
    """Tied head, a frozen layer, a persistent buffer; of 5 rows and of 1, which two processes can't halve."""

    def __init__(self, seed=0, width=3, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(5, width, dtype=dtype)
        self.middle = nn.Linear(width, 1, dtype=dtype)
        self.back = nn.Linear(1, width, dtype=torch.bfloat16).requires_grad_(False)
        self.head = nn.Linear(width, 5, bias=False, dtype=dtype)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.randn(2, dtype=dtype))

    def forward(self, ids):
        hidden = self.embedding(ids)
        return self.head(hidden + self.back(self.middle(hidden).bfloat16()))


def cut(model):
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model.middle, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def files(root):
    return {path.name: path.read_bytes() for path in root.iterdir()}


def saving(root, keep_frozen):
    model = Model()
    parts = cut(copy.deepcopy(model))
    assert required_bytes(parts, 2, keep_frozen=keep_frozen) == required_bytes(model, 2, keep_frozen=keep_frozen)
    expected, found = CheckpointStore(root / f"whole-{dist.get_rank()}"), CheckpointStore(root / "parts")
    for step in (1, 2):
        with torch.no_grad():
            for each in (model, parts):
                each.embedding.weight.mul_(2)
        expected.save(model, step, {}, keep_frozen=keep_frozen)
        parts(torch.arange(5))  # which puts weights together, and leaves them so
        weights = gathered(parts, keep_frozen=keep_frozen)
        if dist.get_rank() == 0:
            found.save(weights, step, {}, keep_frozen=keep_frozen)
    dist.barrier()
    assert files(found.root) == files(expected.root)


@pytest.mark.parametrize("keep_frozen", [True, False])
def test_the_same_files(tmp_path, in_two_processes, keep_frozen):
    assert in_two_processes(partial(saving, tmp_path, keep_frozen)) == [0, 0]


def loading(store, expected):
    parts = cut(Model(seed=1))
    held = [(weight, weight.to_local().data_ptr()) for weight in parts.parameters()]
    parts(torch.arange(5))
    count = store.load_into(parts, 0)
    assert count < sum(tensor.nbytes for tensor in expected.values())
    found = parts.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(whole(found[name]), expected[name]) for name in expected)
    # The tensors that an optimizer holds are still the model's.
    assert [id(weight) for weight in parts.parameters()] == [id(weight) for weight, _ in held]
    assert [weight.to_local().data_ptr() for weight, _ in held] == [place for _, place in held]
    for other, message in ((Model(width=4), "does not fit"), (Model(dtype=torch.float64), "does not fit")):
        with pytest.raises(StoreError, match=message):
            store.load_into(cut(other), 0)


def test_reads_what_a_whole_model_has_left(tmp_path, in_two_processes):
    model, store = Model(), CheckpointStore(tmp_path / "store")
    store.save(model, 1, {})
    assert in_two_processes(partial(loading, store, model.state_dict())) == [0, 0]


def test_a_whole_module_is_its_own():
    model = Model()
    assert gathered(model, keep_frozen=True) is model
