"""Settings of a data source that are numbers: checked, and in the form that reading takes."""

from collections.abc import Mapping
from typing import Any

from scd_lightning.data.splits import SPLITS
from scd_lightning.data.unlabelled import UNLABELLED
from scd_lightning.errors import ConfigError

_GENERATOR_ARGUMENTS = (*SPLITS, UNLABELLED, "seed", "label_noise")


def read_ratios(validation: float, test: float) -> dict[str, float]:
    """Split -> share of train that it gets where the data lack it; raises a ConfigError for shares that can't be."""
    ratios = {"validation": validation, "test": test}
    for split, ratio in ratios.items():
        if not isinstance(ratio, int | float) or not 0 < ratio < 1:
            where = f"task.data.{split}_ratio"
            raise ConfigError(f"{split}_ratio is out of range", where=where, got=ratio, expected="between 0 and 1")
    if validation + test >= 1:
        raise ConfigError(
            "Nothing would be left of train",
            where="task.data.validation_ratio, task.data.test_ratio",
            got=f"{validation} and {test}",
            expected="a sum below 1",
        )
    return ratios


def read_generator_arguments(synthetic: Mapping[str, Any]) -> dict[str, Any]:
    """What the generator of the embedded data is told, without what is left to it; raises a ConfigError for others."""
    unknown = sorted(set(synthetic) - set(_GENERATOR_ARGUMENTS))
    sizes = {name: synthetic.get(name) for name in (*SPLITS, UNLABELLED)}
    # None or no texts without labels are the same; each split needs a row.
    least = {UNLABELLED: 0}
    bad = {name: n for name, n in sizes.items() if n is not None and (not isinstance(n, int) or n < least.get(name, 1))}
    if unknown or bad:
        raise ConfigError(
            "The embedded data set can't be made",
            where="task.data.synthetic",
            got=", ".join([*unknown, *(f"{name}={value}" for name, value in bad.items())]),
            expected=f"{', '.join(_GENERATOR_ARGUMENTS)}; sizes from 1",
        )
    return {name: value for name, value in synthetic.items() if value is not None}


def read_limits(max_samples: int | Mapping[str, int] | None) -> dict[str, int]:
    """Split -> the most samples of it; raises a ConfigError for an unknown split, or a number below 1."""
    if max_samples is None:
        return {}
    limits = dict(max_samples) if isinstance(max_samples, Mapping) else dict.fromkeys(SPLITS, max_samples)
    for split, limit in limits.items():
        if split not in (*SPLITS, UNLABELLED) or not isinstance(limit, int) or limit < 1:
            raise ConfigError(
                "max_samples can't be used",
                where="task.data.max_samples",
                got=f"{split}: {limit}",
                expected=f"a number from 1, or one for each of {', '.join(SPLITS)}, and {UNLABELLED}",
            )
    return limits
