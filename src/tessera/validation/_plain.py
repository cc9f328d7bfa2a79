"""Plain values of a file, checked: numbers are finite, an object has the keys that it should have."""

from __future__ import annotations

import math
from typing import Any

from tessera.base import InputError, shown


def object_of(value: Any, keys: tuple[str, ...], what: str) -> list[Any]:
    """The values of an object that has these keys and no others, in their order.

    Raises
    ------
    InputError
        It is no object, or has other keys.
    """
    if not isinstance(value, dict) or set(value) != set(keys):
        found = shown(sorted(map(str, value))) if isinstance(value, dict) else f"a {type(value).__name__}"
        raise InputError(f"{what} is {found}; expected an object of {', '.join(keys)}")
    return [value[key] for key in keys]


def numbers_of(value: Any, what: str, *, most: int = 1) -> tuple[float, ...]:
    """A list of finite numbers, `most` at most.

    Raises
    ------
    InputError
        It is no list, too long, or holds something else.
    """
    if not isinstance(value, list) or len(value) > most:
        raise InputError(f"{what} is no list of at most {most} numbers")
    for one in value:
        # a whole number of 400 digits is no float
        good = isinstance(one, (int, float)) and not isinstance(one, bool) and abs(one) <= 1e300 and math.isfinite(one)
        if not good:
            raise InputError(f"{what} with {shown(one)}; expected finite numbers")
    return tuple(map(float, value))
