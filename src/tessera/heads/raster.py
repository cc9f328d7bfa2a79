"""The map as a GeoTIFF: strip by strip, checked, and in place only when it is complete."""

from __future__ import annotations

import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, is_png, is_tiff, require, staging, sync_folder
from tessera.figures import MAX_SIDE, draw_map, to_rgb
from tessera.geo import Area, Window, ZonePart, from_lonlat, parse_area

from .codes import NO_DATA, class_labels, kept_codes, left_to_right, one_line
from .sidecars import (
    check_sidecars,
    class_tags,
    map_classes,
    names_path,
    names_xml,
    show_hectares,
    show_share,
    style_path,
    style_xml,
    table_csv,
    table_path,
)
from .source import refuse_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress

    from .head import Head
    from .sidecars import MapClass
    from .source import EmbeddingSource

_BLOCK = 256
"""Side of a tile and least side of an overview, pixels."""
_CLASSES_TAG = "TESSERA_CLASSES"
"""Tag of the class names; it tells a map of ours from other GeoTIFFs."""
_LEGEND_NAME, _TITLE = 40, 80
"""Letters of a class name in a legend, and of a title."""
_DENSIFY_DEGREES = 0.01
"""Longest edge before projection, as in `tessera.geo`: a straight edge in degrees then bends by less than a pixel."""


