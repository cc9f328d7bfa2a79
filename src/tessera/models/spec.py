"""InputSpec: everything that weights demand of their input and of their output, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tessera.base import InputError


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation a band, in the units of the cube; standardised = (x - mean) / (std + 1e-9)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise InputError(f"statistics of {len(self.mean)} means and {len(self.std)} positive deviations")


@dataclass(frozen=True)
class Sampling:
    """Which of a pixel's valid observations enter, and how often.

    Attributes
    ----------
    rule : name of a rule in `tessera.encode`
    bins : lengths that a pixel's observations are brought to, ascending
    """

    rule: str
    bins: tuple[int, ...]


@dataclass(frozen=True)
class Quantiser:
    """scale = max(max|value|, floor) / 127; codes from `low` to 127."""

    floor: float
    low: int


@dataclass(frozen=True)
class InputSpec:
    """What a set of weights is bound to.

    Attributes
    ----------
    family : which network reads the tensors
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

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value

    @classmethod
    def from_json(cls, value: Any) -> InputSpec:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            A key is missing, unknown or of another type.
        """
        try:
            statistics = {
                key: Statistics(*(tuple(float(v) for v in value[key][part]) for part in ("mean", "std")))
                for key in ("s2", "s1_asc", "s1_desc")
            }
            sampling = value["sampling"]
            quantiser = value["quantiser"]
            return cls(
                family=str(value["family"]),
                s2_bands=tuple(str(band) for band in value["s2_bands"]),
                s1_bands=tuple(str(band) for band in value["s1_bands"]),
                **statistics,
                sampling=Sampling(str(sampling["rule"]), tuple(int(size) for size in sampling["bins"])),
                dims=int(value["dims"]),
                prefix_dims=tuple(int(size) for size in value["prefix_dims"]),
                quantiser=Quantiser(float(quantiser["floor"]), int(quantiser["low"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"input specification cannot be read: {error!r}") from None
