"""The values that an encoder returns and a store keeps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_fields

from .codes import dequantise, is_valid, parse_scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Grid

STREAMS = ("s2", "s1_ascending", "s1_descending")
"""The order of the observation counts."""


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made an embedding. Embeddings compare only if they have the same `sha256`.

    Attributes
    ----------
    name : an alias, such as "v2-nano"
    sha256 : 64 hexadecimal digits, over the tensors and the input specification
    dims : length of the vectors
    prefix_dims : lengths whose prefixes are embeddings of their own (Matryoshka), ascending, ending with `dims`

    Raises
    ------
    InputError
        `dims` is less than 1, `sha256` has another form, or a prefix is longer than the vectors.

    Examples
    --------
    >>> import tessera
    >>> model = tessera.open_store("store.zarr").model
    >>> model.name, model.dims, model.prefix_dims
    ('bundled-nano', 128, (128,))
    """

    name: str
    sha256: str
    dims: int
    prefix_dims: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dims < 1:
            raise InputError(f"a model of {self.dims} dims; expected at least 1")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InputError(f"model identity {self.sha256!r}; expected 64 hexadecimal digits")
        prefixes = tuple(sorted({*self.prefix_dims, self.dims}))
        if prefixes[0] < 1 or prefixes[-1] != self.dims:
            raise InputError(f"prefixes {self.prefix_dims} of a model of {self.dims} dims; expected 1 to {self.dims}")
        object.__setattr__(self, "prefix_dims", prefixes)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `from_json`."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "dims": self.dims,
            "prefix_dims": list(self.prefix_dims),
        }

    @classmethod
    def from_json(cls, value: Any) -> ModelIdentity:
        """Read the value of `to_json`.

        Raises
        ------
        InputError
            A key is missing or has another type.
        """
        try:
            prefixes = tuple(int(size) for size in value["prefix_dims"])
            return cls(str(value["name"]), str(value["sha256"]), int(value["dims"]), prefixes)
        except (KeyError, TypeError, OverflowError) as error:
            raise InputError(f"model identity lacks {error}; expected name, sha256, dims, prefix_dims") from None


@dataclass(frozen=True, repr=False)
class Embeddings:
    """The vectors of every pixel of a grid: what an encoder returns and a store keeps.

    A vector is its codes times its scale; `values` multiplies.

    Attributes
    ----------
    codes : (H, W, D) int8
    scales : (H, W) float32; finite and above 0 = valid, NaN = processed but no data, +inf = not written
    counts : (H, W, 3) uint16, number of valid observations: Sentinel-2, Sentinel-1 ascending, Sentinel-1 descending
    model : the model that made them
    grid : CRS and transform; None for a cube without (a d-pixel folder)
    provenance : plain values about the inputs, such as their SHA-256

    Raises
    ------
    InputError
        An array has another dtype or shape, a scale is 0 or less or 1 or more, or the provenance does not fit into
        JSON.

    Examples
    --------
    >>> import tessera
    >>> embeddings = tessera.load_encoder().encode(tessera.open_cube("cube.zarr"))
    >>> embeddings.codes.shape, embeddings.scales.shape
    ((58, 59, 128), (58, 59))
    >>> embeddings.values().dtype
    dtype('float32')
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    counts: NDArray[np.uint16]
    model: ModelIdentity
    grid: Grid | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.codes.dtype != np.int8 or self.codes.ndim != 3:
            raise InputError(f"codes {self.codes.dtype} {self.codes.shape}; expected int8 (H, W, D)")
        height, width, dims = self.codes.shape
        if dims != self.model.dims:
            raise InputError(f"codes of {dims} dims from a model of {self.model.dims}")
        if self.scales.dtype != np.float32 or self.scales.shape != (height, width):
            raise InputError(f"scales {self.scales.dtype} {self.scales.shape}; expected float32 ({height}, {width})")
        if self.counts.dtype != np.uint16 or self.counts.shape != (height, width, len(STREAMS)):
            raise InputError(f"counts {self.counts.dtype} {self.counts.shape}; expected uint16 ({height}, {width}, 3)")
        if self.grid is not None and (self.grid.height, self.grid.width) != (height, width):
            raise InputError(f"grid of {self.grid.height} x {self.grid.width} for codes of {height} x {width} pixels")
        parse_scales(self.scales)
        try:
            json.dumps(self.provenance)
        except (TypeError, ValueError) as error:
            raise InputError(f"provenance holds what JSON cannot: {error}; expected plain values") from None

    def __repr__(self) -> str:
        height, width, dims = self.codes.shape
        where = "no CRS" if self.grid is None else self.grid.crs
        share = f"{self.valid.mean():.1%} with data"
        return f"Embeddings({height} x {width} pixels, {dims} dims of {self.model.name}, {where}, {share})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, D)."""
        height, width, dims = self.codes.shape
        return height, width, dims

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(H, W) bool: whether each pixel has a vector."""
        return is_valid(self.scales)

    def values(self) -> NDArray[np.float32]:
        """The vectors, (H, W, D) float32: codes x scales. NaN = no data."""
        return dequantise(self.codes, self.scales)

    def crop(self, rows: slice, cols: slice) -> Embeddings:
        """The embeddings of a rectangle, as views of the same memory.

        Parameters
        ----------
        rows : slice of rows, without a step
        cols : slice of columns, without a step
        """
        row0, row1, _ = rows.indices(self.codes.shape[0])
        col0, col1, _ = cols.indices(self.codes.shape[1])
        grid = None if self.grid is None else self.grid.crop(row0, row1, col0, col1)
        box = (slice(row0, row1), slice(col0, col1))
        return replace(self, codes=self.codes[box], scales=self.scales[box], counts=self.counts[box], grid=grid)
