"""Scheduled checkpoint distillation with adaptive weighting, on PyTorch Lightning.

Of Python, a few names do: `run` runs a job as the command `scd` does and gives a `RunResult`, `Student` answers texts,
and `ScdError` is what they raise where a mistake can be mended. They are loaded when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scd_lightning.analysis.run.run_result import RunResult
    from scd_lightning.cli.in_python import run
    from scd_lightning.errors import ScdError
    from scd_lightning.use.student import Student

__version__ = "0.1.0"
__all__ = ["RunResult", "ScdError", "Student", "run"]

_PLACES = {
    "RunResult": "scd_lightning.analysis.run.run_result",
    "ScdError": "scd_lightning.errors",
    "Student": "scd_lightning.use.student",
    "run": "scd_lightning.cli.in_python",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
