"""Options and arguments that several commands share."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from tessera.base import InputError, shown

_MOST_KM = 20_000.0
"""Half around the Earth."""
WHERE = "Where"
"""Panel of the help that lists the options for an area."""

StoreArgument = Annotated[str, typer.Argument(help="Store to read: a folder, a URL or the name of a published store.")]
FolderArgument = Annotated[str, typer.Argument(help="Folder of the store on this machine.")]
BboxOption = Annotated[
    str | None,
    typer.Option(
        "--bbox",
        metavar="W,S,E,N",
        help="Bounding box in degrees: west,south,east,north, such as 5.237,50.681,5.270,50.702.",
        rich_help_panel=WHERE,
    ),
]
AoiOption = Annotated[
    str | None,
    typer.Option(
        "--aoi",
        metavar="FILE or NAME",
        help="Area of interest: a vector file of polygons, a tile (grid_5.05_50.65) or a cell (utm31_e64_n548).",
        rich_help_panel=WHERE,
    ),
]
TileOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Tile (grid_5.05_50.65) or cell (utm31_e64_n548).", rich_help_panel=WHERE),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace files that this command did not write. Input files are never replaced."),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="classification or regression. Default: regression if a number of the column has a fraction; whole "
        "numbers (1, also 1.0) and text are classes, in every format.",
    ),
]


def _km_or_auto(param: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse what is neither a distance nor "auto" before any file is opened."""
    if value is None or value == "auto":
        return value
    with suppress(ValueError):
        if 0 <= float(value) <= _MOST_KM:
            return value
    raise InputError(
        f"{param.opts[0]} {shown(value, 40)[1:-1]}; expected a number from 0 to {_MOST_KM:,.0f} km, or auto"
    )


BlockOption = Annotated[
    str | None,
    typer.Option(
        metavar="KM",
        callback=_km_or_auto,
        help="Side of a spatial block, km, or auto: 10, or less if the labels lie in fewer than 60 blocks.",
    ),
]
BufferOption = Annotated[
    str | None,
    typer.Option(
        metavar="KM",
        callback=_km_or_auto,
        help="Labels nearer than this to a tested one are not learnt from, km; auto estimates it, 0 is none.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print how much would be read and written, and stop.")]


def one_of(**given: object) -> tuple[str, Any]:
    """The name and value of the one option that was given.

    Raises
    ------
    InputError
        None was given, or several were.
    """
    found = [(name, value) for name, value in given.items() if value is not None]
    options = ", ".join(f"--{name}" for name in given)
    if len(found) != 1:
        received = "none" if not found else ", ".join(f"--{name}" for name, _ in found)
        raise InputError(f"{received} given; expected exactly one of {options}")
    return found[0]


def area_of(bbox: str | None, aoi: str | None) -> str | None:
    """The area that was given, None where neither option was.

    Raises
    ------
    InputError
        Both were given.
    """
    return None if bbox is None and aoi is None else one_of(bbox=bbox, aoi=aoi)[1]
