"""Whether an error is the memory's, on a GPU or a CPU."""

import torch

# What torch's allocators say where they raise no error of their own kind, on a CPU.
_SIGNS = ("can't allocate memory", "not enough memory", "cannot allocate memory")


def is_about_memory(error: BaseException) -> bool:
    """Whether it says that memory did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)
