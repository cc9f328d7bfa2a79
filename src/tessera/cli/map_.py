"""tessera map: a head over an area, as GeoTIFF with its legend and picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import AoiOption, BboxOption, OverwriteOption, StoreArgument, one_of, print_table, step


def map_(
    store: StoreArgument,
    head: Annotated[Path, typer.Option(help="Head that `tessera fit` saved.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write; its legend and picture lie beside it.")],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    year: Annotated[int | None, typer.Option(help="Year; the head's own where left out.")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Map an area with a head.

    A head of classes gives a map of class values (uint8, 255 = nodata), a head of numbers one of float32, NaN = nodata.
    Beside map.tif lie its legend as a table (map.classes.csv) and as a style for QGIS (map.qml), map.tif.aux.xml for
    GDAL, and the picture map.png.

    Example: tessera map store.zarr --head crops.json --bbox 5.237,50.681,5.270,50.702 -o map.tif
    """
    from tessera.figures import font_note, fonts_for
    from tessera.heads import load_head
    from tessera.maps import area_table, check_map, empty_share, read_map_classes
    from tessera.store import open_store

    _, area = one_of(bbox=bbox, aoi=aoi)
    check_map(out, inputs=(store, head, aoi), overwrite=overwrite)
    loaded = load_head(head)
    with step("Mapping") as progress:
        target = loaded.map(open_store(store), area, year, out=out, overwrite=overwrite, progress=progress)
    print_table(area_table(read_map_classes(target)))
    empty = empty_share(target)
    if empty > 0.5:
        what = "class" if loaded.classes else "number"
        print(f"note: {empty:.0%} of the map's rectangle has no {what}: outside the area, or no embedding in the store")
    note = font_note(fonts_for("".join([loaded.column, *loaded.classes]))[1])
    if note:
        print(f"note: {target.with_suffix('.png').name} lacks letters: {note}")
    beside = [target.with_suffix(end) for end in (".png", ".qml", ".classes.csv")]
    print(f"saved: {', '.join(map(str, [target, *beside, f'{target}.aux.xml']))}")
