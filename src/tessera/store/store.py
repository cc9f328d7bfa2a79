"""Store: years of embeddings at a path or URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, silent
from tessera.embeddings import Embeddings, ModelIdentity, dequantise, is_valid
from tessera.geo import PIXEL_SIZE, Window, parse_points, zone_crs, zones_of
from tessera.net import DiskCache, MissingError, default_cache, open_objects

from .commit import BOOKKEEPING, Commit, all_there, committed_cells, is_pending, read_commit, recover_all
from .layout import COUNTS, SCALES, ArraySpec, Layout
from .metadata import DOCUMENT, DOCUMENT_LIMIT, Header, parse_year
from .reader import lattice_source
from .region import RegionReader, memory_bytes, region_window, strips
from .writer import ensure_year, input_of, read_header, write_cell, write_new

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import xarray
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.net import Objects

    from .source import Source


@dataclass(repr=False)
class Store:
    """Years of embeddings, a Zarr group a UTM zone.

    Attributes
    ----------
    objects : where its bytes lie
    header : identity, layout, years and zones as they were when it was opened, or after this object's last write
    source : what reads its pixels
    """

    objects: Objects
    header: Header
    source: Source

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
            Another model or length, no grid, a grid off the lattice, a zone that the store lacks, or a store by URL.
        TesseraError
            The disk is full or refuses; cells committed before stay, the cell at hand is as it was.
        """
        folder = self._writable()
        year = parse_year(year)
        if embeddings.model.sha256 != self.model.sha256:
            raise InputError(
                f"embeddings of {embeddings.model.name} ({embeddings.model.sha256[:12]}) for a store of "
                f"{self.model.name} ({self.model.sha256[:12]}); a store holds one model"
            )
        if embeddings.shape[2] != self.dims:
            raise InputError(f"embeddings of {embeddings.shape[2]} dims for a store of {self.dims}")
        window = Window.of_grid(embeddings.grid)
        self._check_zone(window.zone)
        self.header = ensure_year(folder, year)
        recover_all(folder, self.layout)
        cells = list(window.cells(self.layout.shard))
        done: list[Cell] = []
        for cell in cells:
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            part = embeddings.crop(*inside.slices_in(window))
            write_cell(folder, self.header, cell, year, part, inside)
            done.append(cell)
            progress(len(done), len(cells))
        return done

    def holds(self, window: Window, year: int, provenance: dict[str, Any]) -> bool:
        """Whether this window was written from these very inputs and nothing was written over it since.

        Only a local store can tell; objects are looked at, not read.
        """
        folder = self.objects.folder
        if folder is None or year not in self.years:
            return False
        for cell in window.cells(self.layout.shard):
            inside = cell.window.intersection(window)
            try:
                record = read_commit(folder, year, cell)
            except InputError:
                return False
            if record is None or inside is None or input_of(inside, provenance) not in record.inputs:
                return False
            if is_pending(folder, year, cell) or not all_there(folder, record):
                return False
        return True

    def scratch(self) -> Path:
        """A folder for work that is not in the store yet; local stores only."""
        return self._writable() / BOOKKEEPING / "work"

    def cells(self, year: int) -> list[Cell]:
        """The cells that were committed for a year; local stores only.

        Raises
        ------
        InputError
            No such year, or a store by URL.
        """
        self._year_index(year)
        return list(committed_cells(self._local(), year, self.layout))

    def commit(self, cell: Cell, year: int) -> Commit | None:
        """The commit record of a cell; local stores only."""
        return read_commit(self._local(), year, cell)

    def coverage(self, area: object, year: int) -> float:
        """Share of the pixels that `read_region` returns that have data, 0 to 1; in one zone it reads scales only."""
        index = self._year_index(year)
        window, others = region_window(area, None)
        valid = 0
        if others:
            for part in self.iter_region(area, year, self.model.prefix_dims[0]):
                valid += int(np.isfinite(part.values[..., 0]).sum())
        else:
            self._check_zone(window.zone)
            for strip in strips(window, 1, None, self.layout):
                scales = self.source.read_window(strip, index, (SCALES,))[SCALES.name]
                valid += int(is_valid(scales).sum())
        return valid / (window.height * window.width)

    def read_window(self, window: Window, year: int) -> Embeddings:
        """Codes, scales and counts of a lattice window, verified; exactly what was written."""
        index = self._year_index(year)
        self._check_zone(window.zone)
        codes = self.layout.codes
        found = self.source.read_window(window, index, (codes, SCALES, COUNTS))
        arrays = found[codes.name], found[SCALES.name], found[COUNTS.name]
        return Embeddings(*arrays, self.model, window.grid)

    def sample_points(
        self, points: object, year: int, dims: int | None = None, *, verify: bool = False
    ) -> NDArray[np.float32]:
        """The vector of the pixel that holds each point.

        Parameters
        ----------
        points : (N, 2) longitudes and latitudes in degrees, a GeoDataFrame, or a CSV, GeoJSON or GeoParquet file
        year : one of `years`
        dims : length of the prefix to return, one of the model's prefixes
        verify : check whole chunks against their checksum, 131 kB a point, instead of reading its 132 bytes

        Returns
        -------
        (N, dims) float32, NaN = no data

        Raises
        ------
        InputError
            A point outside the grid (beyond 80 S or 84 N, or no longitude) or the store's zones, no such year or
            prefix. A point where nothing was written is no error but no data.
        CorruptError
            A shard's index or, with `verify`, a chunk is damaged.
        """
        lonlat = parse_points(points)
        index = self._year_index(year)
        spec, kept = self._codes(dims)
        outside = np.flatnonzero(~np.isin(zones_of(lonlat[:, 0]), self.zones))
        if len(outside):
            lon, lat = lonlat[outside[0]]
            raise InputError(
                f"{len(outside)} of {len(lonlat)} points, such as longitude {lon:g}, latitude {lat:g}, lie outside "
                f"the zones of {self.objects.root}: {', '.join(map(str, self.zones))}"
            )
        codes, scales = self.source.read_points(lonlat, index, spec, kept, verify=verify)
        return dequantise(codes, scales)

    def region_grid(self, area: object, crs: str | None = None) -> Window:
        """The lattice window that `read_region` returns for an area."""
        return region_window(area, crs)[0]

    def read_region(self, area: object, year: int, dims: int | None = None, crs: str | None = None) -> xarray.DataArray:
        """Vectors of every pixel of the smallest window that holds an area.

        Parameters
        ----------
        area : whatever `tessera.geo.parse_area` reads, or a lattice Window; pixels of the window outside a polygon are
            kept. Over several zones the window lies in the zone of the area's centre, and pixels of other zones are the
            nearest ones there
        year : one of `years`
        dims : length of the prefix
        crs : "EPSG:326NN" of another zone to read into

        Returns
        -------
        DataArray (y, x, band) float32, NaN = no data; x and y are pixel centres, metres; attrs crs, transform, year

        Raises
        ------
        InputError
            No area, an area beyond UTM, no such year, prefix or CRS.
        CorruptError
            A shard is damaged.
        """
        window, others = region_window(area, crs)
        size = 4 * window.height * window.width * self._codes(dims)[1]
        if size > memory_bytes():
            raise InputError(
                f"a region of {window.height} x {window.width} pixels takes {size / 1e9:,.1f} GB, more than this "
                f"machine has; read it with iter_region, or in parts"
            )
        return self._read(window, year, dims, others)

    def iter_region(
        self, area: object, year: int, dims: int | None = None, crs: str | None = None, rows: int | None = None
    ) -> Iterator[xarray.DataArray]:
        """The same region as strips from north to south, in bounded memory; `rows` a strip, chosen where None."""
        window, others = region_window(area, crs)
        for strip in strips(window, self._codes(dims)[1], rows, self.layout):
            yield self._read(strip, year, dims, others)

    def info(self) -> dict[str, Any]:
        """Plain values: where, model, dims, years, zones, and for a local store its cells and pixels a year."""
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
            "bbox": self._bbox(found.values()),
        }

    @staticmethod
    def _bbox(records: Iterable[Commit]) -> list[float] | None:
        """West, south, east, north in degrees of what was written, west > east over the date line, or None."""
        windows = [Window(int(record.cell[3:5]), *part["window"]) for record in records for part in record.inputs]
        boxes = np.array([window.lonlat_bounds for window in windows]).reshape(-1, 4)
        if not len(boxes):
            return None
        west, south, east, north = boxes.T
        # the widest gap around the globe is what the box leaves out
        order = np.argsort(west)
        reach = np.maximum.accumulate(west[order] + (east - west)[order] % 360)
        gaps = np.append(west[order][1:], west[order][0] + 360) - reach
        after = int(np.argmax(gaps))
        edges = west[order][(after + 1) % len(order)], south.min(), (reach[after] + 180) % 360 - 180, north.max()
        return [round(float(value), 5) for value in edges]

    def _read(self, window: Window, year: int, dims: int | None, others: bool) -> xarray.DataArray:
        import xarray

        index = self._year_index(year)
        spec, kept = self._codes(dims)
        if not others:
            self._check_zone(window.zone)
        reader = RegionReader(self.source, self.zones, index, spec, kept)
        values = reader.read(window, other_zones=others)
        x = (np.arange(window.west, window.east) + 0.5) * PIXEL_SIZE
        y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * PIXEL_SIZE
        return xarray.DataArray(
            values,
            dims=("y", "x", "band"),
            coords={"y": y, "x": x, "band": np.arange(kept)},
            name="embeddings",
            attrs={
                "crs": zone_crs(window.zone),
                "transform": window.grid.transform,
                "year": year,
                "model": self.model.name,
                "model_sha256": self.model.sha256,
            },
        )

    def _codes(self, dims: int | None) -> tuple[ArraySpec, int]:
        kept = self.dims if dims is None else dims
        if kept not in self.model.prefix_dims:
            choices = ", ".join(str(size) for size in self.model.prefix_dims)
            raise InputError(f"{kept} dims of {self.model.name}; expected one of {choices}")
        spec = next((spec for spec in self.layout.prefix_arrays if spec.bands >= kept), self.layout.codes)
        return spec, kept

    def _year_index(self, year: int) -> int:
        year = parse_year(year)
        if year not in self.years:
            held = ", ".join(str(value) for value in self.years) or "none yet"
            raise InputError(f"{self.objects.root} has no year {year}; it has {held}")
        return self.years.index(year)

    def _check_zone(self, zone: int) -> None:
        if zone not in self.zones:
            raise InputError(f"{self.objects.root} has no zone {zone}; it has {', '.join(map(str, self.zones))}")

    def _local(self) -> Path:
        if self.objects.folder is None:
            raise InputError(f"{self.objects.root} is read by URL; expected a local path for this")
        return self.objects.folder

    def _writable(self) -> Path:
        folder = self._local()
        self.header = read_header(folder)
        return folder


