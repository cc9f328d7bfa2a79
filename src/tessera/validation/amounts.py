"""How many labels a head learns from: a number, a number a class, a per cent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.labels import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|/class|)\s*")


@dataclass(frozen=True)
class Amount:
    """So many labels of the training part.

    Attributes
    ----------
    number : how many, how many a class, or the per cent
    unit : "" of all, "/class", "%"
    """

    number: float
    unit: str

    def __str__(self) -> str:
        return f"{self.number:g}{self.unit}"

    def total(self, available: int) -> int:
        """Labels to draw of `available`, where it is no number a class."""
        return min(available, round(available * self.number / 100) if self.unit == "%" else int(self.number))


DEFAULT = {True: ("5/class", "10/class", "20/class", "50/class", "100%"), False: ("1%", "5%", "10%", "30%", "100%")}
"""For classes and for numbers."""


def parse_amounts(given: str | Iterable[str | int] | None, kind: str) -> tuple[Amount, ...]:
    """Amounts such as 31, "5/class" or "10%".

    Raises
    ------
    InputError
        Another form, 0 labels, above 100 %, or a number a class where there are none.
    """
    if given is None:
        given = DEFAULT[kind == CLASSES]
    parts = given.split(",") if isinstance(given, str) else list(given)
    out = []
    for part in parts:
        found = _FORM.fullmatch(str(part))
        number = float(found[1]) if found else 0.0
        unit = found[2] if found else ""
        whole = unit == "%" or number % 1 == 0
        if found is None or number <= 0 or not whole or number > (100 if unit == "%" else 1e9):
            raise InputError(f"{part!r} labels; expected a number (31), a number a class (5/class) or a per cent (10%)")
        if unit == "/class" and kind != CLASSES:
            raise InputError(f"{part!r} labels to regress a number; expected a number (31) or a per cent (10%)")
        out.append(Amount(number, unit))
    if not out:
        raise InputError("no amounts of labels; expected at least one, such as 10%")
    return tuple(dict.fromkeys(out))


def draw_subset(
    mixed: NDArray[np.int64], target: NDArray[np.float64] | NDArray[np.int64], classes: int, amount: Amount
) -> NDArray[np.int64]:
    """A part of training labels in random order; of two amounts in one unit the larger holds the smaller."""
    total = amount.total(len(mixed))
    if not classes:
        if total < 2:
            raise InputError(f"{amount} labels of {len(mixed)} to learn from; expected at least 2")
        return mixed[:total]
    # how many of its class come before each
    rank = np.empty(len(mixed), dtype=np.int64)
    for index in range(classes):
        own = np.flatnonzero(target[mixed] == index)
        rank[own] = np.arange(len(own))
    if amount.unit == "/class":
        return mixed[rank < amount.number]
    present = len(np.unique(target[mixed]))
    if total < present:
        raise InputError(f"{amount} labels, {total} of {len(mixed)}, for {present} classes; expected at least one each")
    return mixed[np.argsort(np.minimum(rank, 2), kind="stable")][:total]
