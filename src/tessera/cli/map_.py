"""tessera map: a head over an area, as GeoTIFF with its legend and picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.base import InputError, shown

from .terminal import AoiOption, BboxOption, OverwriteOption, one_of, print_table, step

_BESIDE = "Files beside the map"


def map_(
    stores: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE...",
            help="Store to read: a folder, a URL or the name of a published store. For a head that learnt from several "
            "stores, all of them in that order.",
        ),
    ],
    head: Annotated[Path, typer.Option(help="Head that `tessera fit` saved.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write; its legend and picture lie beside it.")],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    year: Annotated[
        str | None,
        typer.Option(metavar="YEAR", help="Year; the head's own if omitted. Several for a head of several: 2023,2024."),
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Write map.probabilities.tif: the probability of each class, per cent.",
            rich_help_panel=_BESIDE,
        ),
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Write map.uncertainty.tif: probability, set size and abstention of classes, bounds of numbers, "
            "distance to the labels.",
            rich_help_panel=_BESIDE,
        ),
    ] = False,
    abstain: Annotated[
        bool, typer.Option("--abstain", help="Give pixels where the head is too uncertain a value of their own.")
    ] = False,
    min_area_ha: Annotated[
        float,
        typer.Option(
            "--min-area-ha",
            metavar="HECTARES",
            help="Minimum mapping unit: smaller patches take the class of the neighbour with the longest border.",
        ),
    ] = 0.0,
    polygons: Annotated[
        Path | None,
        typer.Option(
            "--polygons",
            metavar="FILE",
            help="Write the patches of the map as polygons: .gpkg, .parquet or .fgb.",
            rich_help_panel=_BESIDE,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="METRES",
            help="Simplify the shared borders of polygons by about so much; 0 keeps the sides of pixels.",
            rich_help_panel=_BESIDE,
        ),
    ] = 10.0,
    overwrite: OverwriteOption = False,
) -> None:
    """Map an area with a head.

    A head of classes gives a map of class values (uint8, 255 = nodata), a head of numbers one of float32, NaN = nodata.
    Beside map.tif lie its legend as a table (map.classes.csv) and as a style for QGIS (map.qml), map.tif.aux.xml for
    GDAL, and the picture map.png. A run that was stopped goes on when it is started again.

    Example: tessera map store.zarr --head crops.json --bbox 5.237,50.681,5.270,50.702 -o map.tif
    """
    from tessera.figures import font_note, fonts_for
    from tessera.heads import load_head
    from tessera.maps import area_table, check_map, empty_share, map_files, read_map_classes
    from tessera.store import open_store

    _, area = one_of(bbox=bbox, aoi=aoi)
    made: dict[str, Any] = {"probabilities": probabilities, "uncertainty": uncertainty, "polygons": polygons}
    check_map(out, **made, inputs=(*stores, head, aoi), overwrite=overwrite)
    years = _years(year)
    loaded = load_head(head)
    opened = [open_store(store) for store in stores]
    with step("Mapping") as progress:
        target = loaded.map(
            opened,
            area,
            years,
            out=out,
            **made,
            abstain=abstain,
            tolerance=tolerance,
            min_area_ha=min_area_ha,
            overwrite=overwrite,
            progress=progress,
        )
    print_table(area_table(read_map_classes(target)))
    empty = empty_share(target)
    if empty > 0.5:
        what = "class" if loaded.classes else "number"
        print(f"note: {empty:.0%} of the map's rectangle has no {what}: outside the area, or no embedding in the store")
    learnt = [one.year for one in loaded.inputs]
    if years is not None and years != learnt:
        print(
            f"note: the head learnt from {_told(learnt)}, the map is of {_told(years)}; its scores hold for the years "
            "that it learnt from"
        )
    if abstain and loaded.trust is not None and not loaded.trust.threshold:
        print(
            "note: the head abstains nowhere: of all held-out labels together "
            f"{loaded.trust.accuracy:.0%} are predicted right, or more"
        )
    note = font_note(fonts_for("".join([loaded.column, *loaded.classes]))[1])
    if note:
        print(f"note: {target.with_suffix('.png').name} lacks letters: {note}")
    print(f"saved: {', '.join(map(str, map_files(target, **made)))}")


def _years(given: str | None) -> list[int] | None:
    if given is None:
        return None
    texts = [text.strip() for text in given.split(",")]
    if not all(text.isascii() and text.isdecimal() and len(text) == 4 for text in texts):
        raise InputError(f"--year {shown(given)}; expected a year, or several with commas such as 2023,2024")
    return [int(text) for text in texts]


def _told(years: list[int]) -> str:
    return ", ".join(map(str, dict.fromkeys(years)))
