"""tessera map: a head over an area, as GeoTIFF and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._show import OverwriteOption, one_of, step


def map_(
    store: Annotated[str, typer.Argument(help="Path or URL of a store.")],
    head: Annotated[Path, typer.Option(help="Head that `tessera fit` saved.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write; a PNG is written beside it.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Vector file of polygons, a tile name or a cell name.")] = None,
    year: Annotated[int | None, typer.Option(help="Year; the head's own where left out.")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Map an area with a head.

    Example: tessera map store.zarr --head crops.json --bbox 5.237,50.681,5.270,50.702 -o map.tif
    """
    from tessera.heads import check_map, load_head
    from tessera.store import open_store

    _, area = one_of(bbox=bbox, aoi=aoi)
    check_map(out, inputs=(store, head, aoi), overwrite=overwrite)
    loaded = load_head(head)
    with step("Mapping") as progress:
        target = loaded.map(open_store(store), area, year, out=out, overwrite=overwrite, progress=progress)
    print(f"{target}, {target.with_suffix('.png')}")
