"""The protocol that every kind of store implements to read windows and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tessera.geo import Window

    from .layout import ArraySpec


class Source(Protocol):
    """Reads pixels of a store."""

    def read_window(self, window: Window, year_index: int, specs: tuple[ArraySpec, ...]) -> dict[str, NDArray[Any]]:
        """Read arrays over a window, always with the scales; verified, each cell of one version.

        Returns
        -------
        Array name -> (height, width, bands) of its dtype, (height, width) without a band axis; filled where nothing is
        """
        ...

    def read_points(
        self, lonlat: NDArray[np.float64], year_index: int, spec: ArraySpec, dims: int, *, verify: bool
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Read codes (N, dims) and scales (N,) of the pixels that hold points; 0 and +inf where nothing was written."""
        ...
