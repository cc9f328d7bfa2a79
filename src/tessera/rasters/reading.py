"""The one place where a GeoTIFF is opened: by the driver that is meant, and by what lies in the file itself."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, TesseraError, raise_if_machine, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEEDS = {"extra": "geo", "purpose": "a GeoTIFF"}
_ENV = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "GDAL_CACHEMAX": 256}
"""No file beside the raster counts, and GDAL caches at most 256 MB."""


@contextmanager
def open_raster(source: Path | str | bytes, *, driver: str = "GTiff") -> Iterator[Any]:
    """Open a raster for reading; yields rasterio's dataset.

    The driver is always named: GDAL would take a file called .tif for a VRT or WMS, which reads other files and asks
    the network.

    Parameters
    ----------
    source : a path, a URL or the bytes of the file

    Raises
    ------
    InputError
        rasterio is not installed.
    """
    rasterio: Any = require("rasterio", **_NEEDS)
    with rasterio.Env(**_ENV), warnings.catch_warnings():
        # a raster that lies nowhere is told by its missing CRS
        warnings.simplefilter("ignore", require("rasterio.errors", **_NEEDS).NotGeoreferencedWarning)
        if isinstance(source, bytes):
            with rasterio.io.MemoryFile(source) as memory, memory.open(driver=driver) as raster:
                yield raster
        else:
            with rasterio.open(source, driver=driver) as raster:
                yield raster


@contextmanager
def reading(name: object) -> Iterator[None]:
    """Turn what GDAL or the disk says while `name` is read into one line.

    Raises
    ------
    InputError
        In place of GDAL's errors, any `OSError` and any `ValueError`.
    MachineError
        This machine failed, not the file.
    """
    try:
        yield
    except failures(ValueError) as error:
        raise_if_machine(error, name)
        if isinstance(error, TesseraError):
            raise
        raise InputError(f"{name} cannot be read as a GeoTIFF: {str(error) or type(error).__name__}") from None


@contextmanager
def writing_to(target: object) -> Iterator[None]:
    """Turn what GDAL or the disk says while `target` is written into a `TesseraError` of one line."""
    try:
        yield
    except failures() as error:
        raise_if_machine(error, f"cannot write {target}")
        reason = getattr(error, "strerror", None) or str(error.__cause__ or error) or type(error).__name__
        raise TesseraError(f"cannot write {target}: {reason}; is the disk full?") from None


def failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What rasterio raises: GDAL's own errors among them, and those of the disk."""
    return (
        *more,
        OSError,
        require("rasterio.errors", **_NEEDS).RasterioError,
        require("rasterio._err", **_NEEDS).CPLE_BaseError,
    )
