"""Where classes and functions were defined, which may be none of the places that they are imported from."""

import functools
import inspect


def defined_as(target: object) -> str:
    """Module and name under which an object was defined; of a wrapper around a function, those of the function.

    >>> import os.path, functools
    >>> defined_as(functools.partial(os.path.join, "a")), defined_as("".join), defined_as(eval)
    ('posixpath.join', 'builtins.str.join', 'builtins.eval')
    """
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.ismethod(target):
        target = target.__func__
    # An object that is called runs its class's code.
    if not inspect.isclass(target) and not inspect.isroutine(target):
        target = type(target)
    return f"{getattr(target, '__module__', None) or 'builtins'}.{getattr(target, '__qualname__', repr(target))}"
