"""The parts that no cached distillation step can do without, each measured alone."""

import time
from collections.abc import Callable

import torch

from benchmarks.contenders.gate import synchronize
from benchmarks.workload import Case

# Large enough for a device's full speed.
GEMM_SIZES = {"cpu": 2048, "cuda": 8192}


def parts(case: Case, device: str) -> dict[str, Callable[[], object]]:
    """What to time, every tensor allocated and touched before.

    Args:
        case: The workload.
        device: "cpu" or "cuda".

    Returns:
        head: the teacher's LM head on the K completion tokens of a step, [K, D] x [D, V].
        vocabulary_pass: one pass over K x V, two float32 tensors read and one written.
        gemm: a product of two square matrices of the device's GEMM_SIZES, for the machine's own speed.
    """
    dtype, size = getattr(torch, case.dtype), GEMM_SIZES[device]

    def random(rows: int, columns: int, dtype: torch.dtype = dtype) -> torch.Tensor:
        return torch.randn(rows, columns, device=device).to(dtype)

    hidden, head = random(case.completion_tokens, case.teacher.hidden), random(case.vocab_size, case.teacher.hidden)
    left, right = (random(case.completion_tokens, case.vocab_size, torch.float32) for _ in range(2))
    result = torch.zeros_like(left)
    # The logits take the place of an operand where they have its dtype: memory is short at large vocabularies.
    logits = left if dtype == torch.float32 else left.to(dtype)
    square, other = random(size, size), random(size, size)
    product = torch.zeros_like(square)
    return {
        "head": lambda: torch.mm(hidden, head.T, out=logits),
        "vocabulary_pass": lambda: torch.sub(left, right, out=result),
        "gemm": lambda: torch.mm(square, other, out=product),
    }


def timed(part: Callable[[], object], device: str) -> dict[str, float]:
    """Seconds and CPU-seconds of a call: {"seconds", "cpu_seconds"}."""
    synchronize(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    part()
    synchronize(device)
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}


def gemm_operations(size: int) -> int:
    """Floating-point operations of a product of two square matrices."""
    return 2 * size**3
