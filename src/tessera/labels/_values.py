"""What a column holds: classes or numbers, by one rule for every format."""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import split_numbers

from .labels import CLASSES, NUMBERS, class_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

AS_NUMBERS = f"kind='{NUMBERS}' (--kind {NUMBERS})"
_LOW = -99.0
"""The greatest number that is usual for a missing one, as -999, -9999 and -32768 are."""
_POINT_ZERO = re.compile(r"([+-]?(?:0|[1-9]\d*))[.,]0+")
"""A whole number as a program writes it that holds it as a float."""


@dataclass(frozen=True)
class Values:
    """The value of each feature.

    Attributes
    ----------
    kind : "classification" or "regression"
    of : (N,) object, classes as text, None where missing; or float64, NaN where missing
    notes : what was read differently than a user may expect
    """

    kind: str
    of: NDArray[Any]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) bool: features without a value."""
        if self.kind == NUMBERS:
            return np.asarray(np.isnan(self.of))
        return np.array([value is None for value in self.of.tolist()], dtype=np.bool_)


def parse_values(
    raw: NDArray[Any], kind: str | None, where: str, *, typed: bool, absent: Iterable[object] = ()
) -> Values:
    """A column as classes or numbers.

    Numbers with a fraction are regressed; whole numbers, whatever their type, and text name classes. Text that looks
    like numbers with fractions is regressed where the format has no types, as CSV and KML have none.

    Parameters
    ----------
    raw : (N,) values as `VectorTable.column` has them
    kind : "classification" or "regression"; None: by the rule above
    where : the file and column, for messages
    typed : whether the format has types
    absent : values that mean missing, such as -9999

    Raises
    ------
    InputError
        Values that do not fit the kind.
    """
    gone = _marked(raw, absent)
    if gone.any():
        raw = raw.astype(object)
        raw[gone] = None
    number, commas, others = split_numbers(raw)
    there = number[np.isfinite(number)]
    parts = there[there % 1 != 0]
    open_ = kind is None and not (typed and _is_text(raw)) and len(others) < len(there) and len(parts) > 0
    if kind == NUMBERS or open_:
        if others:
            advice = "" if kind == NUMBERS else ", or kind='classification' (--kind classification)"
            raise InputError(
                f"{where}: {_other(raw, others)}; expected numbers, an empty cell where one is missing{advice}"
            )
        notes = (f"{where}: decimal commas are read as points",) if commas else ()
        return Values(NUMBERS, np.where(np.isfinite(number), number, np.nan), notes)
    if kind == CLASSES and len(parts) and not others:
        raise InputError(_continuous(float(parts[0]), where))
    return _classes(raw, where, fold=not len(parts))


def _classes(raw: NDArray[Any], where: str, *, fold: bool) -> Values:
    """Classes as text; whole numbers written as 1.0 become 1 where no number of the column has a fraction."""
    names = np.empty(len(raw), dtype=object)
    known: dict[Any, str | None] = {}
    folded: dict[str, str] = {}
    for index, value in enumerate(raw.tolist()):
        key = (type(value), value) if isinstance(value, (str, int, float)) else None
        if key is not None and key in known:
            names[index] = known[key]
            continue
        name = _class_name(value, where)
        match = _POINT_ZERO.fullmatch(name) if fold and isinstance(value, str) and name else None
        if match is not None and name is not None:
            folded[name] = match[1].removeprefix("+")
            name = folded[name]
        names[index] = name
        if key is not None:
            known[key] = name
    notes: tuple[str, ...] = ()
    if folded:
        first, whole = next(iter(folded.items()))
        notes = (f"{where}: whole numbers with a decimal point are the same class without it: {first} is {whole}",)
    return Values(CLASSES, names, notes)


def low_note(values: NDArray[np.float64], column: str) -> list[str]:
    """What to say where the least number repeats far below all others, as one for "missing" does."""
    low = values.min(initial=0.0)
    count, above = int((values == low).sum()), values[values > low]
    if low > _LOW or count < 2 or not len(above) or above.min() - low < -low / 2:
        return []
    return [
        f"column {shown(column)}: {low:g} stands in {count} of {len(values)} labels, far below all others (from "
        f"{above.min():g}), and is learnt as a number; if it means missing, give missing=[{low:g}] (--missing {low:g})"
    ]


def _marked(raw: NDArray[Any], absent: Iterable[object]) -> NDArray[np.bool_]:
    """Which values mean missing: equal as a number, or as text."""
    out = np.zeros(len(raw), dtype=np.bool_)
    marks = list(absent)
    if not marks:
        return out
    texts = {class_text(str(mark)) for mark in marks}
    figures = {found for found in map(figure_of, marks) if found is not None}
    for index, value in enumerate(raw.tolist()):
        if value is None:
            continue
        out[index] = class_text(str(value)) in texts or (bool(figures) and figure_of(value) in figures)
    return out


def figure_of(value: object) -> float | None:
    """A value as a number; None where it is none."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _other(raw: NDArray[Any], others: list[int]) -> str:
    """The first of the rows that hold no number, in words."""
    first = raw[others[0]]
    count = sum(type(raw[row]) is type(first) and raw[row] == first for row in others)
    return f"{shown(first, 40)} in {count} of {len(raw)} rows (first: row {others[0] + 1}) is not a number"


def _continuous(number: float, where: str) -> str:
    return f"{where} holds {number:g}, a continuous target; expected classes, or {AS_NUMBERS}"


def _class_name(value: Any, where: str) -> str | None:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return class_text(value) or None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, (numbers.Real, Decimal)):
        number = float(value)
        if math.isnan(number):
            return None
        if number.is_integer():
            return str(int(number))
        raise InputError(_continuous(number, where))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise InputError(f"{where} holds a {type(value).__name__}; expected text or numbers")


def _is_text(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "O" and all(value is None or isinstance(value, str) for value in values.tolist())
