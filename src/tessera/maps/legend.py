"""The legend of a map, and the files beside it: names for GDAL, a style for QGIS, a table for all others."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from tessera.base import InputError, cell_text, check_output, csv_text, is_text, read_regular, shown
from tessera.geo import PIXEL_SIZE
from tessera.labels import NO_DATA, cell, class_labels, one_line
from tessera.rasters import open_raster, reading

from .ranges import range_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .asked import MapHead

    Test = Callable[[Path], bool]

HECTARE = PIXEL_SIZE * PIXEL_SIZE / 10_000
"""Hectares of a pixel, on the plane of its UTM zone."""
_HEADER = ("value", "name", "colour", "pixels", "hectares")
_RANGES = ("from", "to", "colour", "pixels", "hectares")
"""The columns of a table of classes, and of one of ranges of numbers."""
_STYLE_MARK = "classes of a map by tessera"
_LIMIT = 16 * 1024 * 1024
_MOST_PIXELS = 10**15
"""Of a class: more than the Earth has."""
_AS_WRITTEN = "expected the table as tessera map wrote it: map the area again"
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class MapClass:
    """A class of a map, or a range of its numbers.

    Attributes
    ----------
    value : of its pixels; None of a range
    name : as in the labels; "5 to 10" of a range
    colour : "#rrggbb"
    pixels : how many the map shows of it
    """

    value: int | None
    name: str
    colour: str
    pixels: int

    @property
    def hectares(self) -> float:
        """Area on the plane of the UTM zone: 0.01 ha a pixel of 10 m."""
        return self.pixels * HECTARE


def legend_of(
    head: MapHead, counts: Sequence[int], abstained: tuple[int, str, str] | None = None
) -> tuple[MapClass, ...]:
    """The legend of a head's map, classes by value or ranges from low to high.

    Parameters
    ----------
    counts : pixels of each value 0 to 255, or of each range
    abstained : value, name and colour of pixels where the head abstains, which come last
    """
    if head.edges:
        parts = zip(range_names(head.edges), head.colours, counts, strict=True)
        return tuple(MapClass(None, *part) for part in parts)
    rows = zip(head.values, head.classes, head.colours, strict=True)
    return tuple(
        MapClass(value, name, colour, int(counts[value]))
        for value, name, colour in (*sorted(rows), *([abstained] if abstained else []))
    )


def table_path(tiff: Path) -> Path:
    """Where the table of classes of a map lies: map.classes.csv beside map.tif."""
    return tiff.with_name(f"{tiff.stem}.classes.csv")


def style_path(tiff: Path) -> Path:
    """Where QGIS looks for the style of a raster: map.qml beside map.tif."""
    return tiff.with_suffix(".qml")


def names_path(tiff: Path) -> Path:
    """Where GDAL looks for what a GeoTIFF cannot hold: map.tif.aux.xml beside map.tif."""
    return tiff.with_name(f"{tiff.name}.aux.xml")


def check_sidecars(
    tiff: Path, *, inputs: Iterable[object], ours: Callable[[Test], Test] = lambda test: test, overwrite: bool
) -> None:
    """Look at the style and the table of a map, as `check_map` at all else; a style that QGIS saved is kept.

    Parameters
    ----------
    ours : what else makes a file one of ours, given the test for one
    """
    for path, what, mark in (
        (style_path(tiff), "style of the map", _STYLE_MARK),
        (table_path(tiff), "table of classes", ",".join(_HEADER)),
    ):
        if path == table_path(tiff) and path.is_file() and is_text(",".join(_RANGES))(path):
            mark = ",".join(_RANGES)
        check_output(path, what, inputs=inputs, ours=ours(is_text(mark)), overwrite=overwrite)


def names_xml(legend: tuple[MapClass, ...], span: tuple[float, float, float, float] | None) -> str:
    """What GDAL keeps beside a file: names as a list by value, where a value that is no class has an empty name; or, of
    numbers, the `span` of the map: least, greatest, mean, standard deviation."""
    if span is not None:
        keys = ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")
        parts = "".join(
            f'<MDI key="STATISTICS_{key}">{value!r}</MDI>' for key, value in zip(keys, map(float, span), strict=True)
        )
        return f'<PAMDataset><PAMRasterBand band="1"><Metadata>{parts}</Metadata></PAMRasterBand></PAMDataset>\n'
    labels = dict(zip((one.value or 0 for one in legend), class_labels([one.name for one in legend]), strict=True))
    names = "".join(f"<Category>{escape(labels.get(value, ''))}</Category>" for value in range(max(labels) + 1))
    body = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    return f"<PAMDataset>{body}</PAMDataset>\n"


def style_xml(legend: tuple[MapClass, ...], edges: tuple[float, ...]) -> str:
    """A QGIS style: a palette of the classes alone, by value; or the colours of ranges, by their upper borders."""
    labels = [one.name for one in legend] if edges else class_labels([one.name for one in legend])
    if edges:
        kind, tops = 'type="singlebandpseudocolor"', (*map(repr, edges), "inf")
        entries = [
            f'          <item value="{top}" color="{one.colour}" alpha="255" label={quoteattr(label)}/>'
            for top, one, label in zip(tops, legend, labels, strict=True)
        ]
        before = [
            "      <rastershader>",
            '        <colorrampshader colorRampType="DISCRETE" classificationMode="1" clip="0">',
        ]
        after = ["        </colorrampshader>", "      </rastershader>"]
    else:
        kind = 'type="paletted"'
        entries = [
            f'        <paletteEntry value="{one.value}" color="{one.colour}" alpha="255" label={quoteattr(label)}/>'
            for one, label in zip(legend, labels, strict=True)
        ]
        before, after = ["      <colorPalette>"], ["      </colorPalette>"]
    lines = [
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>",
        '<qgis version="3.22.0" styleCategories="AllStyleCategories">',
        f"  <!-- {_STYLE_MARK} -->",
        "  <pipe>",
        f'    <rasterrenderer {kind} band="1" opacity="1" alphaBand="-1" nodataColor="">',
        "      <rasterTransparency/>",
        *(*before, *entries, *after),
        "    </rasterrenderer>",
        "  </pipe>",
        "  <blendMode>0</blendMode>",
        "</qgis>",
    ]
    return "\n".join(lines) + "\n"


def table_csv(legend: tuple[MapClass, ...], edges: tuple[float, ...]) -> str:
    """The legend as a table, names as `safe_cell` writes them."""
    rows: list[Sequence[Any]] = [_RANGES if edges else _HEADER]
    borders = ["", *edges, ""]
    for index, one in enumerate(legend):
        first = borders[index : index + 2] if edges else [one.value, one.name]
        rows.append([*first, one.colour, one.pixels, f"{one.hectares:.2f}"])
    return csv_text(rows)


def class_tags(head: MapHead) -> dict[str, str]:
    """GeoTIFF tags: the names as a JSON list, and the value of each; empty lists of numbers."""
    names = json.dumps(list(head.classes), ensure_ascii=False)
    # what XML cannot hold stands only inside JSON's texts, where it has an escape
    safe = "".join(one if one == one_line(one) or one == " " else json.dumps(one)[1:-1] for one in names)
    return {"TESSERA_CLASSES": safe, "TESSERA_VALUES": json.dumps(list(head.values))}


def read_map_classes(tiff: str | Path) -> tuple[MapClass, ...]:
    """The classes of a map, or the ranges of its numbers, with the pixels of each, from the table beside it.

    Parameters
    ----------
    tiff : the map's path, .tif

    Raises
    ------
    InputError
        No table lies beside it, or it is not one that `Head.map` wrote.
    """
    path = table_path(Path(tiff))
    try:
        # a spreadsheet begins UTF-8 with a mark
        text = read_regular(path, what="table of classes", limit=_LIMIT).decode("utf-8-sig")
        return _legend_from(list(csv.reader(io.StringIO(text, newline=""))))
    except FileNotFoundError:
        raise InputError(f"no table of classes {path}; expected one beside the map") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no table of classes: not UTF-8; {_AS_WRITTEN}") from None
    except csv.Error as error:
        raise InputError(f"{path} is no table of classes: {error}; {_AS_WRITTEN}") from None
    except _TableError as error:
        raise InputError(f"{path} is no table of classes: {error}; {_AS_WRITTEN}") from None


class _TableError(Exception):
    """What is wrong with a table, without its path."""


def _legend_from(rows: Sequence[Sequence[str]]) -> tuple[MapClass, ...]:
    """The legend in the rows of a table, which may come from a stranger."""
    header = tuple(rows[0]) if rows else ()
    if header not in (_HEADER, _RANGES):
        told = f"columns {shown(', '.join(header))}" if header else "an empty file"
        raise _TableError(f"{told}, not {','.join(_HEADER)} or {','.join(_RANGES)}")
    if len(rows) > NO_DATA + 2:
        raise _TableError(f"{len(rows) - 1:,} rows, more than values of a map")
    found: list[MapClass] = []
    edges: list[float] = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise _TableError(f"row {number} has {len(row)} cells ({shown(','.join(row), 40)}), not {len(header)}")
        first, second, colour, count, _ = row
        pixels = _whole(count, _MOST_PIXELS)
        if pixels is None or not _COLOUR.fullmatch(colour):
            what = f"{shown(count, 20)} pixels" if pixels is None else f"colour {shown(colour, 20)}"
            raise _TableError(f"row {number} has {what}, not {'a whole number' if pixels is None else '#rrggbb'}")
        if header == _RANGES:
            edges += [] if number == 2 else [_number(first)]
            if not all(map(math.isfinite, edges)) or edges != sorted(set(edges)):
                raise _TableError(f"row {number} begins at {shown(first, 20)}, not at a number above the one before")
            found.append(MapClass(None, "", colour, pixels))
            continue
        value, name = _whole(first, NO_DATA - 1), cell_text(second)
        if value is None or not name:
            what = f"value {shown(first, 20)}, not 0 to {NO_DATA - 1}" if value is None else "no name"
            raise _TableError(f"row {number} has {what}")
        found.append(MapClass(value, name, colour, pixels))
    if header == _RANGES:
        if not edges:
            raise _TableError(f"{len(found)} ranges, not two or more")
        return tuple(replace(one, name=name) for one, name in zip(found, range_names(tuple(edges)), strict=True))
    for what, held in (("value", [one.value for one in found]), ("name", [one.name for one in found])):
        twice = next((one for index, one in enumerate(held) if one in held[:index]), None)
        if twice is not None:
            raise _TableError(f"two rows have the {what} {shown(twice, 40)}")
    return tuple(found)


def _whole(text: str, most: int) -> int | None:
    """A whole number of 0 to `most` in plain digits, else None."""
    value = int(text) if len(text) <= 20 and text.isascii() and text.isdecimal() else -1
    return value if 0 <= value <= most else None


def _number(text: str) -> float:
    """NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def empty_share(tiff: str | Path) -> float:
    """Share of a map's raster, 0 to 1, without a class or number: outside the area, or without an embedding."""
    with reading(tiff), open_raster(Path(tiff)) as raster:
        whole = int(raster.width * raster.height)
    return 1.0 - sum(one.pixels for one in read_map_classes(tiff)) / whole


