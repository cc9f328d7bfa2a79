"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any

import typer

from tessera.base import InputError, shown

_MOST_KM = 20_000.0
"""Half around the Earth."""
WHERE = "Where"
"""Panel of the help that lists the options for an area."""
READ = "What is read"
"""Panel of the help that lists how labels are read."""
LEARN = "What learns"
"""Panel of the help that lists the options for a learner."""

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
GroupOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column that names the site, field or cluster, which is never divided between training and test.",
        rich_help_panel=READ,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column that names the region of each feature.", rich_help_panel=READ),
]
YearColumnOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column with the year for which each feature is true, a number or a date; without --year each learns from "
        "the embeddings of its own year.",
        rich_help_panel=READ,
    ),
]
BalanceOption = Annotated[
    str,
    typer.Option(help="Classes weigh the same (even), or as labelled (occur).", rich_help_panel=LEARN),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Setting of the learner; again for more.", rich_help_panel=LEARN),
]
TuneOption = Annotated[
    bool, typer.Option("--tune", help="Choose settings within the training labels.", rich_help_panel=LEARN)
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


def years_of(given: str) -> list[int]:
    """Several years, such as "2021,2022".

    Raises
    ------
    InputError
        Something else.
    """
    parts = [part.strip() for part in given.split(",")]
    if not all(re.fullmatch(r"[0-9]{4}", part) for part in parts):
        raise InputError(f"--years {shown(given)}; expected years with commas, such as 2021,2022")
    return [int(part) for part in parts]


def settings_of(given: list[str] | None) -> dict[str, Any]:
    """Settings such as "trees=300": whole numbers, numbers, true and false, else text.

    Raises
    ------
    InputError
        One is no name and value.
    """
    out: dict[str, Any] = {}
    for one in given or ():
        name, equals, text = one.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise InputError(f"--set {shown(one)}; expected NAME=VALUE, such as trees=300")
        out[name.strip()] = _value(text.strip())
    return out


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
