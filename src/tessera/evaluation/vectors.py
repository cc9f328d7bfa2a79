"""Feature vectors of labelled pixels, from whatever makes them: an encoder, a store, a function, an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import PixelSeries, cube_of
from tessera.heads import parse_stores, sample_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.encode import Encoder
    from tessera.labels import Labels

_PIXELS = 4096
"""Pixels a cube: with at most 366 days of two modalities it stays below 100 MB."""


def encode_series(encoder: Encoder, series: PixelSeries) -> NDArray[np.float32]:
    """Embed pixel-years by the encoder's own sampling rule, as a store would hold them: int8 codes x scale.

    Returns
    -------
    (N, D) float32, NaN for a pixel-year without any observation
    """
    parts = [np.zeros((0, encoder.dims), dtype=np.float32)]
    for first in range(0, len(series), _PIXELS):
        last = min(first + _PIXELS, len(series))
        parts.append(encoder.encode(cube_of(series, first, last)).values().reshape(last - first, -1))
    return np.concatenate(parts)


def vectors_of(maker: Any, labels: Labels, *, year: int | None = None) -> NDArray[np.float32]:
    """The vectors of labelled pixels.

    Parameters
    ----------
    maker : an `Encoder`; None, a name or a path for one to load; a store; (N, D) numbers; or a function of `labels`
    year : of a store; where left out the labels' own years, or its only one

    Returns
    -------
    (N, D) float32; a row with a value that is not finite stands for no data

    Raises
    ------
    InputError
        Nothing of these, another shape, or an encoder where there are no observations.
    """
    out = np.asarray(_made(maker, labels, year))
    if out.ndim != 2 or len(out) != len(labels) or out.shape[1] < 1 or out.dtype.kind not in "fiu":
        raise InputError(f"features {out.dtype} {out.shape}; expected numbers ({len(labels)}, D)")
    # what float32 does not hold counts as no data
    with np.errstate(over="ignore"):
        return out.astype(np.float32)


def _made(maker: Any, labels: Labels, year: int | None) -> Any:
    if isinstance(maker, np.ndarray):
        return maker
    if hasattr(maker, "sample_codes"):
        if labels.lonlat is None:
            raise InputError(f"{labels.source} has no places; expected lon and lat to look up in a store")
        vectors = sample_vectors(parse_stores(maker), labels, year, None, None).vectors
        return np.where(vectors.valid[:, None], vectors.values(), np.nan)
    if callable(maker):
        return maker(labels)
    if not isinstance(labels.series, PixelSeries):
        raise InputError(f"{labels.source} has no observations to encode; expected pixel-years, or a store")
    from tessera.encode import Encoder, load_encoder

    encoder = maker if isinstance(maker, Encoder) else load_encoder(maker)
    return encode_series(encoder, labels.series)


def name_of(maker: Any) -> str:
    """What to call a feature set that was given without a name."""
    identity = getattr(maker, "identity", None)
    if identity is not None:
        return str(identity.name)
    if maker is None:
        return "bundled"
    if isinstance(maker, str):
        return maker
    if hasattr(maker, "sample_codes"):
        return "store"
    return str(getattr(maker, "__name__", None) or getattr(maker, "name", None) or "features 1")
