"""Store: years of embeddings at a path or URL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, silent
from tessera.embeddings import CodedVectors, Embeddings, ModelIdentity
from tessera.geo import Window, check_year_of, parse_points
from tessera.shards import COUNTS, SCALES, Header, Layout, ShardedSource, parse_year

from ._records import check_model, is_written, store_info
from .commits import backend_of, is_writable
from .queries import (
    PointSample,
    Zonal,
    cells_of_region,
    parse_anywhere,
    parse_query,
    parse_target,
    plan_region,
    plan_zonal,
    record_batches,
    refuse_empty,
    sample,
    sample_coded,
    sample_inside,
    state_of,
    where_data_lie,
    zonal_means,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    import pyarrow
    import xarray
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.net import Objects
    from tessera.shards import Source

    from .commits import Backend, Commit


@dataclass(repr=False)
class Store:
    """Years of embeddings at a path or URL, opened by `open_store` or made by `create_store`.

    A store holds the embeddings of one model on the 10 m lattice, one Zarr group for each UTM zone.

    Attributes
    ----------
    objects : reads the store's files by key, from a folder or a URL
    header : identity, layout, years and zones, as of opening or of this object's last write
    source : reads pixels; ours for stores in our layouts, through zarr-python for others
    single_writer : whether the caller promised that no other process writes; see `open_store`

    Examples
    --------
    >>> import tessera
    >>> store = tessera.open_store("store.zarr")
    >>> store
    Store(store.zarr, 128 dims of bundled-nano, 2023)
    >>> store.years, store.zones, store.dims
    ((2023,), (31,), 128)
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
        """The years in the store, in order of arrival."""
        return self.header.years

    @property
    def zones(self) -> tuple[int, ...]:
        """UTM zones, 1 to 60, for which the store has arrays. A zone may still hold no data."""
        return self.header.zones

    @property
    def dims(self) -> int:
        """Length of the vectors."""
        return self.header.layout.dims

    @property
    def model(self) -> ModelIdentity:
        """Identity of the model that made the embeddings."""
        return self.header.model

    @property
    def layout(self) -> Layout:
        """Sides of shards and chunks, pixels, and the arrays of a zone."""
        return self.header.layout

    @checked
    def write(self, embeddings: Embeddings, year: int, *, progress: Progress = silent) -> list[Cell]:
        """Write embeddings, one cell of the lattice at a time.

        Each cell becomes visible as a whole. New valid pixels replace old ones; pixels without data replace nothing.
        Writing the same embeddings again changes no byte.

        Parameters
        ----------
        embeddings : embeddings of this store's model, on the 10 m lattice of a UTM zone
        year : 1972 to 2200; a new year is appended to the time axis
        progress : called as `progress(done, total)` after each cell

        Returns
        -------
        The cells that were committed, from north to south and then from west to east.

        Raises
        ------
        InputError
            The embeddings are of another model or another length, have no grid or a grid off the lattice, lie in a zone
            that the store lacks, or were observed in another year. Or the store is read-only.
        TesseraError
            The disk is full, or the server failed. Cells committed so far stay. The next write of the interrupted cell
            finishes it.

        Examples
        --------
        >>> import tessera
        >>> encoder = tessera.load_encoder()
        >>> store = tessera.create_store("new.zarr", model=encoder, zones=(31,))
        >>> cells = store.write(encoder.encode(tessera.open_cube("cube.zarr")), 2023)
        >>> [cell.name for cell in cells]
        ['utm31_e64_n548']
        """
        backend = self._writable()
        year = check_year_of(embeddings.provenance, parse_year(year), "embeddings")
        check_model(embeddings, self.header)
        window = Window.of_grid(embeddings.grid)
        self.header.check_zone(window.zone, self.objects.root)
        self.header = backend.ensure_year(year)
        backend.recover_all(self.header)
        cells = list(window.cells(self.layout.shard))
        done: list[Cell] = []
        for cell in cells:
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            part = embeddings.crop(*inside.slices_in(window))
            backend.write_cell(self.header, cell, year, part, inside)
            self._forget(cell, year)
            done.append(cell)
            progress(len(done), len(cells))
        return done

    @checked
    def holds(self, window: Window, year: int, provenance: dict[str, Any]) -> bool:
        """Whether a window was written from exactly these inputs, and is unchanged since; False for a read-only store.

        It compares commit records and the sizes of objects, and reads no pixel.

        Parameters
        ----------
        window : pixels of the lattice
        year : the year under which they were written
        provenance : the provenance of the embeddings, as `Encoder.provenance` returns it
        """
        return self._is_written(window, year, lambda found: found == provenance)

    @checked
    def made_from(self, window: Window, year: int, subset: dict[str, Any]) -> bool:
        """Like `holds`, where only some entries of the provenance are known: it must have those of `subset`."""
        return self._is_written(window, year, lambda found: subset.items() <= found.items())

    def _is_written(self, window: Window, year: int, like: Callable[[dict[str, Any]], bool]) -> bool:
        if not is_writable(self.objects):
            return False
        if year not in self.years:
            # another process may have added it since
            self._writable()
        return year in self.years and is_written(self._backend, self.header, window, year, like)

    def scratch(self) -> Path:
        """A local folder for unfinished work; inside the store where the store is a folder.

        Raises
        ------
        InputError
            The store is read-only.
        """
        return self._writable().scratch()

    @checked
    def cells(self, year: int) -> list[Cell]:
        """The cells that were committed for a year.

        Raises
        ------
        InputError
            The store does not have this year, or it is read-only and has no commit records.
        """
        self.header.year_index(year, self.objects.root)
        return list(self._backend.cells(year, self.layout))

    @checked
    def commit(self, cell: Cell, year: int) -> Commit | None:
        """The commit record of a cell and year, or None if it was never committed.

        A record lists inputs, pixels, and objects with their SHA-256.

        Raises
        ------
        InputError
            The record is damaged, or the store is read-only and has no commit records.
        """
        return self._backend.read_commit(cell, year)

    @checked
    def coverage(self, area: object, year: int) -> float:
        """The share of the pixels of an area's rectangle that have data, 0 to 1.

        In one UTM zone it reads scales only, 4 bytes a pixel.
        """
        region = plan_region(self, area, year, self.model.prefix_dims[0])
        cols = range(region.shape[1])
        valid = sum(
            int(region.valid(rows, cols, index).sum()) for index in region.query.indexes for rows in region.strips()
        )
        return valid / (region.shape[0] * region.shape[1])

    @checked
    def refuse_empty(self, area: object, year: int | Sequence[int]) -> None:
        """Raise an error if nothing was written in an area, and say where data lie. Call it before long work.

        Parameters
        ----------
        area : what `parse_area` reads, or a `Window`
        year : one of `years`, or a sequence of which one must have data

        Raises
        ------
        InputError
            The store has no data there. In a store without commit records, the first 64 shards are looked at.
        """
        refuse_empty(self, area, (year,) if isinstance(year, (int, np.integer)) else tuple(year))

    @checked
    def whereabouts(self, year: int | Sequence[int]) -> str:
        """Where the data of these years lie, as part of a sentence; "" if the store does not list its cells."""
        return where_data_lie(self, (year,) if isinstance(year, (int, np.integer)) else tuple(year))

    @checked
    def read_window(self, window: Window, year: int) -> Embeddings:
        """Read codes, scales and counts of a window exactly as they were written, with every checksum verified.

        Parameters
        ----------
        window : pixels of the lattice
        year : one of `years`

        Returns
        -------
        Embeddings on the window's grid: codes (H, W, D) int8, scales (H, W) float32, counts (H, W, 3) uint16.

        Raises
        ------
        InputError
            The store does not have this year or zone.
        CorruptError
            A shard is damaged.
        """
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
        """Read the vector of the pixel that contains each point.

        Within 0.1 degree of a zone border the neighbouring zone is used where the point's own zone has no data there.

        Parameters
        ----------
        points : (N, 2) longitudes and latitudes in degrees (WGS 84), a GeoDataFrame, or the path of a vector file or
            CSV
        year : one of `years`, or a sequence of them
        dims : length of the prefix to return, one of `model.prefix_dims`; all if None
        verify : read and check whole chunks, 131 kB a point, instead of the 132 bytes of each point

        Returns
        -------
        (N, dims) float32, or (N, years, dims) for a sequence of years. NaN = no data.

        Raises
        ------
        InputError
            A point lies outside the lattice (beyond 80 S or 84 N) or the store's zones, or there is no such year or
            prefix. A point where nothing was written is not an error; its vector is NaN.
        CorruptError
            A shard's index is damaged, or a chunk with `verify`.

        Examples
        --------
        >>> import tessera
        >>> store = tessera.open_store("store.zarr")
        >>> vectors = store.sample_points([(5.249, 50.692), (5.4, 50.7)], 2023)
        >>> vectors.shape, vectors.dtype
        ((2, 128), dtype('float32'))
        """
        return sample_inside(parse_query(self, year, dims), parse_points(points), verify=verify)

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
        """Like `sample_points`, but a point outside the store is no error: `.status` says why a point has no vector.

        Parameters
        ----------
        points, year, dims, verify : as `sample_points`
        search : distance in pixels, 0 to 100, within which the nearest valid pixel replaces one without data. Water is
            never replaced

        Returns
        -------
        `values` as `sample_points` returns them, and for each point `status`, and which pixel was read.

        Raises
        ------
        InputError
            There are no points, no such year or prefix, or `search` is not in 0 to 100.
        CorruptError
            As `sample_points`.

        Examples
        --------
        >>> import tessera
        >>> found = tessera.open_store("store.zarr").sample([(5.249, 50.692), (5.4, 50.7)], 2023)
        >>> found.values.shape
        (2, 128)
        """
        lonlat, inside = parse_anywhere(points)
        return sample(parse_query(self, year, dims), lonlat, inside, search=search, verify=verify)

    @checked
    def sample_codes(self, points: object, year: int, dims: int | None = None) -> CodedVectors:
        """Like `sample_points`, but as the codes and scales that the store keeps.

        Points, a single year and dims as there. A scale that is not finite = no data; it is +inf outside the zones.

        Examples
        --------
        >>> import tessera
        >>> found = tessera.open_store("store.zarr").sample_codes([(5.249, 50.692)], 2023)
        >>> found.codes.shape, found.scales.shape
        ((1, 128), (1,))
        """
        return sample_coded(parse_query(self, year, dims), parse_points(points))

    @checked
    def arrow(self, area: object, year: int | Sequence[int], dims: int | None = None) -> pyarrow.RecordBatchReader:
        """The valid pixels of an area as Arrow batches, which DuckDB, Polars and pandas scan while they are read.

        Rows come block by block in bounded memory: each pixel whose centre lies inside once, from its own UTM zone.

        Parameters
        ----------
        area, year, dims : as `read_region`

        Returns
        -------
        pyarrow.RecordBatchReader with zone int16; x, y (pixel centres, metres of the zone), lon, lat (degrees) float64;
        year int16; codes (fixed-size list of int8) and scale float32, value = codes x scale; and the observations s2,
        s1_ascending, s1_descending uint16.

        Examples
        --------
        >>> import tessera
        >>> reader = tessera.open_store("store.zarr").arrow("5.246,50.691,5.252,50.694", 2023)
        >>> reader.read_all().num_rows
        1417
        """
        return record_batches(self, area, year, dims)

    @checked
    def zonal(
        self, polygons: object, year: int | Sequence[int], dims: int | None = None, *, all_touched: bool = False
    ) -> Zonal:
        """The mean vector of each polygon, over the valid pixels whose centre lies inside.

        Parameters
        ----------
        polygons : the path of a vector file, a GeoDataFrame, GeoJSON, or shapely polygons; degrees (WGS 84)
        year : one of `years`, or a sequence of them
        dims : length of the prefix to return; all if None
        all_touched : count every pixel that a polygon touches

        Returns
        -------
        For N polygons: `means` (N, dims) float32, `counts` (N,) of valid pixels, `pixels` (N,) of all pixels inside,
        and `share` (N,) valid. With a sequence of years all but `pixels` have an axis of years after the first.

        Raises
        ------
        InputError
            A geometry is not a polygon or lies beyond 80 S or 84 N, or there is no such year or prefix.
        CorruptError
            A shard is damaged.

        Examples
        --------
        >>> import shapely, tessera
        >>> field = shapely.box(5.247, 50.691, 5.249, 50.692)
        >>> found = tessera.open_store("store.zarr").zonal(field, 2023)
        >>> found.means.shape, found.counts
        ((1, 128), array([160]))
        """
        return zonal_means(plan_zonal(self, polygons, year, dims, all_touched=all_touched))

    @checked
    def region_grid(self, area: object, crs: str | None = None) -> Window:
        """The window of the lattice that `read_region` returns for an area.

        Parameters
        ----------
        area : what `parse_area` reads, or a `Window`
        crs : EPSG:32601 to EPSG:32660; the zone of the area's centre if None

        Raises
        ------
        InputError
            The CRS is not a UTM zone.
        """
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
        """Read the vectors of the smallest rectangle of pixels that contains an area.

        Where an area crosses zone borders, the rectangle lies in the zone of the area's centre, and the nearest pixels
        of the other zones fill it.

        Parameters
        ----------
        area : what `parse_area` reads, or a `Window`
        year : one of `years`, or a sequence of them
        dims : length of the prefix to return; all if None
        crs : target CRS, such as "EPSG:3035" or WKT; the area's UTM zone if None
        resolution : side of a pixel in units of the CRS; 10 m, or 0.0001 degrees, if None
        resampling : "nearest"; or "bilinear" or "average", which leave out pixels without data and need the extra `geo`
        clip : set pixels whose centre lies outside the area to NaN
        chunks : block of a lazy dask array: pixels, (rows, columns) or "auto". If None, the region is read now

        Returns
        -------
        DataArray (y, x, band) float32, with a leading axis `year` for a sequence of years. NaN = no data. x and y are
        pixel centres in units of the CRS; attrs are crs, transform and year. The accessor `.tessera` writes and draws
        it.

        Raises
        ------
        InputError
            It is not an area or lies beyond 80 S or 84 N; there is no such year, prefix, CRS or resolution; or the
            region does not fit into memory.
        CorruptError
            A shard is damaged.

        Examples
        --------
        >>> import tessera
        >>> store = tessera.open_store("store.zarr")
        >>> region = store.read_region("5.246,50.691,5.252,50.694", 2023)
        >>> dict(region.sizes)
        {'y': 35, 'x': 45, 'band': 128}
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
        """Read a region as strips from north to south, in bounded memory.

        The next strip is read by a thread while the caller has one. The thread ends when the iterator is closed.

        Parameters
        ----------
        area, year, dims, crs, resolution, resampling, clip : as `read_region`
        rows : rows of a strip; chosen by size if None

        Examples
        --------
        >>> import tessera
        >>> store = tessera.open_store("store.zarr")
        >>> [len(strip.y) for strip in store.iter_region("5.246,50.691,5.252,50.694", 2023, rows=20)]
        [20, 15]
        """
        from .queries import iter_arrays

        region = plan_region(self, area, year, dims, crs, resolution=resolution, resampling=resampling, clip=clip)
        return iter_arrays(region, rows)

    @checked
    def iter_codes(
        self, area: object, year: int, dims: int | None = None, rows: int | None = None, within: Window | None = None
    ) -> Generator[CodedVectors, None, None]:
        """Like `iter_region`, but as codes and scales; `within` limits it to a part of the region's window.

        Examples
        --------
        >>> import tessera
        >>> store = tessera.open_store("store.zarr")
        >>> [strip.codes.shape for strip in store.iter_codes("5.246,50.691,5.252,50.694", 2023, rows=20)]
        [(20, 45, 128), (15, 45, 128)]
        """
        from .queries import iter_coded

        return iter_coded(plan_region(self, area, year, dims), rows, within)

    @checked
    def state(self, area: object, year: int) -> str:
        """A digest of what the store holds in an area: the same as long as nothing is written there."""
        return state_of(self, cells_of_region(plan_region(self, area, year)), (year,))

    def info(self) -> dict[str, Any]:
        """What `tessera store info --json` prints, as plain values.

        Path, model, dims, years, zones, sides of shards and chunks. For a store on this machine also, for each year,
        the cells, pixels, bytes and inputs.

        Examples
        --------
        >>> import tessera
        >>> tessera.open_store("store.zarr").info()["cells"]["2023"]["pixels"]
        {'valid': 3422, 'no_data': 0}
        """
        backend = None if self.objects.folder is None else self._backend
        return store_info(self.objects.root, self.header, backend)

    @cached_property
    def _backend(self) -> Backend:
        return backend_of(self.objects, single_writer=self.single_writer)

    def _writable(self) -> Backend:
        backend = self._backend
        self.header = backend.read_header()
        return backend

    def _forget(self, cell: Cell, year: int) -> None:
        """Look again at the objects of a cell that was written: a reader keeps indexes for a while."""
        if isinstance(self.source, ShardedSource):
            index = self.header.years.index(year)
            self.source.reading.indexes.drop(self.layout.key(spec, cell, index) for spec in self.layout.arrays)
