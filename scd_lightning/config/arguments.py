"""Whether plain values fit the constructor that they are meant for: the annotations are the schema."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from scd_lightning.errors import ConfigError

_SCALARS = (bool, int, float, str, type(None))
_EXAMPLES: dict[type, str] = {list: '["0452", "yes"]', dict: '{"0452": "yes"}'}


def check_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], where: str, *, partial: bool) -> None:
    """Checks names and types of a call's arguments before the call.

    Args:
        target: What will be called.
        arguments: Its arguments as a configuration has them: scalars, lists and dictionaries.
        where: The place in the configuration, for messages.
        partial: Whether the rest of the arguments comes later.

    Raises:
        ConfigError: An argument is unknown, missing, or of another type than its annotation says.
    """
    signature = inspect.signature(target)
    try:
        (signature.bind_partial if partial else signature.bind)(**arguments)
    except TypeError as error:
        names = [name for name in signature.parameters if name != "self"]
        raise ConfigError(
            f"The arguments do not fit ({error})", where=where, got=", ".join(arguments), expected=", ".join(names)
        ) from error
    hints = hints_of(target)
    for name, value in arguments.items():
        if name in hints and not fits(value, hints[name]):
            raise ConfigError(
                "A value has the wrong type",
                where=f"{where}.{name}",
                got=repr(value),
                expected=_describe(hints[name]),
                remedy=_quoting(value, hints[name], f"{where}.{name}"),
            )


def fits(value: object, hint: Any) -> bool:
    """Whether a plain value may stand for an annotation. What plain values can't be is not judged.

    >>> fits(1, float), fits(1.5, int), fits(True, int), fits("4", int | None), fits([1, 2], tuple[float, float])
    (True, False, False, False, True)
    """
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if len(several := alternatives(hint)) > 1:
        return any(fits(value, each) for each in several)
    arguments = get_args(hint)
    origin = type(None) if hint is None else get_origin(hint) or hint
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin in _SCALARS:
        # An int may stand for a float, but True is no number.
        kinds = int | float if origin is float else origin
        return isinstance(value, kinds) and (origin is bool or not isinstance(value, bool))
    # An object of any other class is made by a call or read from a list; a scalar can't stand for it.
    if isinstance(value, list):
        return _fits_list(value, origin, arguments)
    if isinstance(value, dict) and is_mapping(hint) and arguments:
        return all(fits(name, arguments[0]) and fits(each, arguments[1]) for name, each in value.items())
    return isinstance(value, dict) or not isinstance(value, _SCALARS)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The annotations of which a value is to fit one.

    >>> alternatives(int | None), alternatives(list[int])
    ((<class 'int'>, <class 'NoneType'>), (list[int],))
    """
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def is_mapping(hint: Any) -> bool:
    """Whether an annotation asks for a dictionary, and not for an object that one makes."""
    return (get_origin(hint) or hint) in (dict, Mapping)


def _quoting(value: object, hint: Any, where: str) -> str | None:
    """How to write words that were read as numbers, as true, false or null, where words are asked for."""
    if value is None or not fits(_as_words(value), hint):
        return None
    example = _EXAMPLES.get(type(value), '"0452"')
    return (
        "put quotes around words that are digits, yes, no, on, off, true, false or null, and on the command line once "
        f"more around all: {where.rpartition('.')[2]}: {example} in a file, '{where}={example}' in a shell"
    )


def _as_words(value: object) -> object:
    if isinstance(value, list):
        return [_as_words(each) for each in value]
    if isinstance(value, dict):
        return {_as_words(name): _as_words(each) for name, each in value.items()}
    return str(value)


def _fits_list(value: list[Any], kind: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(kind, type) or not issubclass(kind, Iterable) or issubclass(kind, Mapping):
        return False
    elements = [each for each in arguments if each is not Ellipsis]
    if kind is tuple and len(elements) > 1:
        return len(elements) == len(value) and all(map(fits, value, elements))
    return all(fits(each, elements[0]) for each in value) if elements else True


def hints_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a call's arguments; of a class those too that it hands on to the classes it is made of."""
    if not isinstance(target, type):
        return _hints(target)
    found: dict[str, Any] = {}
    for each in target.__mro__:
        if constructor := vars(each).get("__init__"):
            found = {**_hints(constructor), **found}
            kinds = {parameter.kind for parameter in inspect.signature(constructor).parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return found


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):  # Annotations of a library that are there for type checkers alone.
        return {}


def _describe(hint: Any) -> str:
    if get_origin(hint) is Callable:
        return "a call (_target_: ...)"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_describe(each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (list, Sequence):
        return f"a list of {_describe(get_args(hint)[0])}"
    if get_origin(hint) in (dict, Mapping):
        return f"{{{': '.join(map(_describe, get_args(hint)))}}}"
    return "null" if hint is type(None) else getattr(hint, "__name__", str(hint)) if not get_args(hint) else str(hint)
