"""Distances between years, thresholds and principal axes as Python computes them, for the page's tests.

    python tests/page/structure_fixtures.py

writes web/tests/fixtures/structure/.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.changes.distance import Histogram, cosine_distance, find_threshold
from tessera.embeddings import CodedVectors
from tessera.figures import principal_axes

FOLDER = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "structure"
PIXELS, DIMS = 1500, 16


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _years() -> tuple[CodedVectors, CodedVectors]:
    """The second year is near the first in most pixels, and far in a fifth of them; some are no data, some all zero."""
    rng = np.random.default_rng(11)
    first = rng.integers(-127, 128, (PIXELS, DIMS)).astype(np.int8)
    near = np.clip(first + rng.normal(0, 6, first.shape) * rng.lognormal(0, 0.4, (PIXELS, 1)), -128, 127)
    far = rng.integers(-127, 128, first.shape)
    second = np.where((np.arange(PIXELS) % 5 == 0)[:, None], far, near.round()).astype(np.int8)
    first[7], second[7], second[8] = 0, 0, 0
    scales = rng.uniform(0.01, 0.1, (2, PIXELS)).astype(np.float32)
    scales[0, 3], scales[1, 4], scales[1, 5] = np.nan, np.inf, np.nan
    return CodedVectors(first, scales[0]), CodedVectors(second, scales[1])


def changes() -> dict[str, Any]:
    """Two years, their distances, and thresholds by the bulk and by pixels of one class."""
    one, other = _years()
    distance = cosine_distance(one, other)
    everything, same = Histogram(), Histogram()
    everything.add(distance)
    same.add(distance[np.arange(PIXELS) % 5 == 1])
    return {
        "dims": DIMS,
        "codes": [_text(one.codes), _text(other.codes)],
        "scales": [_text(one.scales), _text(other.scales)],
        "distances": _text(distance),
        "robust": find_threshold(everything, None, None, 0.01).distance,
        "same": find_threshold(everything, same, None, 0.01).distance,
    }


def axes() -> dict[str, Any]:
    """Principal axes of the first year's valid vectors."""
    one, _ = _years()
    values = (one.codes * one.scales[:, None])[one.valid].astype(np.float64)
    # a few strong directions, so that the first axes are well apart
    values[:, :3] *= np.array([9.0, 6.0, 4.0])
    codes = np.clip(np.round(values / np.abs(values).max() * 127), -127, 127).astype(np.int8)
    scale = np.full(len(codes), 0.05, np.float32)
    mean, found, variances = principal_axes((codes * scale[:, None]).astype(np.float64), 3)
    return {
        "dims": DIMS,
        "codes": _text(codes),
        "scales": _text(scale),
        "mean": mean.tolist(),
        "axes": found.ravel().tolist(),
        "variances": variances.tolist(),
    }


def files() -> dict[str, bytes]:
    """Name -> bytes of each fixture."""
    return {f"{name}.json": json.dumps(value).encode() for name, value in (("changes", changes()), ("axes", axes()))}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
