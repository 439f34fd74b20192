"""Starts contenders and has them make one step each in turn, so that whatever else the machine does falls on all."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders.gate import ORDERS, REPORTS
from benchmarks.settings import ROOT, Settings

Report = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """A program that trains.

    Attributes:
        module: Its module.
        kind: Which of several contenders of that module; "" where it has one.
        peer: Name of the environment that it runs in; "" for this one.
    """

    module: str
    kind: str = ""
    peer: str = ""


CONTENDERS = {
    "bare": Contender("bare"),
    "sft": Contender("ours", "sft"),
    "cached": Contender("ours", "cached"),
    "live": Contender("ours", "live"),
    "texts": Contender("ours", "texts"),
    "trl": Contender("trl_gkd", peer="trl"),
    "modelopt": Contender("modelopt_kd", peer="modelopt"),
    "floor": Contender("parts"),
}


class Running:
    """A contender's process, with the referee's ends of its two pipes.

    Args:
        settings: The settings.
        name: One of CONTENDERS.
        folder: What `workload.make` wrote; its output goes there too.
        epochs: Epochs of a whole run without gates; 0 for gated steps.
    """

    def __init__(self, settings: Settings, name: str, folder: Path, epochs: int = 0) -> None:
        contender = CONTENDERS[name]
        python = settings.python(contender.peer) if contender.peer else sys.executable
        command = [str(python), "-m", f"benchmarks.contenders.{contender.module}", str(folder)]
        command += ["--device", settings.device, "--epochs", str(epochs), "--kind", contender.kind]
        their_orders, orders = os.pipe()
        reports, their_reports = os.pipe()
        self.name, self.log = name, folder / f"{name}.log"
        environment = {ORDERS: str(their_orders), REPORTS: str(their_reports)}
        # Trainers of transformers take all the GPUs that they see.
        environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=settings.environment | environment,
                pass_fds=(their_orders, their_reports),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        os.close(their_orders)
        os.close(their_reports)
        self._orders, self._reports = os.fdopen(orders, "w"), os.fdopen(reports)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process, however far it is."""
        self._orders.close()
        self._reports.close()
        self.process.kill()
        self.process.wait()

    def read(self) -> Report:
        """Waits for the next report.

        Raises:
            RuntimeError: The contender is gone; the message ends with what it printed last.
        """
        line = self._reports.readline()
        if not line:
            raise RuntimeError(
                f"The contender {self.name} ended with exit code {self.process.wait()}:\n{self.log.read_text()[-4000:]}"
            )
        report: Report = json.loads(line)
        return report

    def step(self) -> Report:
        """Has it make a step, and returns what that took."""
        self._orders.write("go\n")
        self._orders.flush()
        return self.read()


def interleaved(settings: Settings, names: Sequence[str], folder: Path, steps: int) -> dict[str, list[Report]]:
    """Has contenders make their steps in turn: one of each, then the second of each, and so on.

    Args:
        settings: The settings.
        names: Some of CONTENDERS.
        folder: What `workload.make` wrote.
        steps: Number of steps.

    Returns:
        For each contender, its reports: loss, seconds, cpu_seconds, peak_bytes.
    """
    with ExitStack() as stack:
        running = [stack.enter_context(Running(settings, name, folder)) for name in names]
        for contender in running:
            contender.read()
        reports: dict[str, list[Report]] = {name: [] for name in names}
        for _ in range(steps):
            for contender in running:
                reports[contender.name].append(contender.step())
        return reports


def whole_run(settings: Settings, name: str, folder: Path, epochs: int) -> Report:
    """Has a peer train by itself for some epochs.

    Args:
        settings: The settings.
        name: One of PEERS.
        folder: What `workload.make` wrote.
        epochs: Epochs over the case's samples.

    Returns:
        seconds and cpu_seconds of its train(), models loaded before; peak_bytes; steps; the last step's loss.
    """
    with Running(settings, name, folder, epochs) as running:
        return running.read()
