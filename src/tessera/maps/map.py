"""The map as a GeoTIFF: strip by strip, checked, and in place only when it is complete."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, check_output, is_png, is_tiff, staging, sync_folder
from tessera.figures import MAX_SIDE, draw_map, to_rgb
from tessera.geo import Area, Window, ZonePart, from_lonlat, parse_area
from tessera.labels import NO_DATA, class_labels, kept_codes, left_to_right, one_line, parse_year, refuse_empty
from tessera.rasters import RasterProfile, open_raster, reading, writing_strips

from .legend import (
    check_sidecars,
    class_tags,
    legend_of,
    names_path,
    names_xml,
    show_hectares,
    show_share,
    style_path,
    style_xml,
    table_csv,
    table_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.labels import EmbeddingSource

    from ._asked import MapHead
    from .legend import MapClass

_CLASSES_TAG = "TESSERA_CLASSES"
"""Tag of the class names; it tells a map of ours from other GeoTIFFs."""
_LEGEND_NAME, _TITLE = 40, 80
"""Letters of a class name in a legend, and of a title."""
_DENSIFY_DEGREES = 0.01
"""Longest edge before projection, as in `tessera.geo`: a straight edge in degrees then bends by less than a pixel."""


def write_map(
    head: MapHead,
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
    year = parse_year(store, head.year if year is None else year)
    parsed = area if isinstance(area, Window) else parse_area(area)
    window = store.region_grid(parsed)
    refuse_empty(store, parsed, year)
    with ExitStack() as stack:
        with _writing(target):
            folder = stack.enter_context(staging(target))
        staged = folder / target.name
        counts, span = _write_tiff(staged, target, head, store, parsed, year, window, progress)
        legend = legend_of(head, counts)
        texts = {
            names_path(target).name: names_xml(legend, span),
            style_path(target).name: style_xml(legend, head.edges),
            table_path(target).name: table_csv(legend, head.edges),
        }
        with _writing(target):
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8", newline="")
        names = [*texts, target.name]
        if png:
            picture = target.with_suffix(".png").name
            _draw(folder / picture, staged, target, f"{head.column}, {year}", legend, head.edges, window)
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
    """Turn what a disk says into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write the map {target}: {error.strerror or error}") from None


def _write_tiff(
    path: Path,
    out: Path,
    head: MapHead,
    store: EmbeddingSource,
    area: Area | Window,
    year: int,
    window: Window,
    progress: Progress,
) -> tuple[list[int], tuple[float, float, float, float] | None]:
    """Write the GeoTIFF to `path` (in messages: `out`).

    Returns
    -------
    the pixels of each value or of each range; of numbers the least, the greatest, mean and standard deviation
    """
    shown = _part_in(area, window)
    numbers = bool(head.edges)
    empty = np.nan if numbers else NO_DATA
    counts = np.zeros(len(head.edges) + 1 if numbers else 256, dtype=np.int64)
    span = _Span()
    colours = {value: (*to_rgb(colour), 255) for value, colour in zip(head.values, head.colours, strict=not numbers)}
    profile = RasterProfile(
        window.shape,
        "float32" if numbers else "uint8",
        window.grid.crs,
        window.grid.transform,
        nodata=empty,
        tags={
            **class_tags(head),
            "TESSERA_MODEL": one_line(head.model.name),
            "TESSERA_MODEL_SHA256": head.model.sha256,
            "TESSERA_YEAR": str(year),
        },
        names=(one_line(head.column),),
        colours={} if numbers else {**colours, NO_DATA: (0, 0, 0, 0)},
    )
    overviews = "average" if numbers else "mode"
    row = 0
    with writing_strips(path, profile, name=f"the map {out}", overviews=overviews) as file:
        progress(0, window.height)
        for strip in store.iter_region(area, year, dims=None if head.dims == store.dims else head.dims):
            values = np.asarray(strip.values)
            if values.ndim != 3 or values.shape[1] != window.width or row + len(values) > window.height:
                raise InputError(f"a strip of shape {values.shape} at row {row} of a region of {window.shape} pixels")
            found = head.predict(values)
            piece = Window(window.zone, window.west, window.north - row, window.width, len(values))
            found[~shown.mask(piece)] = empty
            file.write(found)
            if numbers:
                there = found[np.isfinite(found)]
                span.add(there)
                found = _range_of(there, head.edges)
            counts += np.bincount(found.reshape(-1), minlength=len(counts))
            row += len(values)
            progress(row, window.height)
        if row != window.height:
            raise InputError(f"the store returned {row} rows of a region of {window.height}")
        if not counts[:NO_DATA].any():
            name = "the window" if isinstance(area, Window) else area.name
            raise InputError(f"{name} has no data in {year}; expected an area that the store covers")
    return counts.tolist(), span.told() if numbers else None


class _Span:
    """The least, the greatest, mean and standard deviation of numbers that come in parts."""

    def __init__(self) -> None:
        self.low, self.high, self.count, self.total, self.squares = math.inf, -math.inf, 0, 0.0, 0.0

    def add(self, numbers: NDArray[np.float32]) -> None:
        if len(numbers):
            exact = numbers.astype(np.float64)
            self.low, self.high = min(self.low, float(exact.min())), max(self.high, float(exact.max()))
            self.count += len(exact)
            self.total += float(exact.sum())
            self.squares += float(exact @ exact)

    def told(self) -> tuple[float, float, float, float]:
        mean = self.total / self.count
        return self.low, self.high, mean, math.sqrt(max(0.0, self.squares / self.count - mean * mean))


def _range_of(numbers: NDArray[np.float32], edges: tuple[float, ...]) -> NDArray[np.int64]:
    """The range of each number: a border belongs to the range above it."""
    return np.searchsorted(np.asarray(edges), numbers, side="right")


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


def _draw(
    path: Path,
    tiff: Path,
    out: Path,
    title: str,
    legend: tuple[MapClass, ...],
    edges: tuple[float, ...],
    window: Window,
) -> None:
    shrink = max(1.0, max(window.shape) / MAX_SIDE)
    shape = tuple(max(1, round(side / shrink)) for side in window.shape)
    with reading(out), open_raster(tiff) as source:
        values = source.read(1, out_shape=shape)
    names = [one.name for one in legend]
    codes = bool(edges) or kept_codes(names)
    if edges:
        index = np.where(np.isfinite(values), _range_of(values, edges), NO_DATA).astype(np.uint8)
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
    draw_map(
        path,
        index,
        entries,
        title=one_line(title, _TITLE),
        bounds=window.bounds,
        crs=window.grid.crs,
        heading="range" if edges else "class" if codes else "value: class",
    )
