"""tessera labels osm: labels made of OpenStreetMap or Overture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import AoiOption, BboxOption, JsonOption, OverwriteOption, one_of, print_json, print_table, step


def labels_of_osm(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="OpenStreetMap extract (.osm.pbf); or files, folders or URLs of Overture's GeoParquet.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Labels to write: .parquet (GeoParquet), .gpkg, .fgb or .geojson.")
    ],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    tags: Annotated[
        str | None,
        typer.Option(
            metavar="TAGS",
            help="Classes and their tags, such as 'forest:landuse=forest,natural=wood;road:highway=*': `;` between "
            "classes, `,` between tags of one, `*` for any value.",
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="TOML or JSON file of classes, tags and widths, in place of --tags.")
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="Width of lines without tags width or lanes. Default: by kind of road, railway or waterway.",
        ),
    ] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Cut features at the area's border.")] = False,
    points: Annotated[bool, typer.Option("--points/--no-points", help="Keep nodes as points.")] = True,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make labels of OpenStreetMap or Overture: polygons whole with their holes, lines as wide as they are.

    The output has a column `class` for `tessera fit`. Whoever publishes it, or a map made of it, names OpenStreetMap's
    contributors; the file says how.

    Example: tessera labels osm region.osm.pbf --bbox 5.1,50.6,5.4,50.8 --tags "forest:landuse=forest" -o forest.parquet
    """
    from tessera.labels import check_osm_labels, osm_labels

    area = one_of(bbox=bbox, aoi=aoi)[1]
    check_osm_labels(out, inputs=(*sources, classes, aoi), overwrite=overwrite)
    with step("Reading") as progress:
        made = osm_labels(
            sources, area, tags, classes=classes, width=width, clip=clip, points=points, progress=progress
        )
    made.save(out, overwrite=overwrite)
    if as_json:
        print_json({**made.summary(), "out": str(out)})
        return
    hectares = made.hectares()
    rows = [(name, f"{count:,}", f"{hectares[name]:,.1f}") for name, count in made.counts.items()]
    print_table([("class", "features", "hectares"), *rows])
    for overlap in made.overlaps:
        one, other = overlap.classes
        print(f"note: {one} and {other} overlap on {overlap.hectares:,.2f} ha, in {overlap.pairs:,} pairs of features")
    for note in made.notes:
        print(f"note: {note}")
    print(f"licence: {made.licence}")
    print(f"saved: {out}; tessera fit STORE {out} --column class learns from it")
