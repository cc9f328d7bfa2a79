"""tessera store coverage and catalogue: where a store has data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import (
    AoiOption,
    BboxOption,
    FolderArgument,
    JsonOption,
    OverwriteOption,
    StoreArgument,
    area_of,
    print_json,
    print_table,
    step,
)

if TYPE_CHECKING:
    from tessera.catalogue import Coverage


def coverage(
    store: StoreArgument,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    year: Annotated[int | None, typer.Option(help="Year. Default: all.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Draw a picture too: a .png file.")] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count the pixels that have an embedding, year by year, in an area or the whole store.

    Example: tessera store coverage store.zarr --bbox 5.0,50.6,5.2,50.7 -o coverage.png
    """
    from tessera.base import check_picture
    from tessera.catalogue import coverage as count
    from tessera.catalogue import draw_coverage
    from tessera.store import open_store

    if out is not None:
        check_picture(out, "coverage", inputs=(store, aoi), overwrite=overwrite)
    area = area_of(bbox, aoi)
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
        print(f"{found.store}: no years yet")
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
    how = {"pixels": "pixel by pixel", "records": "from the commit records", "manifest": "from the manifest"}
    about = "" if found.exact else "; an estimate for cells that the area cuts, and as old as the manifest"
    print(f"pixels {what}{'' if found.area is None else ' ' + found.area}, counted {how[found.how]}{about}")
    print(f"km2: pixels with an embedding; of km2: all pixels {what}; share: the first of the second")


def _area(km2: float) -> str:
    """Square kilometres; a small area gets three digits, not 0.0."""
    return f"{km2:,.1f}" if km2 >= 10 or km2 == 0 else f"{km2:.3g}"


def catalogue(
    store: FolderArgument,
    as_json: JsonOption = False,
) -> None:
    """Write a store's manifest (GeoParquet) and STAC catalogue into its folder.

    Both are made from the commit records. Only what changed since the last time is read and written.

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
    left = f", {len(manifest.left_out):,} damaged records left out" if manifest.left_out else ""
    print(f"{manifest.path}: {_count(manifest.rows, 'row')}, {_count(manifest.read, 'record')} read{left}")
    print(f"{stac.path}: {_count(stac.items, 'item')}, {_count(stac.changed, 'file')} changed")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
