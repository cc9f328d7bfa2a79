"""Labels as a file: one point a pixel, which `read_labels` reads back as the same labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import check_vector, write_vector

from ._features import GROUP, REGION, YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from .labels import Labels

KIND = "labels"


def check_labels(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Check the path of a file of labels before they are read; an earlier one may be replaced.

    Raises
    ------
    InputError
        See `tessera.geo.check_vector`.
    """
    return check_vector(path, KIND, inputs=inputs, overwrite=overwrite)


def write_labels(labels: Labels, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write labels as points, with their class or number, and their group, region and year where they have them.

    Parameters
    ----------
    path : its suffix decides the format: .parquet, .geoparquet, .gpkg, .fgb or .geojson
    overwrite : whether a file in its place that holds no labels is replaced too

    Raises
    ------
    InputError
        Labels without places, a column whose name is used for groups, or a path that cannot be written.
    """
    import shapely

    target = check_labels(path, overwrite=overwrite)
    if labels.lonlat is None:
        raise InputError(f"{labels.source} has no places; expected lon and lat")
    if labels.column in (GROUP, REGION, YEAR, "geometry", "bbox"):
        raise InputError(f"column {shown(labels.column)}, a name that files of labels use themselves; expected another")
    columns: dict[str, NDArray[Any]] = {labels.column: labels.values}
    held = {GROUP: labels.groups, REGION: labels.regions, YEAR: labels.years}
    columns |= {name: values for name, values in held.items() if values is not None}
    points = np.asarray(shapely.points(labels.lonlat), dtype=object)
    write_vector(target, points, columns, kind=KIND, notes={"source": labels.source, "kind": labels.kind})
    return target
