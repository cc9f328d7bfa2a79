"""The files beside a map that say what its values are: names for GDAL, a style for QGIS, a table for all others."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from tessera.base import InputError, check_output, is_text, read_regular, shown
from tessera.geo import PIXEL_SIZE
from tessera.rasters import open_raster, reading

from .codes import cell, class_labels, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .head import Head

_HECTARE = PIXEL_SIZE * PIXEL_SIZE / 10_000
"""Hectares of a pixel, on the plane of its UTM zone."""
_HEADER = ("value", "name", "colour", "pixels", "hectares")
_STYLE_MARK = "classes of a map by tessera"
_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class MapClass:
    """A class of a map.

    Attributes
    ----------
    value : of its pixels
    name : as in the labels
    colour : "#rrggbb"
    pixels : how many the map shows of it
    """

    value: int
    name: str
    colour: str
    pixels: int

    @property
    def hectares(self) -> float:
        """Area on the plane of the UTM zone: 0.01 ha a pixel of 10 m."""
        return self.pixels * _HECTARE


def map_classes(head: Head, counts: list[int]) -> tuple[MapClass, ...]:
    """The classes of a head with the pixels of each, by value."""
    rows = zip(head.values, head.classes, head.colours, counts, strict=True)
    return tuple(MapClass(*row) for row in sorted(rows))


def table_path(tiff: Path) -> Path:
    """Where the table of classes of a map lies: map.classes.csv beside map.tif."""
    return tiff.with_name(f"{tiff.stem}.classes.csv")


def style_path(tiff: Path) -> Path:
    """Where QGIS looks for the style of a raster: map.qml beside map.tif."""
    return tiff.with_suffix(".qml")


def names_path(tiff: Path) -> Path:
    """Where GDAL looks for what a GeoTIFF cannot hold: map.tif.aux.xml beside map.tif."""
    return tiff.with_name(f"{tiff.name}.aux.xml")


def check_sidecars(tiff: Path, *, inputs: Iterable[object], overwrite: bool) -> None:
    """Look at the style and the table that are about to be written beside a map; `check_map` looks at all else.

    Raises
    ------
    InputError
        One may not be written, or another file is there, such as a style that QGIS saved.
    """
    for path, what, mark in (
        (style_path(tiff), "style of the map", _STYLE_MARK),
        (table_path(tiff), "table of classes", ",".join(_HEADER)),
    ):
        check_output(path, what, inputs=inputs, ours=is_text(mark), overwrite=overwrite)


def names_xml(classes: tuple[MapClass, ...]) -> str:
    """Class names as GDAL keeps them, a list by value; a value that is no class has an empty name."""
    labels = dict(zip((one.value for one in classes), class_labels([one.name for one in classes]), strict=True))
    names = "".join(f"<Category>{escape(labels.get(value, ''))}</Category>" for value in range(max(labels) + 1))
    body = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    return f"<PAMDataset>{body}</PAMDataset>\n"


def style_xml(classes: tuple[MapClass, ...]) -> str:
    """A QGIS style: a palette of the classes alone, by value."""
    labels = class_labels([one.name for one in classes])
    entries = "\n".join(
        f'        <paletteEntry value="{one.value}" color="{one.colour}" alpha="255" label={quoteattr(label)}/>'
        for one, label in zip(classes, labels, strict=True)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="AllStyleCategories">\n'
        f"  <!-- {_STYLE_MARK} -->\n"
        "  <pipe>\n"
        '    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">\n'
        "      <rasterTransparency/>\n"
        "      <colorPalette>\n"
        f"{entries}\n"
        "      </colorPalette>\n"
        "    </rasterrenderer>\n"
        "  </pipe>\n"
        "  <blendMode>0</blendMode>\n"
        "</qgis>\n"
    )


def table_csv(classes: tuple[MapClass, ...]) -> str:
    """The table of classes, names as they are in the labels."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows([one.value, one.name, one.colour, one.pixels, f"{one.hectares:.2f}"] for one in classes)
    return file.getvalue()


def class_tags(head: Head) -> dict[str, str]:
    """GeoTIFF tags: the names as a JSON list, and the value of each."""
    names = json.dumps(list(head.classes), ensure_ascii=False)
    # what XML cannot hold stands only inside JSON's texts, where it has an escape
    safe = "".join(one if one == one_line(one) or one == " " else json.dumps(one)[1:-1] for one in names)
    return {"TESSERA_CLASSES": safe, "TESSERA_VALUES": json.dumps(list(head.values))}


def read_map_classes(tiff: str | Path) -> tuple[MapClass, ...]:
    """The classes of a map with the pixels of each, from the table beside it.

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
        text = read_regular(path, what="table of classes", limit=_LIMIT).decode()
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(header) != _HEADER:
            raise ValueError(f"columns {', '.join(header)}")
        return tuple(MapClass(int(value), name, colour, int(pixels)) for value, name, colour, pixels, _ in rows)
    except FileNotFoundError:
        raise InputError(f"no table of classes {path}; expected one beside the map") from None
    except (ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no table of classes: {shown(error)}; expected {','.join(_HEADER)}") from None


def empty_share(tiff: str | Path) -> float:
    """Share of a map's raster, 0 to 1, without a class: outside the area, or without an embedding."""
    with reading(tiff), open_raster(Path(tiff)) as raster:
        whole = int(raster.width * raster.height)
    return 1.0 - sum(one.pixels for one in read_map_classes(tiff)) / whole


def area_table(classes: tuple[MapClass, ...]) -> list[tuple[str, ...]]:
    """Rows of text: value, class, pixels, hectares and share of each class of a map, below a row of headings."""
    total = max(1, sum(one.pixels for one in classes))
    rows: list[tuple[str, ...]] = [("value", "class", "pixels", "hectares", "share")]
    for one in classes:
        area, share = show_hectares(one.pixels), show_share(one.pixels, total)
        rows.append((str(one.value), cell(one.name), f"{one.pixels:,}", area, share))
    return rows


def show_hectares(pixels: int) -> str:
    """The area of so many pixels in hectares, to the pixel below 100 ha."""
    area = pixels * _HECTARE
    return f"{area:,.2f}" if area < 100 else f"{area:,.0f}"


def show_share(pixels: int, total: int) -> str:
    """A share in whole per cent; one that rounds to nothing is still on the map."""
    share = 100 * pixels / total
    return f"{share:.0f} %" if share >= 0.5 or pixels == 0 else "< 1 %"
