"""Pictures of a map: its classes or ranges, and what is known of its uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.figures import MAX_SIDE, draw_map
from tessera.geo import PIXEL_SIZE, from_lonlat, to_lonlat
from tessera.labels import NO_DATA, class_labels, kept_codes, left_to_right, one_line
from tessera.rasters import open_raster, reading

from .legend import show_hectares, show_share
from .ranges import edges_of, ramp, range_names, range_of, varies

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.geo import Window

    from .legend import MapClass

_LEGEND_NAME, _TITLE = 40, 80
"""Letters of a class name in a legend, and of a title."""
_PROBABILITIES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Borders of the legend of probabilities."""
_STEP = 1e-3
"""Degrees to the north, over which the direction of true north is taken."""


def draw_classes(
    path: Path, tiff: Path, title: str, legend: tuple[MapClass, ...], edges: tuple[float, ...], window: Window
) -> None:
    """Draw a map with its legend and areas."""
    values = _small(tiff, 1, window)
    names = [one.name for one in legend]
    codes = bool(edges) or kept_codes(names)
    if edges:
        index = np.where(np.isfinite(values), range_of(values, edges), NO_DATA).astype(np.uint8)
    else:
        place = np.full(256, NO_DATA, dtype=np.uint8)
        place[[one.value or 0 for one in legend]] = np.arange(len(legend), dtype=np.uint8)
        index = place[values]
    total, most = sum(one.pixels for one in legend), max((one.pixels for one in legend), default=0)
    entries = []
    for one, label in zip(legend, names if edges else class_labels(names, _LEGEND_NAME), strict=True):
        before = "" if codes else f"{one.value}: "
        area = f"   {show_hectares(one.pixels, most)} ha   {show_share(one.pixels, total)}"
        entries.append((left_to_right(before, label, area), one.colour))
    _draw(path, index, entries, title, window, "range" if edges else "class" if codes else "value: class")


def draw_uncertainty(path: Path, tiff: Path, bands: tuple[str, ...], title: str, window: Window) -> None:
    """Draw the probability of the predicted class, or the width of the interval, or the distance to the labels.

    A width that is the same everywhere gives way to the distance. The lighter, the surer.
    """
    drawn = [one for one in ("probability", "width", "applicability") if one in bands]
    name, values = drawn[0], _small(tiff, bands.index(drawn[0]) + 1, window)
    there = values[np.isfinite(values)]
    if name == "width" and len(drawn) > 1 and not varies(there):
        name, values = drawn[1], _small(tiff, bands.index(drawn[1]) + 1, window)
        there = values[np.isfinite(values)]
    wanted = (1.0,) if name == "applicability" else ()
    edges = _PROBABILITIES if name == "probability" else _edges_beside(there, wanted)
    colours = ramp(len(edges) + 1)
    if name != "probability":
        colours = colours[::-1]
    index = np.where(np.isfinite(values), range_of(values, edges), NO_DATA).astype(np.uint8)
    names = range_names(edges) if edges else (f"{there[0]:.4g} everywhere" if len(there) else "no numbers",)
    entries = list(zip(names, colours, strict=True))
    heading = {
        "probability": "probability of the predicted class",
        "width": "width of the interval",
        "applicability": "distance to the labels (1 = threshold)",
    }[name]
    _draw(path, index, entries, title, window, heading)


def _edges_beside(there: NDArray[Any], wanted: tuple[float, ...]) -> tuple[float, ...]:
    """Borders of ranges, with those `wanted` that lie among the numbers; none where all numbers are the same."""
    if not varies(there):
        return ()
    low, high = float(there.min()), float(there.max())
    return tuple(sorted({*edges_of(low, high), *(edge for edge in wanted if low < edge < high)}))


def _small(tiff: Path, band: int, window: Window) -> NDArray[Any]:
    """A band, as large as a picture can show it."""
    shrink = max(1.0, max(window.shape) / MAX_SIDE)
    shape = tuple(max(1, round(side / shrink)) for side in window.shape)
    with reading(tiff), open_raster(tiff) as source:
        return np.asarray(source.read(band, out_shape=shape))


def _draw(
    path: Path, index: NDArray[np.uint8], entries: list[tuple[str, str]], title: str, window: Window, heading: str
) -> None:
    draw_map(
        path,
        index,
        entries,
        title=one_line(title, _TITLE),
        bounds=window.bounds,
        crs=window.grid.crs,
        heading=heading,
        north=true_north(window),
    )


def true_north(window: Window) -> float:
    """Degrees clockwise from the top of the map to true north, at its centre."""
    x = np.array([(window.west + window.width / 2) * PIXEL_SIZE])
    y = np.array([(window.north - window.height / 2) * PIXEL_SIZE])
    lon, lat = to_lonlat(x, y, window.zone)
    step = np.where(lat + _STEP > 90, -_STEP, _STEP)
    east, north = from_lonlat(lon, lat + step, window.zone)
    sign = np.sign(step)
    return float(np.degrees(np.arctan2(sign * (east - x), sign * (north - y)))[0])
