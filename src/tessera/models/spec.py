"""InputSpec: everything that weights require of their input and output, as data."""

from __future__ import annotations

import json
import math
import reprlib
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
SAMPLING_RULES = ("v1.0", "v1.1", "v2")
"""Names of the rules that `tessera.encode` knows."""
DRAWING_RULES = ("v1.0",)
"""Those rules that draw a fixed number of observations at random."""
MOST_DRAWN = 255
"""Most observations that such a rule draws."""
LONGEST_BIN = 4096
"""Most observations of one pixel that a network reads."""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ascends(values: tuple[int, ...], last: int) -> bool:
    """Whether these are one or more integers from 1 to `last`, strictly ascending."""
    steps = (0, *values)
    return (
        len(values) > 0
        and all(map(_is_whole, values))
        and values[-1] <= last
        and all(a < b for a, b in pairwise(steps))
    )


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation a band, in the units of the cube; standardised = (x - mean) / (std + 1e-9)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise InputError(f"statistics of {len(self.mean)} means and {len(self.std)} positive deviations")
        for value in (*self.mean, *self.std):
            if not math.isfinite(value):
                raise InputError(f"statistics with {value}; expected finite means and deviations")


@dataclass(frozen=True)
class Sampling:
    """Which of a pixel's valid observations the network reads, and how often.

    Attributes
    ----------
    rule : name of a rule in `tessera.encode`, one of `SAMPLING_RULES`
    bins : lengths to which observations are repeated or thinned, ascending, from 1 to at most `LONGEST_BIN`
    """

    rule: str
    bins: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.rule not in SAMPLING_RULES:
            raise InputError(f"sampling rule {self.rule!r}; expected {' or '.join(SAMPLING_RULES)}")
        if not _ascends(self.bins, LONGEST_BIN):
            raise InputError(
                f"sampling bins {short(self.bins)}; expected ascending whole numbers from 1 to {LONGEST_BIN}"
            )
        if self.rule in DRAWING_RULES and (len(self.bins) > 1 or self.bins[0] > MOST_DRAWN):
            raise InputError(f"sampling bins {short(self.bins)} of {self.rule}; expected one, at most {MOST_DRAWN}")


@dataclass(frozen=True)
class Quantiser:
    """scale = max(max|value|, floor) / 127; codes from `low` to 127."""

    floor: float
    low: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.floor) and self.floor > 0):
            raise InputError(f"quantiser floor {self.floor}; expected a positive number")
        if not _is_whole(self.low) or not -128 <= self.low <= -1:
            raise InputError(f"quantiser low {self.low!r}; expected a whole number from -128 to -1")


@dataclass(frozen=True)
class InputSpec:
    """The input and output that weights were trained for.

    Attributes
    ----------
    family : network that uses the tensors
    s2_bands, s1_bands : band order
    s2, s1_asc, s1_desc : statistics in that order
    sampling : rule and bins
    dims : length of the vectors
    prefix_dims : prefixes that are embeddings in their own right (Matryoshka), ascending, ending with `dims`
    quantiser : how a vector becomes codes and a scale
    """

    family: str
    s2_bands: tuple[str, ...]
    s1_bands: tuple[str, ...]
    s2: Statistics
    s1_asc: Statistics
    s1_desc: Statistics
    sampling: Sampling
    dims: int
    prefix_dims: tuple[int, ...]
    quantiser: Quantiser

    def __post_init__(self) -> None:
        for name, bands, statistics in (
            ("s2", self.s2_bands, self.s2),
            ("s1_asc", self.s1_bands, self.s1_asc),
            ("s1_desc", self.s1_bands, self.s1_desc),
        ):
            if len(statistics.mean) != len(bands):
                raise InputError(f"{name} statistics of {len(statistics.mean)} bands; expected {len(bands)}")
        if not _is_whole(self.dims) or not _ascends(self.prefix_dims, self.dims) or self.prefix_dims[-1] != self.dims:
            raise InputError(
                f"prefix dims {short(self.prefix_dims)} of {self.dims!r} dims; expected ascending whole numbers that "
                "end with the dims"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `from_json`."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value

    @classmethod
    def from_json(cls, value: Any) -> InputSpec:
        """Read the value of `to_json`.

        Raises
        ------
        InputError
            A key is missing, unknown or of another type.
        """
        about = _object(value, cls, "specification")
        statistics = {}
        for key in ("s2", "s1_asc", "s1_desc"):
            parts = _object(about[key], Statistics, key)
            statistics[key] = Statistics(*(_list(parts[part], _number, f"{key} {part}") for part in ("mean", "std")))
        sampling = _object(about["sampling"], Sampling, "sampling")
        quantiser = _object(about["quantiser"], Quantiser, "quantiser")
        return cls(
            family=_text(about["family"], "family"),
            s2_bands=_list(about["s2_bands"], _text, "s2_bands"),
            s1_bands=_list(about["s1_bands"], _text, "s1_bands"),
            **statistics,
            sampling=Sampling(_text(sampling["rule"], "rule"), _list(sampling["bins"], _whole, "bins")),
            dims=_whole(about["dims"], "dims"),
            prefix_dims=_list(about["prefix_dims"], _whole, "prefix_dims"),
            quantiser=Quantiser(_number(quantiser["floor"], "floor"), _whole(quantiser["low"], "low")),
        )


def short(value: object) -> str:
    """A value as at most 60 characters."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _object(value: object, form: type[Any], what: str) -> dict[str, Any]:
    names = {field.name for field in fields(form)}
    if not isinstance(value, dict):
        raise InputError(f"input specification: {what} is {short(value)}; expected {', '.join(sorted(names))}")
    for reason, keys in (("lacks", names - value.keys()), ("has the unknown key", value.keys() - names)):
        if keys:
            raise InputError(
                f"input specification: {what} {reason} {short(min(keys, key=str))}; expected {', '.join(sorted(names))}"
            )
    return value


def _list(value: object, parse: Callable[[object, str], _T], what: str) -> tuple[_T, ...]:
    if not isinstance(value, list):
        raise InputError(f"input specification: {what} is {short(value)}; expected a list")
    return tuple(parse(part, what) for part in value)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"input specification: {what} has {short(value)}; expected text")
    return value


def _whole(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"input specification: {what} has {short(value)}; expected a whole number")
    return value


def _number(value: object, what: str) -> float:
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"input specification: {what} has {short(value)}; expected a finite number")
    return number
