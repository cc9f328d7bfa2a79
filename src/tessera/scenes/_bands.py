"""What is read of a scene: the address of a band, its type, and how it is laid onto the lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tessera.net import PermanentError

from .records import SCL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .recipe import Recipe
    from .records import Scene

_FINE = ("B02", "B03", "B04", "B08")


class Reader(Protocol):
    """Reads a band of a scene; many threads at once."""

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        """(H, W) as stored: uint8 classes, uint16 numbers, float32 power; 0 (power: also NaN) where it has no data.

        Digital numbers keep their offset: it comes off after resampling. Both orders agree unless a number below 1001
        takes part, since the weights add up to 1 and missing neighbours have none.

        Raises
        ------
        NetError
            It cannot be had, or is not what it should be.
        """
        ...


def dtype_of(band: str) -> str:
    """The type that a band is read as."""
    return "uint8" if band == SCL else "float32" if band in ("VV", "VH") else "uint16"


def resampling_of(scene: Scene, band: str, recipe: Recipe) -> str:
    """How a band of a scene is laid onto the 10 m lattice."""
    if band == SCL:
        return "nearest"
    if scene.optical:
        return recipe.fine if band in _FINE else recipe.coarse
    return "bilinear" if scene.collection.startswith("opera") else recipe.radar


def href_of(scene: Scene, band: str) -> str:
    """The address of a band; `PermanentError` where the scene lacks it."""
    if band not in scene.assets:
        raise PermanentError(f"lacks asset {band}; it has {', '.join(sorted(scene.assets)) or 'none'}")
    return scene.assets[band].href
