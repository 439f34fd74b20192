"""Where numbers come from: the machine and the versions."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.settings import PEERS, ROOT, Settings
from scd_lightning.errors import ConfigError

_OWN = ("torch", "transformers", "lightning", "scd-lightning")
_TELL = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


def machine(device: str) -> dict[str, Any]:
    """What computes: {"device", "cpu", "kernels", "cores", "threads", "memory_gb", "gpu" or None, "os", "python"}.

    Processors of one name may have kernels of several kinds, such as AVX2 and AVX512, which round otherwise.

    Args:
        device: "cpu" or "cuda".
    """
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "device": device,
        "cpu": _cpu(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": gpu,
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def folder_name(about: dict[str, Any]) -> str:
    """Name of the folder of a machine's results: the card's, or the processor's and its number of cores."""
    name = about["gpu"] or f"{about['cpu']} {about['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", name.lower())).strip("-")


def versions(settings: Settings) -> dict[str, str]:
    """Versions of what is measured; of the other frameworks, those whose environments are there."""
    found = {name: version(name) for name in _OWN}
    for peer, (_, package) in PEERS.items():
        python = settings.peers / peer / "bin" / "python"
        if python.exists():
            names = (package, "torch", "transformers")
            told = subprocess.run([python, "-c", _TELL, *names], capture_output=True, text=True, check=True)
            own, torch_version, transformers = told.stdout.split()
            found[package] = f"{own} (torch {torch_version}, transformers {transformers})"
    return found


def commit(name: str = "HEAD") -> str | None:
    """The commit that is checked out, or that goes by a name; None where there is no git.

    Raises:
        ConfigError: There is no such commit.
    """
    command = ["git", "rev-parse", "--short", "--verify", "--quiet", f"{name}^{{commit}}"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    if done.returncode and name != "HEAD":
        raise ConfigError("There is no such commit", where="commit", got=name, expected="a commit of this repository")
    return done.stdout.strip() or None


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()
