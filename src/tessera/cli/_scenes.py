"""Options that commands which read scenes share."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import TELL_EVERY, Pace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tessera.base import Progress
    from tessera.geo import Area, Period
    from tessera.scenes import Scene, SceneTable

LEAST_SEEN = 0.01
"""Share of an area that may be without scenes before a line says so."""
_CORNERS, _WIDE = 3, 180.0

SourceOption = Annotated[
    str,
    typer.Option(
        help="mpc, earth-search, opera, several with commas (the preferred one first), a static STAC catalogue, "
        "stac:URL of an API, or a table of scenes (.parquet)."
    ),
]
YearOption = Annotated[int | None, typer.Option(help="Calendar year, by the sun's day.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First day, with --to, in place of --year.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day.")]
PeriodOption = Annotated[
    str | None,
    typer.Option(help="In place of --year: 2020-11/2021-10 (months), or days as 2020-11-01/2021-10-31."),
]
ReaderOption = Annotated[str, typer.Option(help="ranges: the blocks that the area touches; odc: odc-stac and GDAL.")]
MaxLostOption = Annotated[int, typer.Option(help="Scenes that may be lost because no copy of them can be read.")]
PublishedOption = Annotated[
    bool, typer.Option("--published", help="The rules of the published preprocessing, as its weights saw them.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A rule, such as max_cloud=80 or coarse=nearest; several times.")
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


def area_of(bbox: str | None, value: str) -> Area:
    """The area that was asked for.

    Parameters
    ----------
    bbox : the option, where it was given
    value : what was given, as the bbox or in another way

    Raises
    ------
    InputError
        It is none; of a bbox with latitudes first the line says so.
    """
    from tessera.base import InputError
    from tessera.geo import parse_area

    try:
        return parse_area(value)
    except InputError as error:
        swapped = None if bbox is None else _swapped(bbox)
        try:
            parse_area(swapped or "")
        except InputError:
            raise error from None
        raise InputError(f"{error}; latitude seems to come first: {swapped}") from None


def hint_swapped(bbox: str | None, said: str) -> str:
    """What to add to a line of a search without a scene, whose catalogue covers the bbox with latitudes first."""
    covered = re.search(r" covers (-?[\d.]+),(-?[\d.]+),(-?[\d.]+),(-?[\d.]+) from ", said)
    swapped = None if bbox is None else _swapped(bbox)
    if covered is None or swapped is None:
        return ""
    west, south, east, north = map(float, covered.groups())
    left, lower, right, upper = map(float, swapped.split(","))
    inside = left <= east and right >= west and lower <= north and upper >= south
    return f"; latitude seems to come first in the bbox: {swapped}" if inside else ""


def _swapped(bbox: str) -> str | None:
    parts = bbox.replace(",", " ").split()
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return None
    return ",".join((parts[1], parts[0], parts[3], parts[2])) if len(values) == 4 else None


def asked_of(source: str) -> str:
    """Digest of what a source names, as two catalogues may have one id.

    Providers count by name, APIs and catalogues by address or resolved path, a table of scenes by its bytes.

    Raises
    ------
    InputError
        There is no such source.
    """
    import hashlib
    import json

    from tessera.base import InputError, open_regular, raise_if_machine, sha256_hex
    from tessera.scenes import parse_source

    if source.endswith(".parquet"):
        try:
            with open_regular(Path(source), what="table of scenes") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise_if_machine(error, source)
            raise InputError(f"table of scenes {source} cannot be read: {error.strerror}") from None
    asked = []
    for one in parse_source(source):
        text = str(getattr(one, "asked", one.name))
        asked.append(text if "://" in text else _entry(Path(text)))
    return sha256_hex(json.dumps(asked).encode())


def _entry(path: Path) -> str:
    """The first document of a catalogue on this machine; a provider's name as it is."""
    entries = [path / "catalog.json", path / "collection.json", path]
    return next((str(entry.resolve()) for entry in entries if entry.is_file()), str(path))


def scenes_of(table: SceneTable, area: Area, period: Period) -> list[Scene]:
    """The scenes of a table in a period whose outline's box meets an area; over the date line, those that lie near."""
    import shapely

    near = {scene.key: scene for part in area.parts() for scene in table.near(part.window)}
    found = [scene for scene in near.values() if scene.moment.date() in period]
    corners = [([x for x, _ in scene.footprint], [y for _, y in scene.footprint]) for scene in found]
    boxes = [shapely.box(min(x), min(y), max(x), max(y)) for x, y in corners]
    meets = shapely.intersects(boxes, area.geometry)
    return [scene for scene, (x, _), meet in zip(found, corners, meets, strict=True) if meet or max(x) - min(x) > _WIDE]


def in_words(scenes: Sequence[Scene]) -> str:
    """How many scenes, by sensor."""
    optical = sum(scene.optical for scene in scenes)
    return f"{optical} Sentinel-2 and {len(scenes) - optical} Sentinel-1 scenes"


def uncovered_line(scenes: Sequence[Scene], area: Area) -> str:
    """A line where outlines of scenes leave a part of an area out, "" where they do not, or over the date line."""
    import shapely

    wanted = [scene for scene in scenes if scene.optical] or scenes
    outlines = {scene.footprint for scene in wanted if len(scene.footprint) >= _CORNERS}
    west, _, east, _ = area.bounds
    wraps = any(max(x for x, _ in ring) - min(x for x, _ in ring) > _WIDE for ring in outlines)
    if len(outlines) != len({scene.footprint for scene in wanted}) or not outlines or wraps or east - west > _WIDE:
        return ""
    together = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in outlines])
    share = shapely.intersection(area.geometry, together).area / area.geometry.area
    if not 0.0 < share < 1.0 - LEAST_SEEN:
        return ""
    return f"the scenes cover {share:.0%} of the area; the rest will have no data"


def left_out_line(left_out: Mapping[str, int]) -> str:
    """What a search left out, "" where that is nothing."""
    total = sum(left_out.values())
    if not total:
        return ""
    reason = max(left_out, key=lambda name: (left_out[name], name))
    most = f", {left_out[reason]} of them" if left_out[reason] != total else ""
    return f"{total} item{'s' * (total != 1)} left out by the search{most}: {reason}"


def tell_line(line: str) -> None:
    """Print a line to standard error, if there is one."""
    if line:
        print(line, file=sys.stderr)


def now_and_then(progress: Progress, title: str, unit: str) -> Progress:
    """The same progress; where standard error is no terminal, also a line every half a minute.

    Parameters
    ----------
    unit : of what is counted, such as "px" or "days"
    """
    if sys.stderr.isatty():
        return progress
    last, pace = time.monotonic(), Pace(unit)

    def count(done: int, total: int) -> None:
        nonlocal last
        progress(done, total)
        pace.count(done, total)
        if time.monotonic() - last >= TELL_EVERY:
            last = time.monotonic()
            print(f"{title}: {pace.line()}", file=sys.stderr, flush=True)

    return count
