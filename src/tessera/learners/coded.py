"""Models that are exact on codes: what a store keeps goes in, and the same bits come out on any machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._exact import MOST, linear_scores
from ._fast import ends_of, fits, linear_kernel, pack_weights, vectors
from .model import Model, expect, named, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

_PARTS = 64
"""Years and stores side by side, at most."""


@dataclass(frozen=True, repr=False)
class CodedModel(Model):
    """A model on codes and scales.

    Attributes
    ----------
    widths : (P,) int32, the dims of each part of the features
    """

    widths: NDArray[np.int32]

    def __post_init__(self) -> None:
        super().__post_init__()
        expect("widths", self.widths, np.int32, (len(self.widths),))
        if not 1 <= len(self.widths) <= _PARTS or self.widths.min() < 1:
            raise InputError(f"{len(self.widths)} parts, or one without dims; expected 1 to {_PARTS} parts")

    @cached_property
    def dims(self) -> int:
        return int(self.widths.sum(dtype=np.int64))

    def part(self, features: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """(n, D) features -> those of each part, (n, d)."""
        return tuple(np.split(features, np.cumsum(self.widths)[:-1], axis=1))

    def parts_of(self, stacked: StackedVectors) -> StackedVectors:
        """The vectors, if their parts are those of the model.

        Raises
        ------
        InputError
            They have other parts.
        """
        if stacked.widths != tuple(self.widths.tolist()):
            mine, theirs = (" + ".join(map(str, part)) for part in (self.widths, stacked.widths))
            raise InputError(f"vectors of {theirs} dims; expected {mine}")
        return stacked


@dataclass(frozen=True, repr=False)
class CodedLinearModel(CodedModel):
    """Weights of codes: a score a class, linear in the vector.

    The score of class k begins with bias[k]. Part by part, float64(scale of the vector) * (scale[k, part] * dot) is
    added, where dot is the sum of weights[k] * codes of the part, a whole number. All is float64, in this order, never
    fused. The highest score wins, the first of equals; a number is the float32 of its score.

    Attributes
    ----------
    weights : (K, D) int16; (1, D) of a number
    scale : (K, P) float64, what a step of the weights is worth; 0 or more
    bias : (K,) float64
    """

    weights: NDArray[np.int16]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.classes or 1
        expect("weights", self.weights, np.int16, (count, self.dims))
        expect("scale", self.scale, np.float64, (count, len(self.widths)))
        expect("bias", self.bias, np.float64, (count,))
        largest = max(float(np.abs(self.scale).max()), float(np.abs(self.bias).max()))
        if (self.scale < 0).any() or largest > _LARGEST:
            raise InputError(f"a scale below 0, or a number above {_LARGEST:g}; expected scales of 0 or more")

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        out = np.repeat(self.bias[None], len(rows), axis=0)
        for index, (values, weights) in enumerate(zip(self.part(rows), self.part(self.weights), strict=True)):
            out += (values.astype(np.float64) @ weights.T.astype(np.float64)) * self.scale[:, index]
        return out if self.classes else out[:, 0]

    def scores_of(self, stacked: StackedVectors) -> NDArray[np.float64]:
        made = self._compiled
        if made is None:
            found = linear_scores(self.parts_of(stacked), self._parts, self.scale, self.bias)
        else:
            found = self._run(made, stacked, scored=True)[1]
        return found if self.classes else found[:, 0]

    def classes_of(self, stacked: StackedVectors) -> NDArray[np.integer]:
        made = self._compiled
        return super().classes_of(stacked) if made is None else self._run(made, stacked, scored=False)[0]

    def _run(
        self, made: Any, stacked: StackedVectors, *, scored: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Classes and, if `scored`, scores, by the compiled loop."""
        count = len(self.parts_of(stacked))
        codes, own = vectors(stacked, made.ROWS)
        best = np.empty(len(codes), dtype=np.uint8)
        scores = np.empty((len(codes) if scored else 0, len(self.bias)))
        room = made.room(codes.shape[1], len(self.bias))
        made.linear(codes, own, self._packed, ends_of(stacked.widths), *self._line, *room, best, scores)
        return best[:count], scores[:count]

    @property
    def _compiled(self) -> Any | None:
        return linear_kernel() if fits(self.widths.tolist()) else None

    @cached_property
    def _packed(self) -> NDArray[np.int16]:
        return pack_weights(self._parts)

    @cached_property
    def _line(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.ascontiguousarray(self.scale), np.ascontiguousarray(self.bias)

    @cached_property
    def _parts(self) -> tuple[NDArray[np.int16], ...]:
        return tuple(np.ascontiguousarray(part) for part in self.part(self.weights))

    def chances(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        return softmax(scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        return cls(classes, **named(arrays, _NAMES))


_NAMES = ("widths", "weights", "scale", "bias")
_LARGEST = 1e200
"""Of a scale or bias; products with codes then stay finite."""


def coded_linear(
    classes: int,
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    widths: Sequence[int],
    mean: NDArray[np.float64] | None = None,
) -> CodedLinearModel:
    """Put weights into whole numbers: per class and part, the largest becomes 32767.

    Parameters
    ----------
    classes : how many; 0 of a number
    weights : (K, D) of the values; (1, D) of a number
    bias : (K,) the scores where the values are `mean`
    widths : the dims of each part
    mean : (D,) values; 0 if None
    """
    size = np.array(widths, dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    scale = np.maximum.reduceat(np.abs(weights), starts, axis=1) / MOST
    step = np.repeat(scale, size, axis=1)
    whole = np.rint(np.divide(weights, step, out=np.zeros_like(weights), where=step > 0)).astype(np.int16)
    if mean is not None:
        bias = bias - (whole * step) @ mean
    return CodedLinearModel(classes, size, whole, scale, np.asarray(bias, dtype=np.float64))
