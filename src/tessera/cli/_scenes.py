"""Options that commands which read scenes share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tessera.geo import Period

SourceOption = Annotated[
    str,
    typer.Option(
        help="mpc, earth-search, opera, several with commas (the preferred one first), a static STAC catalogue, "
        "stac:URL of an API, or a table of scenes (.parquet)."
    ),
]
YearOption = Annotated[int | None, typer.Option(help="Calendar year, by solar day.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First day, with --to, in place of --year.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day.")]
PeriodOption = Annotated[
    str | None,
    typer.Option(help="In place of --year: 2020-11/2021-10 (months), or days as 2020-11-01/2021-10-31."),
]
ReaderOption = Annotated[str, typer.Option(help="ranges: the blocks that the area touches; odc: odc-stac and GDAL.")]
MaxLostOption = Annotated[int, typer.Option(help="Most scenes that may be lost, because no copy of them can be read.")]
PublishedOption = Annotated[
    bool,
    typer.Option(
        "--published", help="Use the rules of the published preprocessing, with which its weights were trained."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a rule, such as max_cloud=80 or coarse=nearest. May be given several times."),
]


def period_of(year: int | None, first: str | None, last: str | None) -> Period:
    """The period that was asked for.

    Raises
    ------
    InputError
        Neither or both of --year and --from --to were given, or only one day.
    """
    from tessera.base import InputError
    from tessera.geo import parse_period

    if (first is None) != (last is None):
        raise InputError("only one of --from and --to given; expected both")
    if (year is None) == (first is None):
        raise InputError(f"{'neither' if year is None else 'both'} of --year and --from --to given; expected one")
    return parse_period(year if first is None else (first, last))


def stated_period(year: int | None, period: str | None, first: str | None, last: str | None) -> Period:
    """The same of a command that has --period too.

    Raises
    ------
    InputError
        As `period_of`, or --period beside another.
    """
    from tessera.base import InputError
    from tessera.geo import parse_period

    if period is None:
        return period_of(year, first, last)
    if (year, first, last) != (None, None, None):
        raise InputError("--period beside --year, --from or --to given; expected one of them")
    return parse_period(period)


def recipe_of(published: bool, settings: list[str] | None) -> Any:
    """The rules that were asked for.

    Raises
    ------
    InputError
        A setting that there is not, or a value that it does not take.
    """
    from dataclasses import fields, replace

    from tessera.base import InputError
    from tessera.scenes import Recipe

    recipe = Recipe.published() if published else Recipe()
    known = {field.name: getattr(recipe, field.name) for field in fields(Recipe)}
    changes: dict[str, Any] = {}
    for text in settings or []:
        name, sign, value = text.partition("=")
        if not sign or name not in known:
            raise InputError(f"--set {text}; expected name=value with one of {', '.join(known)}")
        changes[name] = _read(name, value, known[name])
    return replace(recipe, **changes)


def _read(name: str, value: str, like: Any) -> Any:
    from tessera.base import InputError

    if isinstance(like, bool):
        if value not in ("true", "false"):
            raise InputError(f"{name} {value!r}; expected true or false")
        return value == "true"
    if isinstance(like, float):
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{name} {value!r}; expected a number") from None
    if isinstance(like, tuple):
        return tuple(part for part in value.split(",") if part)
    return value


def named_parts(out: Path, zones: list[int]) -> list[Path]:
    """One path for each zone: the one given, or with the zone in its name where there are several."""
    if len(zones) == 1:
        return [out]
    return [out.with_name(f"{out.stem}_utm{zone:02d}{out.suffix}") for zone in zones]