def area_table(legend: tuple[MapClass, ...]) -> list[tuple[str, ...]]:
    """Rows of text: value, class (or range), pixels, hectares and share of each, below a row of headings."""
    total = max(1, sum(one.pixels for one in legend))
    most = max((one.pixels for one in legend), default=0)
    ranges = bool(legend) and legend[0].value is None
    rows: list[tuple[str, ...]] = [("range" if ranges else "class", "pixels", "hectares", "share")]
    rows += [
        (cell(one.name), f"{one.pixels:,}", show_hectares(one.pixels, most), show_share(one.pixels, total))
        for one in legend
    ]
    if ranges:
        return rows
    return [(value, *row) for value, row in zip(("value", *(str(one.value) for one in legend)), rows, strict=True)]


def show_hectares(pixels: int, most: int) -> str:
    """The area of so many pixels in hectares, to the pixel in a column with less than 100 ha at `most`."""
    area = pixels * HECTARE
    return f"{area:,.2f}" if most * HECTARE < 100 or 0 < area < 0.5 else f"{area:,.0f}"


def show_share(pixels: int, total: int) -> str:
    """A share in whole per cent; one that rounds to nothing is still on the map."""
    share = 100 * pixels / total
    return f"{share:.0f} %" if share >= 0.5 or pixels == 0 else "< 1 %"
