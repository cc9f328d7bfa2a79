"""False colours: three principal components of a store's vectors, with one stretch for all zones and years."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tessera.base import STEP, Folder, InputError, check_format, mix_in_place, parsing, sha256_hex
from tessera.embeddings import dequantise, is_valid
from tessera.figures import principal_axes

from ._build import MEANS
from ._levels import FINE, FOLDER, Unit, codes_of, read_box, scales_of
from ._records import recorded_units

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.store import Store

    from ._document import Overviews

Method = Literal["pca", "bands"]
FORMAT = "tessera-colours"
VERSION = 1
_SAMPLE = 65_536
"""Most overview pixels in a fit: 500 per dimension of 128."""
_PERCENTILES = (2.0, 98.0)
"""Percentiles that are stretched to 0 and 1, as image viewers do."""
_GAMMA = 0.7
"""Brightens the middle, as the published previews do."""
_BLOCK = 16_384
"""Vectors that are projected at once."""
_LIMIT = 1024**2
"""Largest colours.json, bytes; at 128 dims it has 8 kB."""
_DIGITS = 7
"""Digits that are kept of fitted numbers: float32 has no more, and machines differ in later ones."""


@dataclass(frozen=True)
class Colours:
    """How a vector becomes red, green and blue."""

    model: str  # SHA-256 identity of the vectors
    method: Method  # "pca", or "bands" for the first three dims
    mean: NDArray[np.float32]  # (D,) float32, taken off first
    components: NDArray[np.float32]  # (3, D) float32
    explained: tuple[float, float, float]  # share of the variance that each component explains
    low: NDArray[np.float32]  # low, high: (3,) float32, stretched to 0 and 1
    high: NDArray[np.float32]
    gamma: float  # exponent of the stretched value
    sample: int  # pixels that they were fitted on

    def encode(self) -> bytes:
        """The bytes of colours.json."""
        value = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "method": self.method,
            "mean": _numbers(self.mean),
            "components": [_numbers(row) for row in self.components],
            "explained": _numbers(np.asarray(self.explained)),
            "percentiles": list(_PERCENTILES),
            "low": _numbers(self.low),
            "high": _numbers(self.high),
            "gamma": self.gamma,
            "sample": self.sample,
        }
        return json.dumps(value).encode()

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Colours:
        """Read what `encode` wrote."""
        with parsing(f"{where} holds no colours", "; fit them again"):
            check_format(value, FORMAT, VERSION, where)
            mean = np.asarray(value["mean"], dtype=np.float32)
            found = cls(
                str(value["model"]),
                parse_method(value["method"]),
                mean,
                np.asarray(value["components"], dtype=np.float32).reshape(3, len(mean)),
                (float(value["explained"][0]), float(value["explained"][1]), float(value["explained"][2])),
                np.asarray(value["low"], dtype=np.float32).reshape(3),
                np.asarray(value["high"], dtype=np.float32).reshape(3),
                float(value["gamma"]),
                int(value["sample"]),
            )
        numbers = np.concatenate([found.mean, found.components.ravel(), found.low, found.high, [found.gamma]])
        if not np.isfinite(numbers).all() or found.gamma <= 0:
            raise InputError(f"{where} holds numbers that are not finite; fit the colours again")
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of `encode`, which changes with the colours."""
        return sha256_hex(self.encode())

    def paint(self, codes: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes (H, W, D) and scales (H, W) to RGBA (H, W, 4) uint8; all 0 without data."""
        out = np.zeros((*scales.shape, 4), dtype=np.uint8)
        good = is_valid(scales)
        if good.any():
            out[good, :3] = self.colour(dequantise(codes[good], scales[good]))
            out[good, 3] = 255
        return out

    def colour(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Finite vectors (N, D) to RGB (N, 3) uint8."""
        out = np.empty((len(values), 3), dtype=np.uint8)
        width = np.maximum(self.high - self.low, 1e-30)
        for start in range(0, len(values), _BLOCK):
            part = slice(start, start + _BLOCK)
            stretched = np.clip((self.project(values[part]) - self.low) / width, 0, 1)
            out[part] = np.rint(255 * stretched**self.gamma)
        return out

    def project(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Vectors (N, D) to components (N, 3)."""
        # float64, so that colours do not depend on how many pixels are projected at once
        centred = values.astype(np.float64) - self.mean
        return np.asarray(centred @ self.components.T.astype(np.float64))


def _numbers(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in np.asarray(values).tolist()]


def parse_method(method: object) -> Method:
    """Check the name of a method."""
    for known in get_args(Method):
        if method == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"colours {method!r}; expected {' or '.join(get_args(Method))}")


def update_colours(
    store: Store, root: Path, about: Overviews, *, refit: bool = False, method: Method | None = None
) -> tuple[Colours, bool]:
    """The colours of a store, fitted where there are none yet, on request, or for another method; whether just now."""
    path = root / FOLDER / "colours.json"
    door = Folder(root)
    if door.size(path) is not None and not refit:
        held = Colours.from_json(door.json(path, what="colours", limit=_LIMIT), str(path))
        if held.model != store.model.sha256 or len(held.mean) != store.dims:
            raise InputError(
                f"{path} is of {len(held.mean)} dims of model {held.model[:12]}, the store of {store.dims} of "
                f"{store.model.sha256[:12]}; fit the colours again"
            )
        if method in (None, held.method):
            return held, False
    sample = _sample(store, root, about)
    fitted = fit_colours(sample, store.model.sha256, method or "pca")
    # what an update will read, not what was fitted: both runs must paint the same
    data = fitted.encode()
    door.write(path, data)
    return Colours.from_json(json.loads(data), str(path)), True


def fit_colours(values: NDArray[np.float32], model: str, method: Method = "pca") -> Colours:
    """Fit components and stretch on vectors (N, D).

    The sign of a component is such that its largest loading is positive, so that the same vectors always get the same
    colours. Fewer than four vectors tell no components; the first three dims are shown then.
    """
    count, dims = values.shape
    if count == 0:
        raise InputError("no pixel with data to fit colours on")
    exact = values.astype(np.float64)
    mean, components = np.zeros(dims), np.zeros((3, dims))
    known = min(3, dims)
    total = float(exact.var(axis=0).sum())
    if method == "pca" and count > 3:
        mean, components[:known], spread = principal_axes(exact)
        variances = np.maximum(spread[:known], 0)
        total = float(np.maximum(spread[::-1], 0).sum())
    else:
        method = "bands"
        components[:known, :known] = np.eye(known)
        variances = exact.var(axis=0)[:known]
    shares = np.zeros(3)
    shares[:known] = variances / total if total > 0 else 0
    low, high = np.percentile((exact - mean) @ components.T, _PERCENTILES, axis=0)
    return Colours(
        model,
        method,
        mean.astype(np.float32),
        components.astype(np.float32),
        (float(shares[0]), float(shares[1]), float(shares[2])),
        low.astype(np.float32),
        high.astype(np.float32),
        _GAMMA,
        count,
    )


def _sample(store: Store, root: Path, about: Overviews) -> NDArray[np.float32]:
    """(N, D) vectors of the 160 m overview over all zones and years.

    A hash of its place draws a pixel, so that the sample does not depend on the order in which cells were written.
    """
    units = [(year, unit) for year in sorted(about.years) for unit in sorted(recorded_units(root, MEANS, year))]
    layers = (codes_of(FINE, store.dims), scales_of(FINE))
    counts = []
    for year, unit in units:
        found = read_box(store.objects, layers[1:], unit.zone, store.years.index(year), unit.box(FINE))
        counts.append(int(is_valid(found["scales"]).sum()))
    total = sum(counts)
    most = 2**64 - 1
    limit = np.uint64(most if total <= _SAMPLE else int(_SAMPLE / total * most))
    parts = [np.empty((0, store.dims), dtype=np.float32)]
    for (year, unit), count in zip(units, counts, strict=True):
        if count:
            found = read_box(store.objects, layers, unit.zone, store.years.index(year), unit.box(FINE))
            chosen = is_valid(found["scales"]) & (_hashes(unit, year) <= limit)
            parts.append(dequantise(found["embeddings"][chosen], found["scales"][chosen]))
    return np.concatenate(parts)


def _hashes(unit: Unit, year: int) -> NDArray[np.uint64]:
    """A hash of the place of each pixel of a unit."""
    box = unit.box(FINE)
    rows = (box.row + np.arange(box.height, dtype=np.uint64))[:, None]
    cols = box.col + np.arange(box.width, dtype=np.uint64)
    # 64 zones, 4,096 years, 2^17 rows and 2^13 columns fit into 49 bits
    x = np.uint64((unit.zone << 12 | year) << 30) | rows.astype(np.uint64) << np.uint64(13) | cols.astype(np.uint64)
    return mix_in_place(x + STEP)
