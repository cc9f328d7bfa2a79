"""Checks of arguments against annotations: a wrong type gives a one-line error instead of a traceback."""

from __future__ import annotations

import inspect
import numbers
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache, wraps
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args

from .errors import InputError
from .quoting import shown

P = ParamSpec("P")
R = TypeVar("R")
_KNOWN: dict[str, tuple[type, ...]] = {
    "None": (NoneType,),
    "str": (str,),
    "bytes": (bytes, bytearray, memoryview),
    "int": (numbers.Integral,),
    "float": (numbers.Real,),
    "Path": (os.PathLike,),
    "dict": (dict,),
    "list": (list,),
    "tuple": (tuple,),
    "Mapping": (Mapping,),
    "Sequence": (Iterable,),
    "Iterable": (Iterable,),
    "Literal": (str, numbers.Integral),
    "Callable": (Callable,),  # type: ignore[dict-item]
}
_PLAIN = (NoneType, str, bytes, numbers.Number, dict, list, tuple, set, frozenset, range, PurePath)
"""Plain types, which can never be meant for a parameter of a class."""
_HALF = re.compile("[\ud800-\udbff]")
_MOST = 6
"""Names of types in a message."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function refuse arguments of types that its annotations do not name, before it does anything.

    An annotation that cannot be checked, such as a protocol or a name known only to type checkers, accepts anything but
    plain values. Text with half of a character (a lone surrogate) is refused for every parameter.
    """
    signature = inspect.signature(function)
    where = function.__qualname__

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # if binding fails, Python's own TypeError names the parameter
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            annotation = signature.parameters[name].annotation
            if signature.parameters[name].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                continue
            _check(value, annotation, name, where)
        return function(*args, **kwargs)

    return call


def only_year(held: Iterable[int], what: object, option: str = "--year") -> int:
    """The default year: the only one in `held`.

    Parameters
    ----------
    held : years of `what`, which names it in messages
    option : how a caller gives a year, "--year" or "year="

    Raises
    ------
    InputError
        There is no year, or there are several.
    """
    years = tuple(held)
    if not years:
        raise InputError(f"{what} holds no year; expected a store that embeddings were written to")
    if len(years) > 1:
        named = ", ".join(map(str, years))
        raise InputError(f"{what} holds the years {named} and none is named; expected {option} with one of them")
    return int(years[0])


def check_fields(instance: Any) -> None:
    """Check the types of a dataclass's fields against their annotations, like `checked`.

    Raises
    ------
    InputError
        A field has another type.
    """
    for field in fields(instance):
        _check(getattr(instance, field.name), field.type, field.name, type(instance).__name__)


def _check(value: object, annotation: Any, name: str, where: str) -> None:
    if isinstance(annotation, str) and not _fits(value, annotation):
        raise InputError(f"{name} {_worded(value)} of {where}; expected {_named(annotation)}")
    if isinstance(value, str) and _HALF.search(value):
        raise InputError(f"{name} {shown(value)} of {where} holds half of a character (a lone surrogate)")


def _worded(value: object) -> str:
    if isinstance(value, str):
        return shown(value)
    try:
        return shown(" ".join(repr(value).split()))[1:-1]
    except Exception:  # a stranger's `repr` may raise anything, and is only wanted for a message
        return f"of type {type(value).__name__}"


def _fits(value: object, annotation: str) -> bool:
    names = _split(annotation)
    if isinstance(value, bool) and "bool" not in names:
        # True is an int in Python, but never a valid number here
        return any(_is_open(name) for name in names)
    return any(_is_one(value, name) for name in names)


def _is_one(value: object, name: str) -> bool:
    if name in ("Sequence", "Iterable") and isinstance(value, str | bytes | Mapping):
        return False
    if name in _KNOWN:
        return isinstance(value, _KNOWN[name])
    if name == "NDArray":
        return hasattr(value, "dtype") and hasattr(value, "shape")
    if name == "bool":
        return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")
    if _is_open(name):
        return True
    return any(_is_found(value, found) for found in _found(name))


def _is_found(value: object, found: Any) -> bool:
    if isinstance(found, UnionType):
        return any(_is_one(value, _name_of(part)) for part in get_args(found))
    if getattr(found, "_is_protocol", False):
        members = {**vars(found), **found.__annotations__}
        needed = [name for name in members if name == "__call__" or not name.startswith("_")]
        return not isinstance(value, _PLAIN) and all(hasattr(value, name) for name in needed)
    return isinstance(value, found)


def _is_open(name: str) -> bool:
    """Whether the values that a name accepts cannot be checked."""
    if name in _KNOWN or name in ("bool", "NDArray"):
        return False
    return name in ("object", "Any") or not _found(name)


def _name_of(part: Any) -> str:
    return "None" if part is NoneType else str(getattr(part, "__name__", part))


@lru_cache(maxsize=256)
def _found(name: str) -> tuple[Any, ...]:
    """The classes and unions with a name of an annotation, in all loaded rooms."""
    ours = [module for key, module in list(sys.modules.items()) if key.startswith("tessera.")]
    found = {id(value): value for value in (vars(module).get(name) for module in ours)}
    return tuple(value for value in found.values() if isinstance(value, type | UnionType))


@lru_cache(maxsize=256)
def _split(annotation: str) -> tuple[str, ...]:
    """The names of a union, without the contents of their brackets."""
    out, depth = [""], 0
    for letter in annotation:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and not depth:
            out.append("")
        elif not depth and letter != "]":
            out[-1] += letter
    return tuple(name.strip().rpartition(".")[2] for name in out)


def _named(annotation: str) -> str:
    names = list(dict.fromkeys(_split(annotation)))[:_MOST]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
