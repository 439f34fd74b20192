"""The task of a run that was saved: what it declares of metrics, reports and cards holds for them too."""

from collections.abc import Mapping, Sequence
from typing import Any

from scd_lightning.errors import ConfigError
from scd_lightning.tasks.classification import Classification
from scd_lightning.tasks.ner import NER
from scd_lightning.tasks.qa import QA
from scd_lightning.tasks.task import Task

_OWN = {each.task: each for each in (NER, QA, Classification)}


def task_of(name: str, config: Mapping[str, Any], allowed: Sequence[str] = ()) -> type[Task] | None:
    """The class of a run's task.

    Args:
        name: What results call it.
        config: The run's configuration; may be empty.
        allowed: Packages that a configuration may name classes of, besides this one: a run's folder may come from
            elsewhere, and importing runs code.

    Returns:
        None where it is none of this package's, nor allowed.
    """
    target = (config.get("task") or {}).get("_target_")
    if name in _OWN or target is None:
        return _OWN.get(name)
    # Not at once: what is about this package's own tasks needs no Hydra.
    from scd_lightning.config.targets import find_target

    try:
        found = find_target(target, allowed, "task")
    except ConfigError:
        return None
    return found if isinstance(found, type) and issubclass(found, Task) else None
