"""tessera store coverage and catalogue: what there is and where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import OverwriteOption, one_of, print_json, print_table, step

if TYPE_CHECKING:
    from tessera.catalogue import Coverage


def coverage(
    store: Annotated[str, typer.Argument(help="Path or URL.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Vector file of polygons, a tile name or a cell name.")] = None,
    year: Annotated[int | None, typer.Option(help="Year; all where left out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture to draw, .png.")] = None,
    overwrite: OverwriteOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the pixels with data in an area, or in the whole store, year by year; draw them with -o.

    Example: tessera store coverage store.zarr --bbox 5.0,50.6,5.2,50.7 -o coverage.png
    """
    from tessera.base import check_picture
    from tessera.catalogue import coverage as count
    from tessera.catalogue import draw_coverage
    from tessera.store import open_store

    if out is not None:
        check_picture(out, "coverage", inputs=(store, aoi), overwrite=overwrite)
    area = None if bbox is None and aoi is None else one_of(bbox=bbox, aoi=aoi)[1]
    opened = open_store(store)
    with step("Counting") as progress:
        found = count(opened, area, year, progress=progress)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if out is not None:
        with step("Drawing") as progress:
            draw_coverage(opened, out, area, year, overwrite=overwrite, progress=progress)
        print(f"{out}: drawn", file=sys.stderr if as_json else sys.stdout)


def _print(found: Coverage) -> None:
    if not found.years:
        print(f"{found.store}: no year yet")
        return
    what = "of the area" if found.area else "of the cells"
    rows: list[tuple[str, ...]] = [("year", "cells", "valid", "no data", "not written", "km2", "of km2", "share")]
    rows += [
        (
            str(year.year),
            f"{year.cells:,}",
            f"{year.valid:,}",
            f"{year.no_data:,}",
            f"{year.not_written:,}",
            _area(year.km2),
            _area(year.area_km2),
            f"{year.share:.2%}",
        )
        for year in found.years
    ]
    print_table(rows)
    how = {"pixels": "counted pixel by pixel", "records": "from the commit records", "manifest": "from the manifest"}
    about = "" if found.exact else "; an estimate where the area cuts a cell, and as old as the manifest"
    print(f"pixels {what}{'' if found.area is None else ' ' + found.area}, {how[found.how]}{about}")
    print(f"km2 and share: of pixels with an embedding, out of all pixels {what}")


def _area(km2: float) -> str:
    """With a digit that shows: a small area is not 0.0."""
    return f"{km2:,.1f}" if km2 >= 10 or km2 == 0 else f"{km2:.3g}"


def catalogue(
    store: Annotated[str, typer.Argument(help="Path.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the manifest and the STAC catalogue beside a store, from its commit records.

    Only what changed since the last time is read and written.

    Example: tessera store catalogue store.zarr
    """
    from tessera.catalogue import write_manifest, write_stac
    from tessera.store import open_store

    opened = open_store(store)
    with step("Manifest") as progress:
        manifest = write_manifest(opened, progress=progress)
    with step("STAC") as progress:
        stac = write_stac(opened, progress=progress)
    for line in manifest.left_out:
        print(line, file=sys.stderr)
    if as_json:
        print_json(
            {
                "manifest": str(manifest.path),
                "rows": manifest.rows,
                "read": manifest.read,
                "stac": str(stac.path),
                "items": stac.items,
                "changed": stac.changed,
                "left_out": list(manifest.left_out),
            }
        )
        return
    left = f", {len(manifest.left_out)} records left out" if manifest.left_out else ""
    print(f"{manifest.path}: rows {manifest.rows:,}, records read {manifest.read:,}{left}")
    print(f"{stac.path}: items {stac.items:,}, files changed {stac.changed:,}")