def write_map(
    head: Head,
    store: EmbeddingSource,
    area: object,
    year: int | None,
    out: str | Path,
    *,
    png: bool,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """Predict an area and write it; see `Head.map`."""
    target = check_map(out, png=png, overwrite=overwrite)
    if store.model.sha256 != head.model.sha256:
        raise InputError(
            f"the store holds embeddings of {store.model.name} ({store.model.sha256[:12]}); the head learnt from "
            f"those of {head.model.name} ({head.model.sha256[:12]})"
        )
    if store.dims < head.dims:
        raise InputError(f"the store holds {store.dims} dims; the head reads {head.dims}")
    year = head.year if year is None else year
    if isinstance(year, bool) or year not in store.years:
        raise InputError(f"year {year!r}; the store holds {', '.join(map(str, store.years)) or 'none'}")
    parsed = area if isinstance(area, Window) else parse_area(area)
    window = store.region_grid(parsed)
    refuse_empty(store, parsed, year)
    with ExitStack() as stack:
        with _writing(target):
            folder = stack.enter_context(staging(target))
        staged = folder / target.name
        counts = _write_tiff(staged, target, head, store, parsed, year, window, progress)
        classes = map_classes(head, counts)
        texts = {
            names_path(target).name: names_xml(classes),
            style_path(target).name: style_xml(classes),
            table_path(target).name: table_csv(classes),
        }
        with _writing(target):
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8", newline="")
        names = [*texts, target.name]
        if png:
            picture = target.with_suffix(".png").name
            _draw(folder / picture, staged, target, f"{head.column}, {year}", classes, window)
            names.insert(0, picture)
        with _writing(target):
            for name in names:
                (folder / name).replace(target.with_name(name))
            sync_folder(target.parent)
    return target


def check_map(out: str | Path, *, png: bool = True, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at all files of a map before it is made: the GeoTIFF and those beside it.

    Parameters
    ----------
    out : path ending in .tif or .tiff
    png : whether a picture is written beside it
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        Another suffix, or a file that may not be written or is kept.
    """
    target = Path(out)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"map {str(out)!r}; expected a path that ends in .tif")
    inputs = tuple(inputs)
    is_map = is_tiff(_CLASSES_TAG)
    check_output(target, "map", inputs=inputs, ours=is_map, overwrite=overwrite)

    def beside_ours(path: Path) -> bool:
        return path.is_file() and target.is_file() and is_map(target)

    check_sidecars(target, inputs=inputs, overwrite=overwrite)
    check_output(names_path(target), "file of class names", inputs=inputs, ours=beside_ours, overwrite=overwrite)
    if png:
        picture = target.with_suffix(".png")
        check_output(picture, "picture of the map", inputs=inputs, ours=is_png("map"), overwrite=overwrite)
    return target


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what a disk, GDAL or the operating system says into one line."""
    errors: Any = require("rasterio.errors", extra="heads", purpose="a map")
    driver: Any = require("rasterio._err", extra="heads", purpose="a map")
    try:
        yield
    except (OSError, errors.RasterioError, driver.CPLE_BaseError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot write the map {target}: {reason}") from None


def _write_tiff(
    path: Path,
    out: Path,
    head: Head,
    store: EmbeddingSource,
    area: Area | Window,
    year: int,
    window: Window,
    progress: Progress,
) -> list[int]:
    """Write the GeoTIFF to `path` (in messages: `out`) and read it back; returns the pixels of each class."""
    rasterio = require("rasterio", extra="heads", purpose="a map")
    shown = _part_in(area, window)
    grid = window.grid
    counts = np.zeros(256, dtype=np.int64)
    checks: list[tuple[int, int, int]] = []
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": rasterio.Affine(*grid.transform),
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    with _writing(out):
        target = rasterio.open(path, "w", **profile)
    try:
        with _writing(out):
            colours = {value: (*to_rgb(colour), 255) for value, colour in zip(head.values, head.colours, strict=True)}
            target.write_colormap(1, {**colours, NO_DATA: (0, 0, 0, 0)})
            target.set_band_description(1, one_line(head.column))
            target.update_tags(
                **class_tags(head),
                TESSERA_MODEL=one_line(head.model.name),
                TESSERA_MODEL_SHA256=head.model.sha256,
                TESSERA_YEAR=str(year),
            )
        row = 0
        progress(0, window.height)
        for strip in store.iter_region(area, year, dims=None if head.dims == store.dims else head.dims):
            values = np.asarray(strip.values)
            if values.ndim != 3 or values.shape[1] != window.width or row + len(values) > window.height:
                raise InputError(f"a strip of shape {values.shape} at row {row} of a region of {window.shape} pixels")
            classes = head.predict(values)
            piece = Window(window.zone, window.west, window.north - row, window.width, len(values))
            classes[~shown.mask(piece)] = NO_DATA
            with _writing(out):
                target.write(classes, 1, window=((row, row + len(values)), (0, window.width)))
            checks.append((row, row + len(values), zlib.crc32(classes.tobytes())))
            counts += np.bincount(classes.reshape(-1), minlength=256)
            row += len(values)
            progress(row, window.height)
        if row != window.height:
            raise InputError(f"the store returned {row} rows of a region of {window.height}")
    except BaseException:
        _discard(target)
        raise
    with _writing(out):
        target.close()
    if not counts[:NO_DATA].any():
        name = "the window" if isinstance(area, Window) else area.name
        raise InputError(f"{name} has no data in {year}; expected an area that the store covers")
    _finish_tiff(path, out, checks)
    return [int(counts[value]) for value in head.values]


def _discard(target: Any) -> None:
    errors: Any = require("rasterio.errors", extra="heads", purpose="a map")
    driver: Any = require("rasterio._err", extra="heads", purpose="a map")
    # the file goes away; what its driver says about the rest of it would hide the reason
    try:
        target.close()
    except (OSError, errors.RasterioError, driver.CPLE_BaseError):
        return


def _finish_tiff(path: Path, out: Path, checks: list[tuple[int, int, int]]) -> None:
    """Add overviews, then read every strip back: a driver may notice a full disk only on closing, and not say so."""
    rasterio = require("rasterio", extra="heads", purpose="a map")
    enums = require("rasterio.enums", extra="heads", purpose="a map")
    with _writing(out):
        with rasterio.open(path, "r+", driver="GTiff") as target:
            longest = max(target.height, target.width)
            levels = [2**step for step in range(1, 16) if longest > _BLOCK * 2 ** (step - 1)]
            if levels:
                target.build_overviews(levels, enums.Resampling.mode)
        with rasterio.open(path, driver="GTiff") as source:
            for first, last, check in checks:
                back = source.read(1, window=((first, last), (0, source.width)))
                if zlib.crc32(back.tobytes()) != check:
                    raise InputError(f"cannot write the map {out}: rows {first} to {last} came back changed")


def _part_in(area: Area | Window, window: Window) -> ZonePart:
    """The area in the window's CRS, also where it lies in several zones."""
    import shapely

    if isinstance(area, Window):
        return ZonePart(area.zone, shapely.box(*area.bounds))
    parts = area.parts()
    if len(parts) == 1 and parts[0].zone == window.zone:
        return parts[0]

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(from_lonlat(points[:, 0], points[:, 1], window.zone))

    dense = shapely.segmentize(area.geometry, _DENSIFY_DEGREES)
    return ZonePart(window.zone, shapely.make_valid(shapely.transform(dense, project)))


def _draw(path: Path, tiff: Path, out: Path, title: str, classes: tuple[MapClass, ...], window: Window) -> None:
    rasterio = require("rasterio", extra="heads", purpose="a map")
    shrink = max(1.0, max(window.shape) / MAX_SIDE)
    shape = tuple(max(1, round(side / shrink)) for side in window.shape)
    with _writing(out), rasterio.open(tiff, driver="GTiff") as source:
        values = source.read(1, out_shape=shape)
    place = np.full(256, NO_DATA, dtype=np.uint8)
    place[[one.value for one in classes]] = np.arange(len(classes), dtype=np.uint8)
    names = [one.name for one in classes]
    codes = kept_codes(names)
    total = sum(one.pixels for one in classes)
    legend = []
    for one, label in zip(classes, class_labels(names, _LEGEND_NAME), strict=True):
        before = "" if codes else f"{one.value}: "
        area = f"   {show_hectares(one.pixels)} ha   {show_share(one.pixels, total)}"
        legend.append((left_to_right(before, label, area), one.colour))
    draw_map(
        path,
        place[values],
        legend,
        title=one_line(title, _TITLE),
        bounds=window.bounds,
        crs=window.grid.crs,
        heading="class" if codes else "value: class",
    )
