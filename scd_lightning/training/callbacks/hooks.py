"""The hooks of a callback, each in something of ours."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from lightning import Callback

HOOKS = ("setup", "teardown", *(name for name in dir(Callback) if name.startswith("on_")))
Hook = Callable[..., Any]
C = TypeVar("C", bound=Callback)


def wrapped(callback: C, wrap: Callable[[Hook, str], Hook], besides: Collection[str] = ()) -> C:
    """The callback, with what is made of each hook that its class has of its own.

    Args:
        callback: The callback.
        wrap: (hook, its name with the class's, for messages) -> what is called in its place.
        besides: Names of hooks that stay as they are.
    """
    for name in HOOKS:
        if name not in besides and getattr(type(callback), name) is not getattr(Callback, name):
            setattr(callback, name, wrap(getattr(callback, name), f"{type(callback).__name__}.{name}"))
    return callback
