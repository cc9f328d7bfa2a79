"""The map as GeoTIFFs: predicted strip by strip into a spool, then written as a whole, all files as one commit."""

from __future__ import annotations

import json
import math
import os
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import (
    InputError,
    TesseraError,
    check_output,
    is_png,
    is_tiff,
    spooling,
    staging,
    sync_folder,
    was_placed,
)
from tessera.figures import to_rgb
from tessera.geo import Window, parse_area
from tessera.labels import NO_DATA, one_line
from tessera.rasters import RasterProfile, mean_of_valid, mode_of_valid, open_raster, reading, write_cog

from ._layers import ABSTAINED, ABSTAINED_COLOUR, MAP, PROBABILITIES, UNCERTAINTY, bands, parse_layers
from ._phases import Phases
from ._picture import draw_classes, draw_uncertainty
from ._sieve import least_pixels, sieve
from ._strips import Finished, Strips
from .legend import (
    HECTARE,
    check_sidecars,
    class_tags,
    legend_of,
    names_path,
    names_xml,
    style_path,
    style_xml,
    table_csv,
    table_path,
)
from .polygons import (
    TOLERANCE,
    check_polygons,
    mean_over,
    parse_tolerance,
    polygon_style_path,
    polygons_beside,
    polygons_of,
    write_polygons,
)
from .ranges import range_of
from .sources import find_sources, head_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress, Spool
    from tessera.labels import EmbeddingSource

    from .asked import MapHead
    from .legend import MapClass

    Rows = Callable[[range], NDArray[Any]]

_CLASSES_TAG, _LAYER_TAG = "TESSERA_CLASSES", "TESSERA_LAYER"
"""Tags that tell a map of ours, and the layers beside it, from other GeoTIFFs."""
_POLYGONS_TAG = "TESSERA_POLYGONS"
HEAD_TAG = "TESSERA_HEAD_SHA256"
"""Tag with the digest of the head that made a map."""
_TILE, _FEW = 512, 16
"""Side of a tile, pixels; and bands of a layer up to which its tiles are half as long, else a quarter."""
_FORMAT = 1
"""Raised when kept strips of older versions can no longer be used."""


