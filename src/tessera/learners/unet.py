"""The U-Net head: classes or numbers of every pixel from the pixels around it, trained and run by torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tessera.base import InputError, require
from tessera.labels import ChipVectors

from ._unet_layers import CONVOLUTIONS, network_input
from .model import expect, expect_standard, named, softmax
from .settings import Setting
from .spatial import SpatialModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

    from .training import Training

TILE, STRIDE = 128, 96
"""Pixels of a side of a tile, and from one tile to the next; neighbours overlap by their difference."""
_BATCH = 16
"""Windows of labels that are predicted at a time."""
_MOST_WIDTH = 256
SETTINGS = {
    "width": Setting(24, 1, 256),
    "epochs": Setting(60, 1, 10_000),
    "patience": Setting(10, 1, 10_000),
    "rate": Setting(0.005, 1e-6, 1.0),
}
"""Channels at full resolution; passes over the windows, at most; passes without improvement before it stops; learning
rate."""


@dataclass(frozen=True, repr=False)
class UnetModel(SpatialModel):
    """A U-Net of three resolutions on standardised vectors; batch norm is folded into the weights.

    An area is predicted in tiles of 128 x 128 pixels, 96 pixels apart from the zone's origin. Where tiles overlap their
    results are blended, with weights that fall towards the edge of a tile. All is float32. Sums of products depend on
    the machine in their last digits: probabilities agree to 1e-4.

    Attributes
    ----------
    stem : (W, D + 1) float32, the first layer: one more input is 1 where there is data
    kernels : the ten 3 x 3 convolutions (out, in, 3, 3) float32; `CONVOLUTIONS` has their sizes
    head : (K or 1, W + D + 1) float32, the last layer, on what the convolutions give and on the features themselves
    stem_bias, biases, head_bias : (out,) float32 of each
    mean, std : (D,) float32 of the features
    scale : (2,) float64, centre and spread of a number; 0 and 1 of classes
    """

    stem: NDArray[np.float32]
    stem_bias: NDArray[np.float32]
    kernels: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]
    head: NDArray[np.float32]
    head_bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    scale: NDArray[np.float64]

    margin: ClassVar[int] = TILE

    def __post_init__(self) -> None:
        super().__post_init__()
        dims, width = expect_standard(self.mean, self.std), self.stem.size // (len(self.mean) + 1)
        if not 1 <= width <= _MOST_WIDTH or len(self.kernels) != len(CONVOLUTIONS) != len(self.biases):
            raise InputError(f"{len(self.kernels)} kernels of width {width}; expected {len(CONVOLUTIONS)} of 1 to 256")
        expect("stem", self.stem, np.float32, (width, dims + 1))
        expect("stem_bias", self.stem_bias, np.float32, (width,))
        for index, (many, few) in enumerate(CONVOLUTIONS):
            expect(f"kernel_{index}", self.kernels[index], np.float32, (few * width, many * width, 3, 3))
            expect(f"bias_{index}", self.biases[index], np.float32, (few * width,))
        expect("head", self.head, np.float32, (self.classes or 1, width + dims + 1))
        expect("head_bias", self.head_bias, np.float32, (self.classes or 1,))
        expect("scale", self.scale, np.float64, (2,))

    @property
    def dims(self) -> int:
        return len(self.mean)

    def scores_of_chips(self, chips: ChipVectors) -> NDArray[np.float32]:
        out = np.zeros((len(chips), self.classes or 1), dtype=np.float32)
        windows = np.unique(chips.chip)
        for start in range(0, len(windows), _BATCH):
            some = windows[start : start + _BATCH]
            found = self._run(chips.windows[some])
            here = np.flatnonzero((chips.chip >= some[0]) & (chips.chip <= some[-1]))
            place = np.searchsorted(some, chips.chip[here])
            out[here] = found[place, :, chips.row[here], chips.col[here]]
        return out if self.classes else out[:, 0]

    def blend(self, vectors: StackedVectors, west: int, north: int) -> NDArray[np.float32]:
        edge = self.margin
        height, width = (side - 2 * edge for side in vectors.shape)
        total = np.zeros((height, width, self.classes or 1), dtype=np.float32)
        weights = np.zeros((height, width, 1), dtype=np.float32)
        valid = vectors.valid
        ramp = np.minimum(1, (np.minimum(np.arange(TILE), np.arange(TILE)[::-1]) + 0.5) / (TILE - STRIDE))
        weight = (ramp[:, None] * ramp).astype(np.float32)[..., None]
        # rows count southwards from the zone's origin, so tiles lie where they do for any window
        for top in _starts(-north, height):
            for left in _starts(west, width):
                row, col = top + north, left - west
                rows, cols = slice(max(row, 0), min(row + TILE, height)), slice(max(col, 0), min(col + TILE, width))
                if not valid[edge + rows.start : edge + rows.stop, edge + cols.start : edge + cols.stop].any():
                    continue
                tile = vectors[edge + row : edge + row + TILE, edge + col : edge + col + TILE]
                # one at a time: the sums of a tile are then the same wherever a strip ends
                found = self._run(tile[None])[0].transpose(1, 2, 0)
                part = slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col)
                total[rows, cols] += weight[part] * found[part]
                weights[rows, cols] += weight[part]
        return np.asarray(total / np.maximum(weights, np.float32(1e-12)), dtype=np.float32)

    def _run(self, windows: StackedVectors) -> NDArray[np.float32]:
        """(B, S, S) vectors -> (B, K, S, S) probabilities, or (B, 1, S, S) numbers."""
        require("torch", extra="models", purpose="a U-Net head")
        from ._unet_network import run

        inputs = network_input(windows, self.mean, self.std)
        first, last = (self.stem, self.stem_bias), (self.head, self.head_bias)
        found = run(inputs, first, (self.kernels, self.biases), last)
        if not self.classes:
            return np.asarray(found * self.scale[1] + self.scale[0], dtype=np.float32)
        # softmax is of rows
        rows = found.transpose(0, 2, 3, 1).reshape(-1, self.classes)
        shape = found.shape[0], found.shape[2], found.shape[3], self.classes
        return softmax(rows).reshape(shape).transpose(0, 3, 1, 2)

    def arrays(self) -> dict[str, NDArray[Any]]:
        layers = {f"kernel_{index}": part for index, part in enumerate(self.kernels)}
        layers |= {f"bias_{index}": part for index, part in enumerate(self.biases)}
        return layers | {name: getattr(self, name) for name in _OTHERS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        count = range(len(CONVOLUTIONS))
        layers = tuple(f"{part}_{index}" for part in ("kernel", "bias") for index in count)
        found = named(arrays, (*layers, *_OTHERS))
        kernels, biases = (tuple(found[f"{part}_{index}"] for index in count) for part in ("kernel", "bias"))
        return cls(classes, kernels=kernels, biases=biases, **{name: found[name] for name in _OTHERS})


_OTHERS = ("stem", "stem_bias", "head", "head_bias", "mean", "std", "scale")


def _starts(first: int, count: int) -> range:
    """Where tiles start that reach the pixels `first` to `first + count` of an axis."""
    lowest = -((TILE - 1 - first) // STRIDE)
    return range(lowest * STRIDE, first + count, STRIDE)


def fit_unet(training: Training) -> UnetModel:
    """Train on windows of embeddings, stopped early on groups held out; as many labels as there are."""
    torch = require("torch", extra="models", purpose="a U-Net head")
    if not isinstance(training.codes, ChipVectors):
        raise InputError("labels without their neighbours; a U-Net learns from places in a store (tessera fit)")
    from ._unet_training import train_unet

    threads = torch.get_num_threads()
    # one thread: the sums do not depend on the machine's number of cores
    torch.set_num_threads(1)
    try:
        found = train_unet(training, training.codes)
    finally:
        torch.set_num_threads(threads)
    return UnetModel(training.classes, **found)
