"""Whether an error is the memory's, on a GPU or a CPU."""

import torch

# What allocators of a CPU, CUDA itself, cuBLAS and NCCL say, in errors of no kind of their own.
_SIGNS = (
    *("can't allocate memory", "not enough memory", "cannot allocate memory", "out of memory"),
    "cublas_status_alloc_failed",
)


def is_about_memory(error: BaseException) -> bool:
    """Whether it says that memory did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)