def write_map(
    head: MapHead,
    stores: EmbeddingSource | str | Path | Sequence[EmbeddingSource | str | Path],
    area: object,
    year: int | Sequence[int] | None,
    out: str | Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    abstain: bool = False,
    polygons: str | Path | None = None,
    tolerance: float = TOLERANCE,
    min_area_ha: float = 0.0,
    png: bool = True,
    overwrite: bool = False,
    progress: Progress,
) -> Path:
    """Predict an area and write it; see `Head.map`."""
    least, tolerance = least_pixels(min_area_ha), parse_tolerance(tolerance)
    if least > 1 and not head.classes:
        raise InputError(f"minimum area {min_area_ha} ha of a map of numbers; expected a head of classes")
    # polygons tell the mean probability of their class
    kept = probabilities or (polygons is not None and bool(head.classes))
    layers = parse_layers(head, probabilities=kept, uncertainty=uncertainty, abstain=abstain)
    written = {"probabilities": probabilities, "uncertainty": uncertainty, "png": png, "polygons": polygons}
    target = check_map(out, **written, overwrite=overwrite)  # type: ignore[arg-type]
    parsed = area if isinstance(area, Window) else parse_area(area)
    sources = find_sources(head, stores, parsed, year)
    strips = Strips(head, sources, layers)
    whole = sources.window.width * sources.window.height
    if least > whole:
        raise InputError(
            f"minimum area {min_area_ha:g} ha; the map has {whole * HECTARE:,.2f} ha: expected less than that"
        )
    state, window = sources.state(), sources.window
    digest = head_digest(head)
    request = {
        "map": [_FORMAT, __version__],
        "head": digest,
        "sources": [[held or os.urandom(16).hex(), *rest] for held, *rest in state],
        "area": [window.zone, *window.bounds, "" if isinstance(parsed, Window) else parsed.geometry.wkb_hex],
        "layers": [*layers.names, layers.abstained],
        "rows": [rows.stop for rows in strips.rows],
        "files": [least, probabilities, uncertainty, png, None if polygons is None else [str(polygons), tolerance]],
    }
    with _writing(target), spooling(target, request) as spool, _kept_if(spool, all(held for held, *_ in state)):
        if spool.was_placed:
            spool.finished = True
            return target
        # rows are read again: counted, written twice, drawn; a round of the sieve reads them twice, patches four times
        again = 3 + png + 2 * (least > 1) + 2 * probabilities + (2 + png) * uncertainty + 5 * (polygons is not None)
        phases = Phases(progress, window.height, again)
        strips.fill(spool, phases.cells)
        if sources.state() != state:
            raise TesseraError("the store was written to while it was read; run the same command again")
        finished = {name: Finished(strips, spool, name).read for name in layers.names}
        tags = _tags(head, digest, strips) | ({"TESSERA_MIN_AREA_HA": f"{min_area_ha:g}"} if least > 1 else {})
        made = _Files(head, target, spool, strips, tags, phases)
        rows: Rows = finished[MAP]
        if least > 1:
            counted = partial(phases.counted, passes=2)
            rows = sieve(rows, strips.rows, window.width, least, NO_DATA, spool.staging, counted)
        legend = made.map(rows, None if polygons is None else Path(polygons))
        if not any(one.pixels for one in legend):
            spool.finished = True
            name = "the window" if isinstance(parsed, Window) else parsed.name
            years = ", ".join(map(str, sources.years))
            raise InputError(f"{name} has no data in {years}; {sources.whereabouts()}")
        if probabilities:
            made.probabilities(finished[PROBABILITIES])
        if UNCERTAINTY in finished:
            made.uncertainty(finished[UNCERTAINTY], png=png)
        if png:
            made.picture(legend)
        if polygons is not None:
            made.polygons(Path(polygons), rows, finished.get(PROBABILITIES), legend, tolerance)
        made.place()
        spool.finished = True
        phases.end()
    return target


