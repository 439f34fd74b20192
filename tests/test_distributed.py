"""The collective operations, alone and over two processes."""

import multiprocessing
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from scd_lightning import distributed
from scd_lightning.errors import StoreError


def test_one_process_pays_nothing():
    assert not distributed.active()
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    distributed.barrier()
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(distributed.sum_over_ranks(values), values)
    assert distributed.from_first_rank("value") == "value"
    assert distributed.gather_lists([1, 2]) == [1, 2]
    distributed.require_equal("digest", "the checkpoint")


def _two(rank: int) -> None:
    assert distributed.active()
    assert (distributed.rank(), distributed.world_size()) == (rank, 2)
    distributed.barrier()
    values = torch.tensor([1.0, float(rank)], dtype=torch.float64)
    assert distributed.sum_over_ranks(values).tolist() == [2.0, 1.0]
    assert values.tolist() == [1.0, float(rank)]
    assert distributed.from_first_rank({"choice": rank}) == {"choice": 0}
    # Lists of unequal lengths, in the order of the ranks.
    assert distributed.gather_lists(["a"] if rank == 0 else ["b", "c"]) == ["a", "b", "c"]
    assert distributed.gather_lists([]) == []
    distributed.require_equal("digest", "the checkpoint")
    with pytest.raises(StoreError, match=r"different versions of the checkpoint.*rank 0: of 0, rank 1: of 1"):
        distributed.require_equal(f"of {rank}", "the checkpoint")


def _process(rank: int, folder: Path) -> None:
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
        _two(rank)
        dist.destroy_process_group()
    except BaseException:
        (folder / f"error-{rank}").write_text(traceback.format_exc())
        raise


@pytest.mark.skipif(torch.cuda.is_available(), reason="a process that may have used a GPU can't be forked")
def test_two_processes(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_process, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    assert [path.read_text() for path in tmp_path.glob("error-*")] == []
    assert [process.exitcode for process in processes] == [0, 0]
