"""How a head errs in two years, from labels that were held out, and what two maps then say of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 100
"""Steps towards the shares of classes that explain the map; each brings the shares nearer."""
_PRIOR = 0.5
"""Added to each count of a row of the confusion, in labels of one part: what was not seen may happen (Jeffreys)."""
_PAIRS = 30
"""Labels of both years from which it is measured how far errors coincide; as many of changed places for those."""
_TINY = 1e-15
_MOST = 0.99
"""Errors that coincide more than this would rule out what the maps show."""


@dataclass(frozen=True, repr=False)
class Errors:
    """Predictions of labels that were held out.

    Attributes
    ----------
    confusion : (K, K) labels, rows the truth
    parts : (R, 4) part, truth, prediction, labels; None: each label is a part
    pairs : (R, 6) part, truth and truth, prediction and prediction, labels, of places labelled in both years
    """

    confusion: NDArray[np.int64]
    parts: NDArray[np.int64] | None = None
    pairs: NDArray[np.int64] | None = None

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights of the parts, and what is added to each count: a Bayesian bootstrap of whole parts.

        Where each label is a part, rows of the confusion are then draws of a Dirichlet distribution with the prior of
        Jeffreys.
        """
        if self.parts is None:
            return np.ones(1), rng.gamma(self.confusion + _PRIOR) - self.confusion
        count = int(self.parts[:, 0].max()) + 1
        if self.pairs is not None and len(self.pairs):
            count = max(count, int(self.pairs[:, 0].max()) + 1)
        # labels of a class that lie in one part
        held = np.unique(self.parts[:, :2], axis=0)[:, 1]
        size = self.confusion.sum(axis=1) / np.maximum(1, np.bincount(held, minlength=len(self.confusion)))
        return rng.exponential(size=count), rng.gamma(_PRIOR, size=self.confusion.shape) * size[:, None]

    def seen(self, drawn: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> NDArray[np.float64]:
        """(K, K) how often a true class (rows) is seen as each (columns)."""
        counts = self.confusion.astype(np.float64)
        if drawn is not None:
            weights, more = drawn
            if self.parts is not None:
                counts = np.zeros_like(counts)
                part, truth, said, often = self.parts.T
                np.add.at(counts, (truth, said), often * weights[part])
            counts = counts + more
        out: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        return out

    @property
    def paired(self) -> int:
        """Labels of places that are labelled in both years."""
        return 0 if self.pairs is None else int(self.pairs[:, 5].sum())

    @property
    def changed(self) -> int:
        """Of them those whose class changed."""
        return 0 if self.pairs is None else int(self.pairs[self.pairs[:, 1] != self.pairs[:, 2], 5].sum())

    def together(self, drawn: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> float | None:
        """How far errors of the two years coincide at one place, 0 = independent, 1 = as far as they can; None where
        too few places are labelled in both years."""
        if self.pairs is None or self.paired < _PAIRS:
            return None
        pairs = self.pairs if self.changed < _PAIRS else self.pairs[self.pairs[:, 1] != self.pairs[:, 2]]
        part, first, second, one, other, often = pairs.T
        amount = often.astype(np.float64) if drawn is None or self.parts is None else often * drawn[0][part]
        count = len(self.confusion)
        cell = first * count + second

        def share(right: NDArray[np.bool_]) -> NDArray[np.float64]:
            sums = np.bincount(cell, weights=amount * right, minlength=count**2)
            return np.asarray(sums / np.maximum(whole, 1e-300))

        whole = np.bincount(cell, weights=amount, minlength=count**2)
        a, b, both = share(one == first), share(other == second), share((one == first) & (other == second))
        most = float(whole @ (np.minimum(a, b) - a * b))
        return float(np.clip((whole @ (both - a * b)) / most, 0.0, _MOST)) if most > 0 else 0.0

    def extremes(self, together: float | None) -> tuple[float, ...]:
        """How far errors may coincide where the vectors moved: as measured there, or between two extremes."""
        if together is None:
            return 0.0, _MOST
        return (together,) if self.changed >= _PAIRS else (0.0, together)

    @property
    def note(self) -> str:
        """What is taken for granted."""
        alone = (
            "" if self.parts is not None else "; labels count as independent, since the head does not hold their groups"
        )
        found = self.together(None)
        if found is None:
            return (
                "no labels of both years at the same places: the estimate takes the errors of the two years as "
                f"independent, and the intervals span both extremes, independent and coinciding errors{alone}"
            )
        where = "whose class changed " if self.changed >= _PAIRS else ""
        span = "" if where else "; the intervals span from independent errors to that"
        count = self.changed if where else self.paired
        return (
            f"errors of the two years coincide by {found:.2f} (0 = independent, 1 = always), from {count} places "
            f"{where}with labels of both years{span}{alone}"
        )


def correct(
    unmoved: NDArray[np.int64], moved: NDArray[np.int64], seen: NDArray[np.float64], together: NDArray[np.float64]
) -> NDArray[np.float64]:
    """True transitions in pixels, by expectation maximisation (Saerens et al. 2002).

    Parameters
    ----------
    unmoved, moved : (K, K) pixels
    seen : (B, K, K) how often a true class (rows) is seen as each (columns), of B draws
    together : (B,) how far the errors of two years coincide at one place

    Returns
    -------
    (B, K, K)
    """
    out = np.eye(len(unmoved)) * (_same(unmoved, seen, together[:, None, None]) * float(unmoved.sum()))[:, None]
    if moved.any():
        out = out + _joint(moved, seen, together[:, None, None]) * float(moved.sum())
    return np.asarray(out)


def _same(pixels: NDArray[np.int64], seen: NDArray[np.float64], together: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, K) share of each true class, the same in both years. Errors that coincide are then the same error, so both
    maps show (1 - c) S' p S + c diag(S' p)."""
    turned, one = seen.transpose(0, 2, 1), np.eye(len(pixels))
    shares = np.full(seen.shape[:2], 1 / len(pixels))
    for _ in range(_STEPS):
        both = turned @ (shares[:, :, None] * seen)
        total = (1 - together) * both + together * one * (shares[:, None] @ seen)
        ratio = np.divide(pixels, total, out=np.zeros_like(total), where=total > _TINY)
        apart, alike = ((seen @ ratio) * seen).sum(axis=2), (seen * np.einsum("bii->bi", ratio)[:, None]).sum(axis=2)
        shares = shares * ((1 - together[:, 0]) * apart + together[:, 0] * alike)
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), _TINY)
    return shares


def _joint(pixels: NDArray[np.int64], seen: NDArray[np.float64], together: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, K, K) share of each pair of true classes that best explains how many pixels are seen as each pair.

    With shares p and errors that coincide more than by chance by c, both maps show S' p S + D' (p c) D: D is what a
    right prediction shows less what a wrong one does.
    """
    one = np.eye(len(pixels))
    right, wrong = np.einsum("bii->bi", seen), seen * (1 - one)
    sums = wrong.sum(axis=2, keepdims=True)
    apart = one - np.divide(wrong, sums, out=np.zeros_like(wrong), where=sums > 0)
    more = together * (np.minimum(right[:, :, None], right[:, None]) - right[:, :, None] * right[:, None])
    turned, twisted = seen.transpose(0, 2, 1), apart.transpose(0, 2, 1)
    shares = np.broadcast_to((pixels + 1.0) / float((pixels + 1.0).sum()), seen.shape)
    for _ in range(_STEPS):
        total = np.maximum(turned @ shares @ seen + twisted @ (shares * more) @ apart, 0)
        ratio = np.divide(pixels, total, out=np.zeros_like(total), where=total > _TINY)
        shares = shares * np.maximum(seen @ ratio @ turned + more * (apart @ ratio @ twisted), 0)
        shares = shares / np.maximum(shares.sum(axis=(1, 2), keepdims=True), _TINY)
    return np.asarray(shares)
