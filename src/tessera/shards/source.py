"""Where the pixels of a store come from: windows of arrays and single pixels, whatever lies beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tessera.geo import Window

    from .layout import ArraySpec


class Source(Protocol):
    """What every kind of store can be asked."""

    def read_window(self, window: Window, year_index: int, specs: tuple[ArraySpec, ...]) -> dict[str, NDArray[Any]]:
        """Arrays over a window, the scales always among them; verified, each cell of one version.

        Returns
        -------
        Array name -> (height, width, bands) of its dtype, (height, width) without a band axis; filled where nothing is
        """
        ...

    def read_points(
        self, lonlat: NDArray[np.float64], year_index: int, spec: ArraySpec, dims: int, *, verify: bool
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Codes (N, dims) and scale (N,) of the pixel that holds each point; 0 and +inf where nothing was written."""
        ...
