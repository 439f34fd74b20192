"""How this package is run: by its command `scd` where that is installed, or by Python from a clone."""

import sys
from pathlib import Path

SCD = "scd"
# Commands that can be had without `scd`, as they were before there was one.
_BY_PYTHON = {
    "": ["python", "run.py"],
    "report": ["python", "-m", "scd_lightning.report"],
    "store": ["python", "-m", "scd_lightning.store"],
}


def program(command: str = "") -> list[str]:
    """The words that run a command of this package, as the running process was started.

    Args:
        command: "report", "store", "predict" and the like; "" is what runs jobs.
    """
    if Path(sys.argv[0]).stem == SCD:
        return [SCD, command] if command else [SCD]
    return _BY_PYTHON.get(command) or ["python", "-m", "scd_lightning", command]


def configuration() -> Path:
    """The folder conf/: that of a clone, or the one that an installed package has in itself."""
    package = Path(__file__).resolve().parents[1]
    clone = package.with_name("conf")
    return clone if package.with_name("run.py").is_file() and clone.is_dir() else package / "conf"