def create_store(
    path: str | Path,
    dims: int = 128,
    model: Any = None,
    *,
    zones: tuple[int, ...] | None = None,
    layout: Layout | None = None,
) -> Store:
    """Create an empty store.

    Parameters
    ----------
    path : folder that does not exist yet
    dims : length of its vectors; a store of another length is another store
    model : an Encoder, or its ModelIdentity
    zones : UTM zones that it has arrays for, all 60 where None
    layout : another geometry, for tests and experiments

    Raises
    ------
    InputError
        The path exists, there is no model, or its vectors have another length.
    """
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
    write_new(Path(path), Header(identity, layout, (), chosen))
    return open_store(path)


def open_store(path_or_url: str | Path, *, cache: bool | str | Path = True) -> Store:
    """Open a store for reading, and for writing where it is a local path; one request.

    Parameters
    ----------
    path_or_url : folder, or http, https, s3, gs or az URL
    cache : a folder for what is read by URL, True for the user's own ($TESSERA_CACHE, or tessera/store in
        $XDG_CACHE_HOME or ~/.cache; 2 GB or $TESSERA_CACHE_GB), False for none

    Raises
    ------
    InputError
        Nothing there, no store, another format or version.
    NetError
        The line or the server failed.
    """
    objects = open_objects(path_or_url)
    try:
        data = objects.read(DOCUMENT, limit=DOCUMENT_LIMIT)
    except MissingError:
        raise InputError(f"{objects.root} is no store: it has no {DOCUMENT}") from None
    header = Header.decode(data, f"{objects.root}/{DOCUMENT}")
    return Store(objects, header, lattice_source(objects, header.layout, header.zones, _disk_cache(cache, objects)))


def _disk_cache(cache: bool | str | Path, objects: Objects) -> DiskCache | None:
    if cache is False or objects.folder is not None:
        return None
    return default_cache() if cache is True else DiskCache(Path(cache))