def check_map(
    out: str | Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    png: bool = True,
    polygons: str | Path | None = None,
    inputs: Iterable[object] = (),
    overwrite: bool = False,
) -> Path:
    """Look at all files of a map before it is made: the GeoTIFF and those beside it.

    Parameters
    ----------
    out : path ending in .tif or .tiff
    probabilities, uncertainty, png : which files are written beside it
    polygons : another file to write
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

    def ours(test: Callable[[Path], bool]) -> Callable[[Path], bool]:
        # a run that was killed while it put its files in place has written them
        return lambda path: was_placed(target, path) or test(path)

    def beside_ours(path: Path) -> bool:
        return path.is_file() and target.is_file() and is_map(target)

    check_output(target, "map", inputs=inputs, ours=ours(is_map), overwrite=overwrite)
    check_sidecars(target, inputs=inputs, ours=ours, overwrite=overwrite)
    check_output(names_path(target), "file of class names", inputs=inputs, ours=ours(beside_ours), overwrite=overwrite)
    for name, wanted in ((PROBABILITIES, probabilities), (UNCERTAINTY, uncertainty)):
        if wanted:
            check_output(
                layer_path(target, name), f"raster of {name}", inputs=inputs, ours=ours(_is_layer), overwrite=overwrite
            )
    pictures = [target.with_suffix(".png")] * png + [_picture_path(target)] * (png and uncertainty)
    for picture in pictures:
        check_output(picture, "picture of the map", inputs=inputs, ours=ours(is_png("map")), overwrite=overwrite)
    if polygons is not None:
        check_polygons(polygons, target, inputs=inputs, overwrite=overwrite)
    return target


def map_files(
    tiff: Path,
    *,
    probabilities: bool = False,
    uncertainty: bool = False,
    png: bool = True,
    polygons: str | Path | None = None,
) -> list[Path]:
    """The map and the other files that a run writes; arguments as of `check_map`."""
    found = [tiff, style_path(tiff), table_path(tiff), names_path(tiff)]
    found += [layer_path(tiff, PROBABILITIES)] * probabilities + [layer_path(tiff, UNCERTAINTY)] * uncertainty
    found += ([tiff.with_suffix(".png")] + [_picture_path(tiff)] * uncertainty) * png
    return found if polygons is None else [*found, Path(polygons), polygon_style_path(Path(polygons), tiff)]


def layer_path(tiff: Path, layer: str) -> Path:
    """Where a layer lies beside a map: map.probabilities.tif beside map.tif."""
    return tiff if layer == MAP else tiff.with_name(f"{tiff.stem}.{layer}{tiff.suffix}")


def _picture_path(tiff: Path) -> Path:
    return tiff.with_name(f"{tiff.stem}.{UNCERTAINTY}.png")


_is_layer = is_tiff(_LAYER_TAG)


class _Files:
    """The files of one map, made in the spool and put in place together."""

    def __init__(
        self, head: MapHead, target: Path, spool: Spool, strips: Strips, tags: dict[str, str], phases: Phases
    ) -> None:
        self._head, self._target, self._spool, self._strips, self._tags = head, target, spool, strips, tags
        self._phases = phases
        self._names: list[str] = []
        self._elsewhere: list[Path] = []

    def _is_beside(self, path: Path) -> bool:
        return path.absolute().parent == self._target.absolute().parent

    def _path(self, target: Path) -> Path:
        """Where a file is made that will lie at `target`."""
        if not self._is_beside(target):
            self._elsewhere.append(target)
            folder = self._spool.staging / "elsewhere"
            folder.mkdir(exist_ok=True)
            return folder / target.name
        if target.name not in self._names:
            self._names.append(target.name)
        return self._spool.staging / target.name

    def _text(self, target: Path, text: str) -> None:
        self._path(target).write_text(text, encoding="utf-8", newline="")

    def map(self, rows: Rows, polygons: Path | None) -> tuple[MapClass, ...]:
        """The map and its legend as table, style and names; a tag names the polygons that lie beside it."""
        head, strips = self._head, self._strips
        beside = {} if polygons is None or not self._is_beside(polygons) else {_POLYGONS_TAG: one_line(polygons.name)}
        counts, span = _count(head, self._phases.counted(rows), strips)
        legend = legend_of(head, counts, _abstained(strips))
        if not any(one.pixels for one in legend):
            return legend
        numbers = not head.classes
        colours = {one.value: (*to_rgb(one.colour), 255) for one in legend if one.value is not None}
        profile = self._profile("float32" if numbers else "uint8", np.nan if numbers else NO_DATA)(
            tags={**class_tags(head), **self._tags, **beside},
            names=(one_line(head.column),),
            colours={} if numbers else {**colours, NO_DATA: (0, 0, 0, 0)},
        )
        reduce = mean_of_valid if numbers else mode_of_valid(NO_DATA)
        target, name = self._target, f"the map {self._target}"
        rows = self._phases.counted(rows, 2)
        write_cog(self._path(target), profile, lambda part: rows(part)[..., None], reduce, tile=_TILE, name=name)
        self._text(names_path(target), names_xml(legend, span))
        self._text(style_path(target), style_xml(legend, head.edges))
        self._text(table_path(target), table_csv(legend, head.edges))
        return legend

    def _profile(self, dtype: str, nodata: float, bands: int = 1) -> Callable[..., RasterProfile]:
        window = self._strips.window
        return partial(
            RasterProfile, (*window.shape, bands), dtype, window.grid.crs, window.grid.transform, nodata=nodata
        )

    def probabilities(self, rows: Rows) -> None:
        """A band of per cent a class."""
        names = tuple(one_line(name) for name in self._head.classes)
        tags = {**class_tags(self._head), **self._tags, _LAYER_TAG: PROBABILITIES, "TESSERA_UNIT": "per cent"}
        profile = self._profile("uint8", NO_DATA, len(names))(tags=tags, names=names)
        self._layer(rows, PROBABILITIES, profile, _mean_of_bytes)

    def uncertainty(self, rows: Rows, *, png: bool) -> None:
        """A band of float32 a measure, and a picture of the first."""
        names = bands(self._head)
        tags = {**self._tags, _LAYER_TAG: UNCERTAINTY, "TESSERA_BANDS": json.dumps(list(names))}
        profile = self._profile("float32", np.nan, len(names))(tags=tags, names=names)
        self._layer(rows, UNCERTAINTY, profile, mean_of_valid)
        if png:
            tiff = self._spool.staging / layer_path(self._target, UNCERTAINTY).name
            title = f"{self._head.column}, {_years(self._strips)}"
            self._phases.begin()
            draw_uncertainty(self._path(_picture_path(self._target)), tiff, names, title, self._strips.window)

    def _layer(self, rows: Rows, name: str, profile: RasterProfile, reduce: Callable[..., Any]) -> None:
        target = layer_path(self._target, name)
        # a row of tiles is in memory
        tile = _TILE // 2 if profile.whole[2] <= _FEW else _TILE // 4
        rows = self._phases.counted(rows, 2)
        write_cog(self._path(target), profile, rows, reduce, tile=tile, name=f"{name} {target}")

    def picture(self, legend: tuple[MapClass, ...]) -> None:
        """The picture of the map."""
        head, title = self._head, f"{self._head.column}, {_years(self._strips)}"
        tiff, window = self._spool.staging / self._target.name, self._strips.window
        self._phases.begin()
        draw_classes(self._path(self._target.with_suffix(".png")), tiff, title, legend, head.edges, window)

    def polygons(
        self, target: Path, rows: Rows, probabilities: Rows | None, legend: tuple[MapClass, ...], tolerance: float
    ) -> None:
        """The patches of classes, or of ranges of numbers."""
        head, strips = self._head, self._strips

        def ranges(part: range) -> NDArray[np.uint8]:
            found = rows(part)
            return np.where(np.isfinite(found), range_of(found, head.edges), NO_DATA).astype(np.uint8)

        classes = self._phases.counted(rows if head.classes else ranges, 4)
        made, values, pixels, patches, keys = polygons_of(classes, strips.rows, strips.window, NO_DATA, tolerance)
        if head.classes:
            place = {one.value: number for number, one in enumerate(legend)}
            index = np.array([place[value] for value in values.tolist()], dtype=np.int64)
        else:
            index = values
        columns: dict[str, NDArray[Any]] = {
            "class": np.array([one.name for one in legend], dtype=object)[index],
            "area_ha": np.round(pixels * HECTARE, 2),
        }
        if probabilities is not None:
            columns |= {"value": values, "probability": mean_over(patches, keys, _picker(head, probabilities))}
        else:
            columns["mean"] = mean_over(patches, keys, lambda part, _: rows(part).astype(np.float64))
        self._phases.begin()
        write_polygons(
            self._path(target),
            self._path(polygon_style_path(target, self._target)),
            made,
            columns,
            legend,
            crs=strips.window.grid.crs,
            notes=self._tags,
            date=f"{max(strips.sources.years):04d}-12-31T00:00:00.000Z",
        )

    def place(self) -> None:
        """Put all files in place, the map last; files of an earlier map that this one does not have go.

        Polygons in another folder go first, and come while no map is there: so they never lie beside another map.
        """
        target = self._target
        names = [name for name in self._names if name != target.name]
        tests: dict[Path, Callable[[Path], bool]] = {
            layer_path(target, PROBABILITIES): _is_layer,
            layer_path(target, UNCERTAINTY): _is_layer,
            _picture_path(target): is_png("map"),
            target.with_suffix(".png"): is_png("map"),
        }
        old = [path for path, ours in tests.items() if path.is_file() and ours(path)] + self._old_polygons()
        gone = [path.name for path in old if path.name not in names]
        for path in self._elsewhere:
            path.unlink(missing_ok=True)
        self._spool.place([*names, target.name], gone=gone, elsewhere=self._put_elsewhere if self._elsewhere else None)

    def _old_polygons(self) -> list[Path]:
        """The polygons and their style beside an earlier map, which names them."""
        target = self._target
        if not target.is_file() or not is_tiff(_POLYGONS_TAG)(target):
            return []
        # a damaged map names none
        with suppress(InputError), reading(target), open_raster(target) as source:
            tags = source.tags()
            return polygons_beside(target, tags.get(_POLYGONS_TAG, ""), tags.get(HEAD_TAG, ""))
        return []

    def _put_elsewhere(self) -> None:
        """Copy files to other folders, which may be other disks; each appears whole."""
        for path in self._elsewhere:
            with staging(path) as folder:
                part = folder / path.name
                shutil.copyfile(self._spool.staging / "elsewhere" / path.name, part)
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
                part.replace(path)
            sync_folder(path.parent)


@contextmanager
def _kept_if(spool: Spool, known: bool) -> Iterator[None]:
    """Drop the strips of a run that is stopped where no later run can know that the store is still the same."""
    try:
        yield
    except BaseException:
        spool.finished = spool.finished or not known
        raise


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what a disk says into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write the map {target}: {error.strerror or error}") from None


def _picker(head: MapHead, probabilities: Rows) -> Callable[[range, NDArray[Any]], NDArray[np.float64]]:
    """Picks the probability of the class that a pixel has on the map, 0 to 1, NaN where it has none."""
    band = np.full(256, -1, dtype=np.int64)
    band[list(head.values)] = np.arange(len(head.values))

    def pick(part: range, values: NDArray[Any]) -> NDArray[np.float64]:
        bands = band[values]
        found = np.take_along_axis(probabilities(part), np.maximum(bands, 0)[..., None], axis=2)[..., 0]
        return np.where((bands < 0) | (found == NO_DATA), np.nan, found / 100.0)

    return pick


def _tags(head: MapHead, digest: str, strips: Strips) -> dict[str, str]:
    """Where a map comes from, as GeoTIFF tags."""
    models = list(dict.fromkeys(one.model for one in head.inputs))
    labels = head.provenance.get("labels")
    known = {
        "TESSERA_MODEL": ", ".join(one_line(model.name) for model in models),
        "TESSERA_MODEL_SHA256": ", ".join(model.sha256 for model in models),
        "TESSERA_YEAR": _years(strips),
        "TESSERA_HEAD": head.head,
        HEAD_TAG: digest,
        "TESSERA_HEAD_YEAR": ", ".join(str(one.year) for one in head.inputs),
        "TESSERA_STORE": ", ".join(one_line(part.name) for part in strips.sources.parts),
        "TESSERA_LABELS_SHA256": str(labels.get("sha256") or "") if isinstance(labels, dict) else "",
        "TESSERA_CALIBRATED": "yes" if head.trust is not None else "no",
        "TESSERA_VERSION": __version__,
    }
    value = _abstained(strips)
    if value is not None:
        known["TESSERA_ABSTAINED"] = str(value[0])
    return {name: text for name, text in known.items() if text}


def _abstained(strips: Strips) -> tuple[int, str, str] | None:
    """Value, name and colour of the pixels where the head abstains; None where it never does."""
    value, name = strips.layers.abstained, ABSTAINED
    while name in strips.head.classes:
        name = f"({name})"
    return None if value is None else (value, name, ABSTAINED_COLOUR)


def _years(strips: Strips) -> str:
    return ", ".join(map(str, dict.fromkeys(strips.sources.years)))


def _mean_of_bytes(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean of each 2 x 2 pixels that are not 255, rounded."""
    found = mean_of_valid(np.where(values == NO_DATA, np.float32(np.nan), values.astype(np.float32)))
    return np.where(np.isnan(found), NO_DATA, np.rint(found)).astype(np.uint8)


def _count(head: MapHead, rows: Rows, strips: Strips) -> tuple[list[int], tuple[float, float, float, float] | None]:
    """The pixels of each value or of each range; of numbers the least, the greatest, mean and standard deviation."""
    numbers, span = not head.classes, _Span()
    counts = np.zeros(len(head.edges) + 1 if numbers else 256, dtype=np.int64)
    for strip in strips.rows:
        found = rows(strip)
        if numbers:
            there = found[np.isfinite(found)]
            span.add(there)
            found = range_of(there, head.edges)
        counts += np.bincount(found.reshape(-1), minlength=len(counts))
    return counts.tolist(), span.told() if numbers and span.count else None


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
