"""Store: years of embeddings at a path or URL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, shown, silent
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window, check_year_of, parse_points
from tessera.shards import COUNTS, SCALES, Header, Layout, ShardedSource, parse_year

from .commits import create_on_ground, ground_of, input_of, is_writable
from .opening import open_parts
from .queries import (
    PointSample,
    PointStatus,
    Zonal,
    lonlat_box,
    parse_anywhere,
    parse_query,
    parse_target,
    plan_region,
    plan_zonal,
    refuse_empty,
    sample,
    where_data_lie,
    zonal_means,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    import xarray
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.net import Objects
    from tessera.shards import Source

    from .commits import Commit, Ground

_TOLD = ("period", "source", "recipe", "reader")
"""Entries of provenance that say what embeddings were made from."""


@dataclass(repr=False)
class Store:
    """Years of embeddings, a Zarr group a UTM zone.

    Attributes
    ----------
    objects : where its bytes lie
    header : identity, layout, years and zones as they were when it was opened, or after this object's last write
    source : what reads its pixels
    single_writer : whether the caller answers for it that nobody else writes; see `open_store`
    """

    objects: Objects
    header: Header
    source: Source
    single_writer: bool = False

    def __repr__(self) -> str:
        years = " ".join(map(str, self.years)) or "no years yet"
        return f"Store({self.objects.root}, {self.dims} dims of {self.model.name}, {years})"

    @property
    def years(self) -> tuple[int, ...]:
        """The years that it holds, in order of arrival."""
        return self.header.years

    @property
    def zones(self) -> tuple[int, ...]:
        """The UTM zones that it has arrays for; whether they hold data is another matter."""
        return self.header.zones

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        return self.header.layout.dims

    @property
    def model(self) -> ModelIdentity:
        """Whose embeddings it holds."""
        return self.header.model

    @property
    def layout(self) -> Layout:
        """Its geometry."""
        return self.header.layout

    @checked
    def write(self, embeddings: Embeddings, year: int, *, progress: Progress = silent) -> list[Cell]:
        """Write embeddings, cell by cell; what was there stays where the new ones have no data.

        Parameters
        ----------
        embeddings : of this store's model, on the lattice
        year : appended to the time axis if it is new
        progress : called with cells done and their total

        Returns
        -------
        The cells that were committed.

        Raises
        ------
        InputError
            Another model or length, a year that the time of their observations does not touch, no grid, a grid off the
            lattice, a zone that the store lacks, or a store that can only be read.
        TesseraError
            The disk is full or refuses; cells committed before stay, the cell at hand is as it was. Or the line or the
            server failed; then the next write of that cell finishes what this one began.
        """
        ground = self._writable()
        year = check_year_of(embeddings.provenance, parse_year(year), "embeddings")
        if embeddings.model.sha256 != self.model.sha256:
            raise InputError(
                f"embeddings of {embeddings.model.name} ({embeddings.model.sha256[:12]}) for a store of "
                f"{self.model.name} ({self.model.sha256[:12]}); a store holds one model"
            )
        if embeddings.shape[2] != self.dims:
            raise InputError(f"embeddings of {embeddings.shape[2]} dims for a store of {self.dims}")
        window = Window.of_grid(embeddings.grid)
        self.header.check_zone(window.zone, self.objects.root)
        self.header = ground.ensure_year(year)
        ground.recover_all(self.header)
        cells = list(window.cells(self.layout.shard))
        done: list[Cell] = []
        for cell in cells:
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            part = embeddings.crop(*inside.slices_in(window))
            ground.write_cell(self.header, cell, year, part, inside)
            self._forget(cell, year)
            done.append(cell)
            progress(len(done), len(cells))
        return done

    @checked
    def holds(self, window: Window, year: int, provenance: dict[str, Any]) -> bool:
        """Whether this window was written from these very inputs and nothing was written over it since.

        Only a store that can be written can tell; objects are looked at, not read.
        """
        return self._is_written(window, year, lambda found: found == provenance)

    @checked
    def made_from(self, window: Window, year: int, subset: dict[str, Any]) -> bool:
        """As `holds`, for inputs of whose provenance only some entries are known.

        Parameters
        ----------
        subset : entries that the provenance has, with these values
        """
        return self._is_written(window, year, lambda found: subset.items() <= found.items())

    def _is_written(self, window: Window, year: int, like: Callable[[dict[str, Any]], bool]) -> bool:
        if not is_writable(self.objects):
            return False
        if year not in self.years:
            # another process may have added it since
            self._writable()
        if year not in self.years:
            return False
        ground = self._ground
        for cell in window.cells(self.layout.shard):
            inside = cell.window.intersection(window)
            try:
                record = ground.read_commit(cell, year)
            except InputError:
                return False
            if record is None or inside is None:
                return False
            if not any(
                part == input_of(inside, part["provenance"]) and like(part["provenance"]) for part in record.inputs
            ):
                return False
            if not ground.is_whole(self.header, cell, record):
                return False
        return True

    def scratch(self) -> Path:
        """A folder of this machine for work that is not in the store yet; in the store where that is local."""
        return self._writable().scratch()

    @checked
    def cells(self, year: int) -> list[Cell]:
        """The cells that were committed for a year; of stores that can be written, a path or an object store's URL.

        Raises
        ------
        InputError
            No such year, or a store that can only be read.
        """
        self.header.year_index(year, self.objects.root)
        return list(self._ground.cells(year, self.layout))

    @checked
    def commit(self, cell: Cell, year: int) -> Commit | None:
        """The commit record of a cell, None where it was never committed; of stores that can be written."""
        return self._ground.read_commit(cell, year)

    @checked
    def coverage(self, area: object, year: int) -> float:
        """Share of the pixels that `read_region` returns that have data, 0 to 1; in one zone it reads scales only."""
        region = plan_region(self, area, year, self.model.prefix_dims[0])
        cols = range(region.shape[1])
        valid = sum(
            int(region.valid(rows, cols, index).sum()) for index in region.query.indexes for rows in region.strips()
        )
        return valid / (region.shape[0] * region.shape[1])

    @checked
    def refuse_empty(self, area: object, year: int | Sequence[int]) -> None:
        """Refuse an area in which nothing was written, before anything of it is read, and say where data lie.

        Parameters
        ----------
        area : whatever `tessera.geo.parse_area` reads, or a lattice Window
        year : one of `years`, or a sequence of which one is enough

        Raises
        ------
        InputError
            The store has nothing there. One that lists no cells is looked through as far as 64 shards.
        """
        refuse_empty(self, area, (year,) if isinstance(year, (int, np.integer)) else tuple(year))

    @checked
    def whereabouts(self, year: int | Sequence[int]) -> str:
        """Where data of these years lie, as a clause of a message; "" where the store does not list its cells."""
        return where_data_lie(self, (year,) if isinstance(year, (int, np.integer)) else tuple(year))

    @checked
    def read_window(self, window: Window, year: int) -> Embeddings:
        """Codes, scales and counts of a lattice window, verified; exactly what was written."""
        index = self.header.year_index(year, self.objects.root)
        self.header.check_zone(window.zone, self.objects.root)
        codes = self.layout.codes
        found = self.source.read_window(window, index, (codes, SCALES, COUNTS))
        arrays = found[codes.name], found[SCALES.name], found[COUNTS.name]
        return Embeddings(*arrays, self.model, window.grid)

    @checked
    def sample_points(
        self, points: object, year: int | Sequence[int], dims: int | None = None, *, verify: bool = False
    ) -> NDArray[np.float32]:
        """The vector of the pixel that holds each point.

        Parameters
        ----------
        points : (N, 2) longitudes and latitudes in degrees, a GeoDataFrame, or a CSV, GeoJSON or GeoParquet file
        year : one of `years`, or a sequence of them
        dims : length of the prefix to return, one of the model's prefixes
        verify : check whole chunks against their checksum, 131 kB a point, instead of reading its 132 bytes

        Returns
        -------
        (N, dims) float32, NaN = no data; (N, years, dims) for a sequence of years. Within 0.1 degree of a border
        between zones the neighbour's pixel counts where the point's own zone has no data

        Raises
        ------
        InputError
            A point outside the grid (beyond 80 S or 84 N, or no longitude) or the store's zones, no such year or
            prefix. A point where nothing was written is no error but no data.
        CorruptError
            A shard's index or, with `verify`, a chunk is damaged.
        """
        lonlat = parse_points(points)
        found = sample(parse_query(self, year, dims), lonlat, np.ones(len(lonlat), dtype=np.bool_), verify=verify)
        beyond = found.status == PointStatus.OUTSIDE
        outside = np.flatnonzero(beyond.any(axis=1) if beyond.ndim > 1 else beyond)
        if len(outside):
            lon, lat = lonlat[outside[0]]
            raise InputError(
                f"{len(outside)} of {len(lonlat)} points, such as longitude {lon:g}, latitude {lat:g}, lie outside "
                f"the zones of {self.objects.root}: {', '.join(map(str, self.zones))}"
            )
        return found.values

    @checked
    def sample(
        self,
        points: object,
        year: int | Sequence[int],
        dims: int | None = None,
        *,
        search: int = 0,
        verify: bool = False,
    ) -> PointSample:
        """As `sample_points`, with why a point has no vector and which pixel was used; no point is an error.

        Parameters
        ----------
        points, year, dims, verify : as for `sample_points`
        search : pixels around a point in which the nearest valid one is taken where its own has no data, 0 to 100;
            water is no gap

        Raises
        ------
        InputError
            No points, no such year or prefix, or a `search` that is no such number.
        CorruptError
            As for `sample_points`.
        """
        lonlat, inside = parse_anywhere(points)
        return sample(parse_query(self, year, dims), lonlat, inside, search=search, verify=verify)

    @checked
    def zonal(
        self, polygons: object, year: int | Sequence[int], dims: int | None = None, *, all_touched: bool = False
    ) -> Zonal:
        """The mean vector of each polygon, over the valid pixels whose centre it holds.

        Parameters
        ----------
        polygons : a vector file, GeoDataFrame, GeoJSON, a shapely polygon or a sequence of them, degrees
        year, dims : as for `sample_points`
        all_touched : count every pixel that a polygon touches

        Raises
        ------
        InputError
            A geometry that is no polygon or lies beyond UTM, no such year or prefix.
        CorruptError
            A shard is damaged.
        """
        return zonal_means(plan_zonal(self, polygons, year, dims, all_touched=all_touched))

    @checked
    def region_grid(self, area: object, crs: str | None = None) -> Window:
        """The lattice window that `read_region` returns for an area, in a UTM zone."""
        window = parse_target(area, crs, None, False)[0].window
        if window is None:
            raise InputError(f"crs {crs!r}; expected a UTM zone, EPSG:32601 to EPSG:32660, or none for the area's own")
        return window

    @checked
    def read_region(
        self,
        area: object,
        year: int | Sequence[int],
        dims: int | None = None,
        crs: str | None = None,
        *,
        resolution: float | None = None,
        resampling: str = "nearest",
        clip: bool = False,
        chunks: object = None,
    ) -> xarray.DataArray:
        """Vectors of every pixel of the smallest rectangle that holds an area.

        Parameters
        ----------
        area : whatever `tessera.geo.parse_area` reads, or a lattice Window. Over several zones the rectangle lies in
            the zone of the area's centre, and pixels of other zones are the nearest ones there
        year : one of `years`, or a sequence of them
        dims : length of the prefix
        crs : what to read into: "EPSG:<code>", WKT; the area's own UTM zone where None
        resolution : side of a pixel in units of the CRS; 10 m (10^-4 degrees) where None
        resampling : "nearest", or "bilinear" or "average" (these need the extra geo), which leave out what has no data
        clip : make pixels no data whose centre is outside the area
        chunks : pixels of a dask block, a number, (rows, columns) or "auto": nothing is read before it is computed

        Returns
        -------
        DataArray (y, x, band) float32, NaN = no data, with a leading `year` for a sequence of years; x and y are pixel
        centres, units of the CRS; attrs crs, transform, year, and the accessor `.tessera`

        Raises
        ------
        InputError
            No area, an area beyond UTM, no such year, prefix, CRS or resolution, or more than fits into memory.
        CorruptError
            A shard is damaged.
        """
        from .queries import lazy_array, read_array

        region = plan_region(self, area, year, dims, crs, resolution=resolution, resampling=resampling, clip=clip)
        return read_array(region) if chunks is None else lazy_array(region, chunks)

    @checked
    def iter_region(
        self,
        area: object,
        year: int | Sequence[int],
        dims: int | None = None,
        crs: str | None = None,
        rows: int | None = None,
        *,
        resolution: float | None = None,
        resampling: str = "nearest",
        clip: bool = False,
    ) -> Generator[xarray.DataArray, None, None]:
        """The same region as strips from north to south, in bounded memory; `rows` a strip, chosen where None.

        While the caller has a strip the next is read, by a thread that ends when the iterator is closed.
        """
        from .queries import iter_arrays

        region = plan_region(self, area, year, dims, crs, resolution=resolution, resampling=resampling, clip=clip)
        return iter_arrays(region, rows)

    def info(self) -> dict[str, Any]:
        """Plain values: where, model, dims, years, zones, and for a local store its cells, pixels and inputs a year."""
        about: dict[str, Any] = {
            "store": self.objects.root,
            "model": self.model.to_json(),
            "dims": self.dims,
            "prefixes": list(self.layout.prefixes),
            "years": list(self.years),
            "zones": list(self.zones),
            "shard": self.layout.shard,
            "chunk": self.layout.chunk,
        }
        if self.objects.folder is not None:
            about["cells"] = {str(year): self._year_info(year) for year in self.years}
        return about

    def _year_info(self, year: int) -> dict[str, Any]:
        records = {cell.name: self.commit(cell, year) for cell in self.cells(year)}
        found = {name: record for name, record in records.items() if record is not None}
        total = {key: sum(record.pixels.get(key, 0) for record in found.values()) for key in ("valid", "no_data")}
        size = sum(int(item["bytes"]) for record in found.values() for item in record.objects.values())
        return {
            "count": len(found),
            "names": sorted(found),
            "zones": sorted({cell.zone for cell in self.cells(year)}),
            "pixels": total,
            "bytes": size,
            "bbox": lonlat_box(
                Window(int(record.cell[3:5]), *part["window"]) for record in found.values() for part in record.inputs
            ),
            "made_from": _made_from(found.values()),
        }

    @cached_property
    def _ground(self) -> Ground:
        return ground_of(self.objects, single_writer=self.single_writer)

    def _writable(self) -> Ground:
        ground = self._ground
        self.header = ground.read_header()
        return ground

    def _forget(self, cell: Cell, year: int) -> None:
        """Look again at the objects of a cell that was written: a reader keeps indexes for a while."""
        if isinstance(self.source, ShardedSource):
            index = self.header.years.index(year)
            self.source.reading.indexes.drop(self.layout.key(spec, cell, index) for spec in self.layout.arrays)


def _made_from(records: Iterable[Commit]) -> list[dict[str, Any]]:
    """What the parts of records were made from, as far as they say, each once with its number of cells."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        told = {}
        for part in record.inputs:
            about = {key: part["provenance"][key] for key in _TOLD if key in part["provenance"]}
            told[json.dumps(about, sort_keys=True)] = about
        for key, about in told.items():
            found.setdefault(key, {**about, "cells": 0})["cells"] += 1
    return [found[key] for key in sorted(found)]


