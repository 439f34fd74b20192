"""A contender's end of the referee's protocol: it waits for an order, makes one step, and reports what that took."""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

ORDERS, REPORTS = "BENCHMARK_ORDERS", "BENCHMARK_REPORTS"
# The first steps allocate what all later ones use again; peak memory is counted after them.
WARM_UP_STEPS = 2


class Gate:
    """Where a contender waits between two steps, asleep in a read of the pipe that the referee's orders come by.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self._orders = os.fdopen(int(os.environ[ORDERS]), "r")
        self._reports = os.fdopen(int(os.environ[REPORTS]), "w")
        self._device = device
        self._steps = 0

    def ready(self) -> None:
        """Says that everything is loaded, and waits for the order to make the first step."""
        self._report({"ready": True})
        self._wait()

    def done(self, loss: float | torch.Tensor, **more: Any) -> None:
        """Reports a step and waits for the order to make the next one; after the last one, the order to end.

        Args:
            loss: The step's loss, not scaled.
            **more: What else the report holds.
        """
        synchronize(self._device)
        seconds, cpu_seconds = time.perf_counter() - self._start, time.process_time() - self._cpu_start
        self._steps += 1
        report = {"loss": float(loss), "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak(self._device)}
        self._report(report | more)
        if self._steps == WARM_UP_STEPS:
            reset_peak(self._device)
        self._wait()

    def report_run(self, run: dict[str, Any]) -> None:
        """Reports a whole run, after which nothing follows."""
        self._report(run)

    def _report(self, content: dict[str, Any]) -> None:
        self._reports.write(json.dumps(content) + "\n")
        self._reports.flush()

    def _wait(self) -> None:
        if not self._orders.readline():
            raise SystemExit("The referee is gone.")
        synchronize(self._device)
        self._start, self._cpu_start = time.perf_counter(), time.process_time()


def synchronize(device: str) -> None:
    """Waits until a GPU has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> None:
    """Starts the count of peak memory afresh."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: str) -> int:
    """Most bytes held since the last reset: of the process, or of tensors on the GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM; peak memory is measured on Linux only")
