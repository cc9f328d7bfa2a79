"""What a map holds for each pixel besides its class or number, and how it is computed from vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.labels import NO_DATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

    from .asked import MapHead

MAP, PROBABILITIES, UNCERTAINTY = "map", "probabilities", "uncertainty"
ABSTAINED = "uncertain"
"""Name of the pixels where the head abstains, in the legend."""
ABSTAINED_COLOUR = "#d0d0d0"
_CHUNK = 65536
"""Pixels whose probabilities are in memory."""
_PERCENT = 100


@dataclass(frozen=True)
class Layers:
    """Which layers a run computes.

    Attributes
    ----------
    probabilities : per cent of each class as uint8, 255 = no data
    uncertainty : bands of float32, NaN = no data; see `bands`
    abstained : value on the map of pixels where the head abstains; None if it never does
    """

    probabilities: bool
    uncertainty: bool
    abstained: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, the map first."""
        more = ((PROBABILITIES, self.probabilities), (UNCERTAINTY, self.uncertainty))
        return (MAP, *(name for name, wanted in more if wanted))


def parse_layers(head: MapHead, *, probabilities: bool, uncertainty: bool, abstain: bool) -> Layers:
    """Check that a head can say what is asked.

    Raises
    ------
    InputError
        Probabilities or abstention of a head of numbers, abstention of a head without calibration, or no uncertainty
        known.
    """
    if probabilities and not head.classes:
        raise InputError("probabilities of a head of numbers; expected a head of classes, or uncertainty for numbers")
    if abstain and not head.classes:
        raise InputError("abstention of a head of numbers; expected a head of classes")
    if abstain and head.trust is None:
        raise InputError("the head has no threshold to abstain below; fit it again with labels in several places")
    if uncertainty and not bands(head):
        raise InputError("the head knows no interval and no distance to its labels; fit it again with this release")
    abstained = None
    if abstain:
        free = [value for value in range(NO_DATA - 1, -1, -1) if value not in head.values]
        if not free:
            raise InputError(f"{len(head.classes)} classes leave no value for pixels where the head abstains")
        abstained = free[0]
    return Layers(probabilities, uncertainty, abstained)


def bands(head: MapHead) -> tuple[str, ...]:
    """The bands of uncertainty that a head can fill."""
    found: tuple[str, ...] = ()
    if head.classes:
        found = ("probability",)
        if head.trust is not None:
            found = (*found, "set_size", "abstained")
    elif head.trust is not None:
        found = ("lower", "upper", "width")
    return found if head.applicability is None else (*found, "applicability")


def compute(head: MapHead, layers: Layers, vectors: StackedVectors) -> dict[str, NDArray[Any]]:
    """The layers of (h, w) vectors: layer -> (h, w) or (h, w, bands)."""
    found = head.predict_codes(vectors)
    rest = _beside(head, layers, found, head.probabilities_codes, vectors)
    return {MAP: found, **rest}


def compute_window(
    head: MapHead, layers: Layers, vectors: StackedVectors, place: tuple[int, int]
) -> dict[str, NDArray[Any]]:
    """As `compute`, of a learner that reads a window around each pixel.

    Parameters
    ----------
    vectors : (h, w) vectors with the learner's margin around them
    place : western and northern edge of the pixels without the margin, pixels of the lattice
    """
    margin = int(head.learnt.margin)
    found = head.learnt.predict_window(vectors, *place)
    if head.classes:
        table = np.full(256, NO_DATA, dtype=np.uint8)
        table[: len(head.classes)] = head.values
        found = table[found]
    inner = slice(margin, margin + found.shape[0]), slice(margin, margin + found.shape[1])
    needs = bool(head.classes) and (len(layers.names) > 1 or layers.abstained is not None)
    raw = head.learnt.probabilities_window(vectors, *place) if needs else None

    def probabilities(part: Any) -> Any:
        return np.asarray(raw).reshape(-1, len(head.classes))[part]

    return {MAP: found, **_beside(head, layers, found, probabilities, vectors[inner])}


def _beside(
    head: MapHead, layers: Layers, found: NDArray[Any], probabilities: Any, vectors: StackedVectors
) -> dict[str, NDArray[Any]]:
    """The layers beside the map; where the head abstains, `found` is changed."""
    shape, flat = found.shape, found.reshape(-1)
    rows = vectors.reshape(-1)
    out: dict[str, NDArray[Any]] = {}
    if layers.probabilities:
        out[PROBABILITIES] = np.full((flat.size, len(head.classes)), NO_DATA, dtype=np.uint8)
    if layers.uncertainty:
        out[UNCERTAINTY] = np.full((flat.size, len(bands(head))), np.nan, dtype=np.float32)
    if not out and layers.abstained is None:
        return out
    good = rows.valid & (np.isfinite(flat) if flat.dtype.kind == "f" else flat != NO_DATA)
    indexes = np.flatnonzero(good)
    by_window = getattr(head.learnt, "margin", 0)
    for start in range(0, len(indexes), _CHUNK):
        part = indexes[start : start + _CHUNK]
        chosen = rows[part]
        held: dict[str, NDArray[Any]] = {}
        if head.classes:
            raw = probabilities(part if by_window else chosen)
            p = raw if head.trust is None else head.trust.probabilities(raw)
            if layers.probabilities:
                out[PROBABILITIES][part] = np.rint(p * _PERCENT)
            held["probability"] = _of_predicted(head, p, flat[part])
            if head.trust is not None:
                held["set_size"] = head.trust.sets(p).sum(axis=1)
                held["abstained"] = head.trust.abstains(p)
                if layers.abstained is not None:
                    flat[part[held["abstained"]]] = layers.abstained
        elif head.trust is not None:
            low, high = head.trust.interval(flat[part])
            held |= {"lower": low, "upper": high, "width": high - low}
        if layers.uncertainty:
            if head.applicability is not None:
                held["applicability"] = head.applicability.distance(chosen.values())
            for band, name in enumerate(bands(head)):
                out[UNCERTAINTY][part, band] = held[name]
    return {name: values.reshape(*shape, -1) for name, values in out.items()}


def _of_predicted(head: MapHead, p: NDArray[np.float32], found: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The probability of the class that was predicted, (n,)."""
    index = np.zeros(256, dtype=np.int64)
    index[list(head.values)] = np.arange(len(head.values))
    return np.asarray(np.take_along_axis(p, index[found][:, None], axis=1)[:, 0])