@checked
def create_store(
    path: str | Path,
    dims: int = 128,
    model: Any = None,
    *,
    zones: tuple[int, ...] | None = None,
    layout: Layout | None = None,
    single_writer: bool = False,
) -> Store:
    """Create an empty store.

    Parameters
    ----------
    path : folder that does not exist yet, or s3, gs or az URL under which there is nothing
    dims : length of its vectors; a store of another length is another store
    model : an Encoder, or its ModelIdentity
    zones : UTM zones that it has arrays for, all 60 where None
    layout : another geometry, for tests and experiments
    single_writer : see `open_store`

    Raises
    ------
    InputError
        The path exists, there is no model, its vectors have another length, or the object store has no conditional put.
    NetError
        The line or the server failed; the same call goes on.
    """
    wrong = [zone for zone in zones or () if zone not in range(1, 61)]
    if wrong:
        raise InputError(f"UTM zone {shown(wrong[0])[1:-1]}; expected 1 to 60")
    identity = getattr(model, "identity", model)
    if not isinstance(identity, ModelIdentity):
        raise InputError(f"create_store with model {model!r}; expected an encoder or its identity")
    if dims not in identity.prefix_dims:
        choices = ", ".join(str(size) for size in identity.prefix_dims)
        raise InputError(f"a store of {dims} dims for {identity.name}; expected one of {choices}")
    prefixes = tuple(size for size in identity.prefix_dims if size <= dims)
    identity = ModelIdentity(identity.name, identity.sha256, dims, prefixes)
    if layout is None:
        layout = Layout(dims, tuple(size for size in prefixes if size == 16 and size < dims))
    if layout.dims != dims:
        raise InputError(f"a layout of {layout.dims} dims for a store of {dims}")
    chosen = tuple(range(1, 61)) if zones is None else tuple(sorted(set(zones)))
    create_on_ground(path, Header(identity, layout, (), chosen), single_writer=single_writer)
    return open_store(path, single_writer=single_writer)


@checked
def open_store(
    path_or_url: str | Path, *, dataset: str | None = None, cache: bool | str | Path = True, single_writer: bool = False
) -> Store:
    """Open a store for reading, and for writing where it is our own and a path, s3, gs or az URL; one request.

    Parameters
    ----------
    path_or_url : folder, or http, https, s3, gs or az URL, of our own or of the published geometry; a published
        dataset by name, such as "tessera:v1.1-dclimate" (or "tessera:v1.1-dclimate.icechunk", which needs the extra
        icechunk); an Icechunk repository, whose name ends with .icechunk
    dataset : which published dataset a store of others is a copy of; without it, what it holds compares with nothing
        else, since such stores name a version but not the run
    cache : a folder for what is read by URL, True for the user's own ($TESSERA_CACHE, or tessera/store in
        $XDG_CACHE_HOME or ~/.cache; 2 GB or $TESSERA_CACHE_GB), False for none
    single_writer : the caller answers for it that nobody else writes; needed to write to an object store without
        conditional put

    Raises
    ------
    InputError
        Nothing there, no store, another format, version or dataset.
    NetError
        The line or the server failed.
    """
    return Store(*open_parts(path_or_url, dataset, cache), single_writer)
