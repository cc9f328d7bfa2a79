"""Models that look at the neighbours of a pixel: they predict windows, not rows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tessera.base import InputError
from tessera.labels import NO_DATA, ChipVectors

from .model import Model, refuse_overflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors


@dataclass(frozen=True, repr=False)
class SpatialModel(Model):
    """A fitted learner that reads a window around each pixel.

    It predicts windows of a zone's lattice that were read with `margin` more pixels on each side, and labelled pixels
    with their windows (`labels.read_chips`). It cannot predict vectors alone.
    """

    @abstractmethod
    def scores_of_chips(self, chips: ChipVectors) -> NDArray[np.float32]:
        """N labelled pixels -> (N, K) probabilities of classes, or (N,) numbers."""

    @abstractmethod
    def blend(self, vectors: StackedVectors, west: int, north: int) -> NDArray[np.float32]:
        """As `probabilities_window`, of numbers (H, W, 1); what it gives for pixels without data does not matter."""

    def scores(self, rows: NDArray[np.float32]) -> NoReturn:
        raise InputError(f"{len(rows)} vectors without their neighbours; this head maps areas (Head.map) only")

    def scores_of(self, stacked: StackedVectors) -> NDArray[np.float32]:
        if not isinstance(stacked, ChipVectors):
            self.scores(stacked.values())
        return self.scores_of_chips(stacked)

    def predict_window(self, vectors: StackedVectors, west: int, north: int) -> NDArray[Any]:
        """The class or number of each pixel of a window.

        A pixel's result does not depend on the window that it is predicted in.

        Parameters
        ----------
        vectors : (H + 2 margin, W + 2 margin), as `labels.read_around` reads them
        west, north : of the window (H, W) itself, as of `tessera.Window`

        Returns
        -------
        (H, W) uint8 index of the class, 255 = no data; or float32 numbers, NaN = no data
        """
        found, valid = self._blended(vectors, west, north)
        if self.classes:
            return np.where(valid, found.argmax(axis=-1), NO_DATA).astype(np.uint8)
        return np.where(valid, found[..., 0], np.float32(np.nan))

    def probabilities_window(self, vectors: StackedVectors, west: int, north: int) -> NDArray[np.float32]:
        """The probability of each class: (H, W, K) float32, NaN = no data; arguments as of `predict_window`."""
        if not self.classes:
            raise InputError("probabilities of a head of numbers; expected a head of classes")
        found, valid = self._blended(vectors, west, north)
        return np.where(valid[..., None], found, np.float32(np.nan))

    def _blended(self, vectors: StackedVectors, west: int, north: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        edge = self.margin
        if vectors.dims != self.dims or len(vectors.shape) != 2 or min(vectors.shape) <= 2 * edge:
            raise InputError(
                f"a window of {' x '.join(map(str, vectors.shape))} vectors of {vectors.dims} dims; expected "
                f"{self.dims} dims and {edge} pixels around the window on each side"
            )
        found, valid = self.blend(vectors, west, north), vectors.valid[edge:-edge, edge:-edge]
        refuse_overflow(found[valid])
        return found, valid
