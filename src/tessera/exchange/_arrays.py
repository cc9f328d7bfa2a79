"""Regions as .npy files and as Zarr groups."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, read_json
from tessera.store import crs_facts

if TYPE_CHECKING:
    from pathlib import Path

    from ._strips import Strips

_CHUNK = 128
"""Side of a chunk of a Zarr group, pixels: 8 MB of 128 float32."""


def write_npy(strips: Strips, files: list[Path]) -> None:
    """Write ([year,] height, width, D) float32, or int8 codes and float32 scales ([year,] height, width)."""
    query = strips.region.query
    shape = (*((len(query.years),) if query.several else ()), *strips.region.shape)
    kinds: list[tuple[np.dtype[Any], tuple[int, ...]]]
    if strips.quantised:
        kinds = [(np.dtype(np.int8), (*shape, query.dims)), (np.dtype(np.float32), shape)]
    else:
        kinds = [(np.dtype(np.float32), (*shape, query.dims))]
    opened = [file.open("wb") for file in files]
    try:
        for file, (dtype, whole) in zip(opened, kinds, strict=True):
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": whole}
            np.lib.format.write_array_header_1_0(file, header)
        for year in range(len(query.years)):
            for rows in strips.rows:
                for file, array in zip(opened, strips.read(year, rows), strict=False):
                    if array is not None:
                        file.write(np.ascontiguousarray(array).data)
    finally:
        for file in opened:
            file.close()


def valid_of(folder: Path, request: str) -> int | None:
    """How many pixels have data in a group that `write_zarr` made for this request, None where it is another."""
    try:
        about = read_json(folder / "zarr.json", what="Zarr group")["attributes"]
        valid = about["tessera:valid"]
        return valid if about["tessera:request"] == request and type(valid) is int else None
    except (InputError, OSError, KeyError, TypeError):
        return None


def write_zarr(strips: Strips, folder: Path, about: dict[str, Any]) -> None:
    """Write a Zarr v3 group with CF coordinates and grid mapping, which xarray, rioxarray and odc-geo open.

    By `about`, request and valid, `valid_of` knows the group again.
    """
    import zarr

    region = strips.region
    query, target = region.query, region.target
    group = zarr.create_group(store=str(folder), zarr_format=3)
    group.attrs.update(
        {"Conventions": "CF-1.8", "model": query.model.name, "model_sha256": query.model.sha256, "crs": target.crs}
    )
    group.attrs.update({f"tessera:{name}": value for name, value in about.items()})
    leading = ("year",) if query.several else ()
    shape = (*((len(query.years),) if query.several else ()), *target.shape)
    chunks = (*((1,) if query.several else ()), min(_CHUNK, target.height), min(_CHUNK, target.width))
    mapping: dict[str, Any] = {"grid_mapping": "spatial_ref"}

    def array(name: str, dtype: str, bands: bool, fill: float) -> Any:
        return group.create_array(
            name,
            shape=(*shape, query.dims) if bands else shape,
            chunks=(*chunks, query.dims) if bands else chunks,
            dtype=dtype,
            fill_value=fill,
            dimension_names=(*leading, "y", "x", *(("band",) if bands else ())),
            attributes=mapping,
        )

    if strips.quantised:
        out = [array("embeddings", "int8", True, 0), array("scales", "float32", False, np.nan)]
    else:
        out = [array("embeddings", "float32", True, np.nan)]
    _coordinates(group, strips)
    for number in range(len(query.years)):
        for start in range(0, target.height, _CHUNK):
            rows = range(start, min(start + _CHUNK, target.height))
            place: Any = (number, slice(rows.start, rows.stop)) if query.several else slice(rows.start, rows.stop)
            for held, values in zip(out, strips.read(number, rows), strict=False):
                if values is not None:
                    held[place] = values
    with warnings.catch_warnings():
        # stock readers of today look for it, though the format does not have it yet
        warnings.simplefilter("ignore", UserWarning)
        zarr.consolidate_metadata(group.store)


def _coordinates(group: Any, strips: Strips) -> None:
    query, target = strips.region.query, strips.region.target
    _, _, degrees, wkt = crs_facts(target.crs)
    a, b, c, d, e, f = target.transform
    names = ("longitude", "latitude") if degrees else ("projection_x_coordinate", "projection_y_coordinate")
    units = ("degrees_east", "degrees_north") if degrees else ("m", "m")
    axes = {"x": target.x(range(target.width)), "y": target.y(range(target.height))}
    for (axis, values), name, unit in zip(axes.items(), names, units, strict=True):
        attributes = {"standard_name": name, "units": unit, "axis": axis.upper()}
        made = group.create_array(
            axis, shape=values.shape, dtype="float64", dimension_names=(axis,), attributes=attributes
        )
        made[:] = values
    held = {"band": np.arange(query.dims, dtype=np.int32)}
    if query.several:
        held["year"] = np.array(query.years, dtype=np.int32)
    for axis, numbers in held.items():
        group.create_array(axis, shape=numbers.shape, dtype="int32", dimension_names=(axis,))[:] = numbers
    group.create_array(
        "spatial_ref",
        shape=(),
        dtype="int32",
        dimension_names=(),
        attributes={"crs_wkt": wkt, "spatial_ref": wkt, "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"},
    )
    if not query.several:
        group.attrs["year"] = query.years[0]
