"""The few collective operations that run outside a DDP-wrapped step; every one is free on a single process."""

import atexit
import os
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from scd_lightning.errors import StoreError

T = TypeVar("T")

# How long processes wait for one another, once they have joined.
_patience = timedelta(minutes=30)


def join(*, on_gpu: bool, minutes: float) -> None:
    """Joins the process group at once, so that the store's decisions are common ones before any trainer exists.

    Args:
        on_gpu: Whether each process has a GPU of its own.
        minutes: How long the processes wait for one another: one may save, hash or download for all.
    """
    global _patience
    _patience = timedelta(minutes=minutes)
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_patience)


def join_alone(*, on_gpu: bool) -> None:
    """Makes the group of a single process, where a strategy wants one: by itself it would listen for others.

    Args:
        on_gpu: Whether the process has a GPU.
    """
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo", store=dist.HashStore(), rank=0, world_size=1)
        atexit.register(leave)


def leave() -> None:
    """Ends the process group's threads: one that still wants the interpreter's lock at exit aborts the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def active() -> bool:
    """Whether several processes work together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """This process, 0 to world size - 1."""
    return dist.get_rank() if active() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if active() else 1


def barrier() -> None:
    """Waits for all processes."""
    if active():
        dist.barrier()


def _device() -> torch.device:
    # NCCL takes tensors of a GPU alone, and gloo those of the CPU.
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


def sum_over_ranks(values: Tensor) -> Tensor:
    """The element-wise sum of all processes' values, on the CPU."""
    if not active():
        return values.cpu()
    moved = values.to(_device(), copy=True)
    dist.all_reduce(moved)
    return moved.cpu()


def max_over_ranks(value: int) -> int:
    """The largest of all processes' values."""
    if not active():
        return value
    box = torch.tensor([value], device=_device())
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return int(box)


def from_first_rank(value: T) -> T:
    """Process 0's value, on every process."""
    if not active():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_lists(values: list[T]) -> list[T]:
    """All processes' lists joined, on every process."""
    if not active():
        return values
    gathered: list[list[T]] = [[] for _ in range(world_size())]
    dist.all_gather_object(gathered, values)
    return [value for part in gathered for value in part]


def require_equal(value: str, what: str) -> None:
    """Stops all processes where they hold different values, e.g. digests of what they just loaded.

    Raises:
        StoreError: They differ; the message shows each.
    """
    values = gather_lists([value])
    if len(set(values)) > 1:
        raise StoreError(
            f"The processes see different versions of {what}",
            got=", ".join(f"rank {i}: {v[:12]}" for i, v in enumerate(values)),
            expected="one shared store",
            remedy="put paths.store on a file system that all nodes share",
        )


class Vote:
    """Asks all processes for their wishes without waiting for them: each gets the answer with its next question.

    The questions of all processes pair up, so each gets the same answers at the same places. Runs beside everything
    else, in a group of its own on the CPU: no GPU is waited for. All processes make one together.
    """

    def __init__(self) -> None:
        self._group = dist.new_group(backend="gloo", timeout=_patience) if active() else None
        self._asked: tuple[Tensor, dist.Work] | None = None

    def ask(self, wishes: tuple[bool, ...]) -> tuple[bool, ...]:
        """The wishes that any process had the last time; on a single process, these."""
        if self._group is None:
            return wishes
        answer = self._wait(len(wishes))
        asked = torch.tensor(wishes, dtype=torch.int32)
        work = dist.all_reduce(asked, dist.ReduceOp.MAX, self._group, async_op=True)
        assert work is not None
        self._asked = asked, work
        return answer

    def ask_and_wait(self, wishes: tuple[bool, ...]) -> tuple[bool, ...]:
        """The wishes that any process has now, or had the last time."""
        before = self.ask(wishes)
        if self._group is None:
            return before
        return tuple(one or other for one, other in zip(before, self._wait(len(wishes)), strict=True))

    def _wait(self, count: int) -> tuple[bool, ...]:
        if self._asked is None:
            return (False,) * count
        values, work = self._asked
        work.wait()
        self._asked = None
        return tuple(bool(value) for value in values.tolist())
