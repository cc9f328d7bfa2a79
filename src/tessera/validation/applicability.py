"""The area of applicability: how far from all labels a vector lies.

After Meyer and Pebesma 2021, doi:10.1111/2041-210X.13650. The dissimilarity index of a vector is its distance to the
nearest labelled vector, divided by the mean distance between labelled vectors. Its threshold is what labels have
against labels of other folds, outliers aside. Here the index is divided by its threshold, so the mean distance cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

REFERENCES = 512
"""Labelled vectors that are kept: 130 kB of 128 dims."""
_UNIT = 1 / 1024
"""Of the kept vectors, in standard deviations: int16 then reaches from -32 to 32."""
_SAMPLE = 20_000
"""Labels that references are chosen from."""
_CHUNK = 4096
"""Vectors at a time: their distances to all references lie in a cache."""
_MOST = 100_000
"""References of a file."""


@dataclass(frozen=True, repr=False)
class Applicability:
    """Where a model may be used: the distance of a vector to the labels, 1 at the threshold.

    Attributes
    ----------
    mean, std : (D,) float32, which vectors are standardised by
    references : (R, D) int16, labelled vectors in units of 1/1024 standard deviations
    threshold : distance at which the area of applicability ends, standard deviations
    inside : share of the tested labels that lie within it, compared with labels of other folds; None after loading
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    references: NDArray[np.int16]
    threshold: float
    inside: float | None = None

    def __post_init__(self) -> None:
        dims = self.references.shape[1] if self.references.ndim == 2 else -1
        if self.references.dtype != np.int16 or dims < 1 or not 1 <= len(self.references) <= _MOST:
            raise InputError(f"references {self.references.dtype} {self.references.shape}; expected int16 (R, D)")
        for array, what in ((self.mean, "mean"), (self.std, "std")):
            if array.dtype != np.float32 or array.shape != (dims,) or not np.isfinite(array).all():
                raise InputError(f"{what} {array.dtype} {array.shape}; expected finite float32 ({dims},)")
        if not (self.std > 0).all() or not 0 < self.threshold < 1e30:
            raise InputError("a standard deviation or threshold of applicability that is not above 0")

    def __repr__(self) -> str:
        return f"Applicability({len(self.references)} references of {self.dims} dims)"

    @property
    def dims(self) -> int:
        """Length D of the vectors."""
        return int(self.references.shape[1])

    def distance(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """How far vectors lie from the labels.

        Parameters
        ----------
        values : (n, D)

        Returns
        -------
        (n,) float32: below 1 within the area of applicability; NaN where a vector is not finite
        """
        rows = np.asarray(values, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dims:
            raise InputError(f"values of shape {rows.shape}; expected (n, {self.dims})")
        kept = self.references.astype(np.float32) * np.float32(_UNIT)
        out = np.full(len(rows), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            good = np.isfinite(part).all(axis=1)
            near = _nearest((part[good] - self.mean) / self.std, kept)
            out[start : start + _CHUNK][good] = near / np.float32(self.threshold)
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that a file has to hold of it, by name."""
        threshold = np.array([self.threshold])
        return {"mean": self.mean, "std": self.std, "references": self.references, "threshold": threshold}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Applicability:
        """What `arrays` gave.

        Raises
        ------
        InputError
            Arrays that no area of applicability has.
        """
        names = ("mean", "std", "references", "threshold")
        if set(arrays) != set(names):
            raise InputError(f"applicability of {', '.join(sorted(arrays))}; expected {', '.join(names)}")
        threshold = arrays["threshold"]
        if threshold.shape != (1,) or threshold.dtype != np.float64:
            raise InputError(f"threshold {threshold.dtype} {threshold.shape}; expected float64 (1,)")
        return cls(arrays["mean"], arrays["std"], arrays["references"], float(threshold[0]))


def fit_applicability(
    x: NDArray[np.float32], folds: NDArray[np.int64], *, references: int = REFERENCES, seed: int = 0
) -> Applicability:
    """Learn where a model may be used from the vectors that it learnt from.

    The threshold is the upper whisker of the distances of labels to the labels of other folds: the greatest that is at
    most 1.5 interquartile ranges above the upper quartile. All dimensions weigh the same.

    Parameters
    ----------
    x : (N, D) float32, finite
    folds : (N,) int64; the distance of a label is that to labels of other folds. One fold: to other labels. Labels of
        fold -1 were never tested: distances are measured to them, and their own do not count for the threshold
    references : most vectors that are kept, spread so that every label is near one
    seed : of the sample of 20,000 labels, where there are more

    Raises
    ------
    InputError
        Fewer than two labels, or labels whose vectors are all the same.
    """
    if len(x) < 2:
        raise InputError(f"{len(x)} labels; expected at least two to measure distances between")
    generator = np.random.default_rng([seed, 79])
    if len(x) > _SAMPLE:
        chosen = np.sort(generator.choice(len(x), _SAMPLE, replace=False))
        x, folds = x[chosen], folds[chosen]
    if len(np.unique(folds)) < 2:
        folds = np.arange(len(x), dtype=np.int64)
    mean, std = x.mean(axis=0, dtype=np.float64).astype(np.float32), x.std(axis=0, dtype=np.float64).astype(np.float32)
    std[~(std > 1e-6 * np.maximum(1.0, np.abs(mean)))] = 1.0
    rows = (x - mean) / std
    kept = _spread_out(rows, references)
    codes = np.clip(np.rint(rows[kept] / _UNIT), -32767, 32767).astype(np.int16)
    near, held = codes.astype(np.float32) * np.float32(_UNIT), folds[kept]
    away = np.concatenate([_nearest(rows[folds == one], near[held != one]) for one in np.unique(folds[folds >= 0])])
    away = away[np.isfinite(away)].astype(np.float64)
    if not len(away) or not away.max() > 0:
        raise InputError(f"{len(x)} labels with the same vector; expected vectors that differ")
    low, high = np.quantile(away, [0.25, 0.75])
    threshold = float(away[away <= high + 1.5 * (high - low)].max())
    threshold = threshold or float(away.max())
    return Applicability(mean, std, codes, threshold, float((away <= threshold).mean()))


def _nearest(rows: NDArray[np.float32], kept: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) distance of each row to the nearest of `kept`; inf where there is none."""
    out = np.full(len(rows), np.inf, dtype=np.float32)
    if not len(kept):
        return out
    lengths, twice = np.einsum("ij,ij->i", kept, kept), -2 * kept.T
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        found = part @ twice
        found += lengths
        least = found.min(axis=1) + np.einsum("ij,ij->i", part, part)
        out[start : start + _CHUNK] = np.sqrt(np.maximum(least, 0))
    return out


def _spread_out(rows: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Rows that are far from each other, each the farthest from those before it (Gonzalez 1985); sorted indices."""
    if len(rows) <= most:
        return np.arange(len(rows), dtype=np.int64)
    lengths = np.einsum("ij,ij->i", rows, rows)
    chosen = [int(lengths.argmin())]
    away = np.full(len(rows), np.inf, dtype=np.float32)
    while len(chosen) < most:
        last = chosen[-1]
        away = np.minimum(away, lengths + lengths[last] - 2 * (rows @ rows[last]))
        farthest = int(away.argmax())
        if not away[farthest] > 0:
            break
        chosen.append(farthest)
    return np.sort(np.array(chosen, dtype=np.int64))
