"""A sample of reference labels against a map: what the map shows at each, and the areas that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.labels import CLASSES, one_line
from tessera.rasters import open_raster, reading
from tessera.validation import estimate_areas

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.labels import Labels
    from tessera.maps import MapClass


_SAME_M = 15.0
"""Metres within which two labels lie on one pixel, or on its neighbour."""


def areas_of_sample(
    tiff: Path, legend: tuple[MapClass, ...], sample: Labels, design: str, trained: NDArray[np.float64]
) -> dict[str, Any]:
    """Estimate the area of each class of a map from reference labels that were drawn at random.

    Parameters
    ----------
    tiff : the map
    legend : its classes; classes of the sample that it lacks are added, with no pixel
    sample : a class and a place each
    design : "random", or "stratified" by the classes of the map
    trained : (N, 2) degrees, places of labels that the head learnt from, as far as it keeps them

    Raises
    ------
    InputError
        Numbers, polygons of several pixels, labels without a place, none on the map, or labels that trained the head.
    """
    if sample.kind != CLASSES or sample.lonlat is None:
        raise InputError(f"sample {sample.source} has numbers or no places; expected a class and a point each")
    if sample.groups is not None and len(np.unique(sample.groups)) < len(sample):
        raise InputError(
            f"sample {sample.source} has features of several pixels; expected one point for each sampled pixel"
        )
    again = _learnt_from(sample.lonlat, trained)
    if again > len(sample) / 2:
        raise InputError(
            f"{again} of {len(sample)} labels of {sample.source} lie where the head was trained; expected a sample "
            "that was drawn on the finished map and that the map has not learnt"
        )
    names = [one.name for one in legend]
    extra = [name for name in sample.classes if name not in names]
    place = {name: index for index, name in enumerate([*names, *extra])}
    truth = np.array([place[name] for name in sample.values], dtype=np.int64)
    shown = _shown(tiff, sample.lonlat)
    index_of = {one.value: index for index, one in enumerate(legend)}
    mapped = np.array([index_of.get(value, -1) for value in shown.tolist()], dtype=np.int64)
    on = mapped >= 0
    if not on.any():
        raise InputError(
            f"none of {len(sample)} labels of {sample.source} lies on the map {tiff}; expected a sample of it"
        )
    pixels = [*(one.pixels for one in legend), *(0 for _ in extra)]
    found = estimate_areas(mapped[on], truth[on], pixels, [*names, *extra], design=design).to_json()
    if again:
        found["notes"].append(
            f"{again} of {len(sample)} labels lie where the head was trained, where a map is better than elsewhere: "
            "leave them out of the sample"
        )
    if not on.all():
        found["notes"].append(f"{int((~on).sum())} of {len(sample)} labels lie outside the map or on no data")
    if extra:
        listed = ", ".join(one_line(name, 40) for name in extra)
        found["notes"].append(f"classes of the sample that the map does not have: {listed}")
    return {**found, "source": one_line(sample.source, 80)}


def _learnt_from(lonlat: NDArray[np.float64], trained: NDArray[np.float64]) -> int:
    """How many places lie on a pixel that a head learnt from."""
    import shapely

    if not len(trained):
        return 0
    # metres from the first place, true enough over the few that matter
    scale = 111_320.0 * np.array([np.cos(np.radians(float(lonlat[0, 1]))), 1.0])
    tree = shapely.STRtree(np.asarray(shapely.points(trained * scale)))
    near, _ = tree.query(np.asarray(shapely.points(lonlat * scale)), predicate="dwithin", distance=_SAME_M)
    return len(np.unique(near))


def _shown(tiff: Path, lonlat: NDArray[np.float64]) -> NDArray[np.int64]:
    """The value of the map at each place, -1 outside."""
    import pyproj

    with reading(tiff), open_raster(tiff) as source:
        project = pyproj.Transformer.from_crs("EPSG:4326", str(source.crs), always_xy=True)
        x, y = project.transform(lonlat[:, 0], lonlat[:, 1])
        # what the projection does not reach is infinite
        with np.errstate(invalid="ignore"):
            column, row = ~source.transform * (np.asarray(x), np.asarray(y))
            inside = (row >= 0) & (row < source.height) & (column >= 0) & (column < source.width)
        out = np.full(len(lonlat), -1, dtype=np.int64)
        points = zip(np.asarray(x)[inside].tolist(), np.asarray(y)[inside].tolist(), strict=True)
        out[inside] = [int(one[0]) for one in source.sample(points)]
        return out
