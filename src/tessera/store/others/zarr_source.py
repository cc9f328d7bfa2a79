"""Read stores of other layouts with zarr-python: any order of axes, zones split by hemisphere, Icechunk."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, parsing, raise_if_machine, require
from tessera.embeddings import is_valid
from tessera.geo import points_in_zones
from tessera.net import CorruptError, LoadError, settled_reads
from tessera.shards import (
    COUNTS,
    MOST_DIMS,
    SCALES,
    ArraySpec,
    Extent,
    Header,
    Layout,
    ShardPosition,
    drop_bad_scales,
    parse_year,
)

from ._bounded import bounded_array
from .foreign import identify, place_extent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import zarr
    from numpy.typing import NDArray

    from tessera.geo import Window

    from .datasets import Dataset

_ZONE = re.compile(r"(?:utm)?(\d\d)([NS]?)")
_CUBE = "tessera-cube"
_AXES = {"northing": "y", "easting": "x"}
_ANONYMOUS = {"tessera-embeddings": "us-west-2"}
"""Public buckets of repositories and their regions, as geotessera 0.11.0 opens them."""
_COUNT_NAMES = ("s2_obs_count", "s1_asc_obs_count", "s1_desc_obs_count")
"""Observation counts of the dClimate run, in the order of `STREAMS`."""


@dataclass(frozen=True)
class Part:
    """A group of a zone and which of its rows count: north and south of the equator each belong to one group."""

    group: zarr.Group
    extent: Extent  # what they cover
    top: int  # top, bottom: py above the first row that counts, py of the last
    bottom: int
    years: tuple[int, ...]  # that are complete

    def array(self, name: str, where: str) -> zarr.Array[Any]:
        """An array of the group, whose chunks are unpacked within bounds."""
        return _array(self.group, name, f"{where}/{self.group.path}/{name}")


@dataclass(frozen=True)
class ZarrSource:
    """A `Source` that asks zarr-python for everything."""

    where: str  # path or URL, for messages
    zones: Mapping[int, tuple[Part, ...]]  # zone -> its parts
    years: tuple[int, ...]  # the time axis

    def _parts(self, zone: int, year_index: int) -> Iterator[Part]:
        for part in self.zones.get(zone, ()):
            if self.years[year_index] in part.years:
                yield part

    def read_window(self, window: Window, year_index: int, specs: tuple[ArraySpec, ...]) -> dict[str, NDArray[Any]]:
        """See `Source.read_window`; chunks are verified where the store's own codecs do so."""
        out = {}
        for spec in {SCALES, *specs}:
            shape = window.shape if spec.axis is None else (*window.shape, spec.bands)
            out[spec.name] = np.full(shape, spec.fill, dtype=spec.dtype)
        for part in self._parts(window.zone, year_index):
            whole = ShardPosition(part.extent, 0, 0, max(part.extent.height, part.extent.width))
            overlap = whole.overlap(window)
            if overlap is None:
                continue
            (rows, cols), (to_rows, to_cols) = overlap
            cut_top = max(0, part.extent.north - rows.start - part.top)
            cut_bottom = max(0, part.bottom - (part.extent.north - rows.stop))
            rows = slice(rows.start + cut_top, rows.stop - cut_bottom)
            to_rows = slice(to_rows.start + cut_top, to_rows.stop - cut_bottom)
            if rows.stop <= rows.start:
                continue
            for spec in {SCALES, *specs}:
                found = self._read(part, spec, year_index, (rows, cols))
                if found is not None:
                    out[spec.name][to_rows, to_cols] = found
        drop_bad_scales(out[SCALES.name])
        return out

    def _read(self, part: Part, spec: ArraySpec, year_index: int, box: tuple[slice, slice]) -> NDArray[Any] | None:
        """A rectangle of an array, (height, width, bands) or (height, width); None where the group lacks the array."""
        if spec == COUNTS:
            layers = [self._read_named(part, name, year_index, box, 0) for name in _COUNT_NAMES]
            if any(layer is None for layer in layers):
                return None
            return np.stack([np.clip(layer, 0, 65535) for layer in layers if layer is not None], axis=-1)
        return self._read_named(part, spec.name, year_index, box, spec.bands if spec.axis else 0)

    def _read_named(
        self, part: Part, name: str, year_index: int, box: tuple[slice, slice], bands: int
    ) -> NDArray[Any] | None:
        if name not in part.group:
            return None
        array: Any = part.array(name, self.where)
        axes = axes_of(array)
        index: dict[str, Any] = {"time": year_index, "y": box[0], "x": box[1]}
        values = self._ask(array, tuple(index.get(axis, slice(0, bands)) for axis in axes))
        left = [axis for axis in axes if axis != "time"]
        order = [left.index("y"), left.index("x"), *(left.index(axis) for axis in left if axis not in ("y", "x"))]
        return np.transpose(values, order)

    def _ask(self, array: Any, key: tuple[Any, ...]) -> NDArray[Any]:
        with _told(f"{self.where}/{array.path}"):
            return np.asarray(array[key])

    def read_points(
        self,
        lonlat: NDArray[np.float64],
        year_index: int,
        spec: ArraySpec,
        dims: int,
        *,
        verify: bool,  # noqa: ARG002 - whole chunks are read in any case
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """See `Source.read_points`; the chunks that hold points are read whole."""
        codes = np.zeros((len(lonlat), dims), dtype=np.int8)
        scales = np.full(len(lonlat), np.inf, dtype=np.float32)
        for zone, numbers, px, py in points_in_zones(lonlat):
            for part in self._parts(zone, year_index):
                side = max(part.extent.height, part.extent.width)
                for _, members, rows, cols in part.extent.place_points(px, py, side):
                    counts = (py[members] < part.top) & (py[members] >= part.bottom)
                    chosen, rows, cols = members[counts], rows[counts], cols[counts]
                    found = self._pixels(part, SCALES, year_index, rows, cols, 0)
                    drop_bad_scales(found)
                    scales[numbers[chosen]] = found
                    valid = np.flatnonzero(is_valid(found))
                    if len(valid):
                        values = self._pixels(part, spec, year_index, rows[valid], cols[valid], dims)
                        codes[numbers[chosen[valid]]] = values
        return codes, scales

    def _pixels(
        self, part: Part, spec: ArraySpec, year_index: int, rows: NDArray[np.int64], cols: NDArray[np.int64], bands: int
    ) -> NDArray[Any]:
        """Values of pixels, (N,) or (N, bands)."""
        array: Any = part.array(spec.name, self.where)
        index: dict[str, Any] = {"time": np.full(1, year_index), "y": rows, "x": cols}
        if bands:
            index = {name: values[:, None] for name, values in index.items()}
        key = tuple(index.get(axis, np.arange(bands)[None]) for axis in axes_of(array))
        with _told(f"{self.where}/{array.path}"):
            return np.asarray(array.vindex[tuple(np.broadcast_arrays(*key))])


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Translate errors that zarr-python raises into ours."""
    try:
        with settled_reads():
            yield
    except CorruptError as error:
        raise CorruptError(f"{where}: {error}") from None
    except TesseraError:
        raise
    except Exception as error:
        raise_if_machine(error, where)
        if isinstance(error, (RuntimeError, ValueError, MemoryError)):
            raise CorruptError(f"{where} cannot be unpacked: {_line(error)}") from None
        raise LoadError(f"{where} could not be read: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def axes_of(array: Any) -> tuple[str, ...]:
    """Names of an array's axes, x and y for easting and northing."""
    names = array.metadata.dimension_names or ()
    return tuple(_AXES.get(str(name), str(name)) for name in names)


def open_zarr_source(root: zarr.Group, dataset: Dataset | None, where: str) -> tuple[Header, ZarrSource]:
    """Header and source of a Zarr hierarchy with a group a zone, or a zone and hemisphere."""
    try:
        return _open_groups(root, dataset, where)
    except TesseraError:
        raise
    except Exception as error:
        raise_if_machine(error, where)
        raise InputError(f"{where} cannot be read as a store: {_line(error)}") from None


def _open_groups(root: zarr.Group, dataset: Dataset | None, where: str) -> tuple[Header, ZarrSource]:
    zones: dict[int, dict[str, Part]] = {}
    years: tuple[int, ...] = ()
    dims, prefixes, unmasked = 0, set(), False
    for name in sorted(root.group_keys()):
        match = _ZONE.fullmatch(name)
        if match is None or not 1 <= int(match[1]) <= 60:
            continue
        group: Any = root[name]
        zone = int(match[1])
        part, axis = _part(group, zone, match[2], name, where)
        if years and axis != years:
            raise InputError(f"{where}: {name} has the years {axis}; expected {years} as the other groups")
        years = axis
        halves = zones.setdefault(zone, {})
        if match[2] in halves or ("" in halves) or (not match[2] and halves):
            raise InputError(f"{where} has several groups of zone {zone}, such as {name}; expected one a hemisphere")
        halves[match[2]] = part
        shape = dict(zip(axes_of(group["embeddings"]), group["embeddings"].shape, strict=True))
        if dims and dims != int(shape["band"]):
            raise InputError(f"{where}: {name} has {shape['band']} bands; expected {dims} as the other groups")
        dims = int(shape["band"])
        prefixes |= {int(key[12:]) for key in group.array_keys() if re.fullmatch(r"embeddings_d\d{1,3}", key)}
        unmasked |= bool(match[2]) or group.attrs.get("geotessera:mask_source") == "source_nodata"
    if not zones and str(root.attrs.get("format")) == _CUBE:
        raise InputError(f"{where} is a cube of observations; expected a store of embeddings (tessera embed makes one)")
    if not zones or not 1 <= dims <= MOST_DIMS:
        raise InputError(f"{where} has no groups of zones with embeddings; expected utm31, or 31N and 31S")
    attributes = dict(root.attrs)
    unmasked |= attributes.get("geotessera:mask_source") == "source_nodata"
    kept = tuple(sorted(size for size in prefixes if 1 <= size < dims))
    identity = identify(dataset, attributes, dims, kept, where)
    layout = Layout(dims, kept)
    parts = {zone: tuple(found.values()) for zone, found in zones.items()}
    return Header(identity, layout, years, tuple(sorted(zones)), not unmasked), ZarrSource(where, parts, years)


def _part(group: Any, zone: int, hemisphere: str, name: str, where: str) -> tuple[Part, tuple[int, ...]]:
    with parsing(f"{where}: {name} is no group of embeddings"):
        axes = axes_of(group["scales"])
        shape = dict(zip(axes, group["scales"].shape, strict=True))
        transform = [float(value) for value in group.attrs["spatial:transform"]]
        code = str(group.attrs["proj:code"]).upper()
        if sorted(axes) != ["time", "x", "y"] or sorted(axes_of(group["embeddings"])) != ["band", "time", "x", "y"]:
            raise InputError(f"{where}: {name} has arrays with the axes {axes}; expected time, y, x and band")
        other = dict(zip(axes_of(group["embeddings"]), group["embeddings"].shape, strict=True))
        if any(other[axis] != shape[axis] for axis in ("time", "y", "x")):
            raise InputError(
                f"{where}: {name} has embeddings of {other} and scales of {shape}; expected the same pixels"
            )
        for array, dtype in (("embeddings", "int8"), ("scales", "float32")):
            _check_array(group, array, dtype, f"{where}/{name}/{array}")
        years = _years(_array(group, "time", f"{where}/{name}/time", "iuM"), f"{where}/{name}")
        complete = tuple(int(year) for year in group.attrs.get("years_complete", years))
    extent = place_extent(transform, code, (int(shape["y"]), int(shape["x"])), zone, name, where)
    top, bottom = extent.north, extent.south
    if hemisphere == "N":
        bottom = max(bottom, 0)
    elif hemisphere == "S":
        top = min(top, 0)
    return Part(group, extent, top, bottom, tuple(year for year in years if year in complete)), years


def _array(group: Any, name: str, where: str, kinds: str = "iuf") -> zarr.Array[Any]:
    import zarr

    found = group[name]
    if not isinstance(found, zarr.Array):
        raise InputError(f"{where} is a group; expected an array")
    return bounded_array(found, kinds, where)


def _check_array(group: Any, name: str, dtype: str, where: str) -> None:
    """Refuse another type, which would be wrapped, and chunks that do not fit into memory."""
    array = _array(group, name, where, "iufb")
    if array.dtype != np.dtype(dtype):
        raise InputError(f"{where} has the type {array.dtype}; expected {dtype}")


def _years(array: Any, where: str) -> tuple[int, ...]:
    """The years of a time axis: whole years, dates, or nanoseconds since 1970."""
    if array.ndim != 1 or array.shape[0] > 4096:
        raise InputError(f"{where} has a time axis of shape {array.shape}; expected a list of years")
    values = np.asarray(array[:])
    units = str(array.attrs.get("units", ""))
    if units.startswith("nanoseconds since 1970-01-01"):
        values = values.astype("datetime64[ns]")
    elif units.startswith("days since 1970-01-01"):
        values = values.astype("datetime64[D]")
    if values.dtype.kind == "M":
        values = values.astype("datetime64[Y]").astype(np.int64) + 1970
    return tuple(parse_year(year) for year in values.tolist())


def open_icechunk(location: str) -> zarr.Group:
    """The root of an Icechunk repository's main branch, read only: s3://bucket/prefix.icechunk or a folder."""
    icechunk = require("icechunk", extra="icechunk", purpose="reading an Icechunk repository")
    import zarr

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    if location.startswith("s3://"):
        region = _ANONYMOUS.get(bucket)
        access = {"from_env": True} if region is None else {"anonymous": True, "region": region}
        storage = icechunk.s3_storage(bucket=bucket, prefix=prefix.strip("/"), **access)
    elif "://" in location:
        raise InputError(f"Icechunk repository {location}; expected s3://bucket/prefix or a folder")
    else:
        storage = icechunk.local_filesystem_storage(location)
    try:
        repository = icechunk.Repository.open(storage)
        return zarr.open_group(repository.readonly_session("main").store, mode="r", use_consolidated=False)
    except Exception as error:
        raise_if_machine(error, location)
        raise InputError(f"{location} cannot be opened as an Icechunk repository: {_line(error)}") from None
