"""Lines of OpenStreetMap: which closed ways are areas, how wide a line is, lines as polygons in metres."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import from_lonlat, to_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LANE = 3.25
"""Metres of a lane."""
WIDTHS: dict[str, dict[str, float]] = {
    "highway": {
        "motorway": 11.0,
        "trunk": 10.0,
        "primary": 9.0,
        "secondary": 8.0,
        "tertiary": 7.0,
        "unclassified": 6.0,
        "residential": 6.0,
        "living_street": 5.0,
        "pedestrian": 5.0,
        "road": 6.0,
        "service": 4.0,
        "busway": 7.0,
        "raceway": 10.0,
        "track": 3.0,
        "cycleway": 2.5,
        "bridleway": 2.0,
        "footway": 2.0,
        "steps": 2.0,
        "path": 1.5,
        "motorway_link": 7.0,
        "trunk_link": 7.0,
        "primary_link": 6.0,
        "secondary_link": 6.0,
        "tertiary_link": 6.0,
    },
    "railway": {"rail": 4.0, "light_rail": 4.0, "subway": 4.0, "tram": 3.0, "narrow_gauge": 3.0, "disused": 4.0},
    "waterway": {"river": 20.0, "canal": 12.0, "stream": 3.0, "drain": 2.0, "ditch": 2.0},
    "aeroway": {"runway": 45.0, "taxiway": 20.0},
}
"""Metres of a line without a width of its own. For highways one carriageway, with its shoulders for motorways."""
_LINEAR: dict[str, frozenset[str]] = {
    "highway": frozenset(("services", "rest_area", "platform", "elevator")),
    "railway": frozenset(("station", "platform", "turntable", "roundhouse", "traverser", "yard")),
    "waterway": frozenset(("riverbank", "dock", "boatyard", "dam", "fuel")),
    "barrier": frozenset(),
    "power": frozenset(("plant", "substation", "generator", "transformer")),
    "route": frozenset(),
}
"""Key -> its values that are areas; a closed way with any other value is a line (a roundabout, a fence)."""
_LINES = {
    "natural": frozenset(("coastline", "cliff", "ridge", "arete", "tree_row", "valley")),
    "man_made": frozenset(("pipeline", "embankment", "cutline", "dyke")),
    "leisure": frozenset(("track", "slipway")),
    "aeroway": frozenset(("taxiway", "parking_position")),
}
"""Key -> its values that are lines although a closed way with the key is an area."""
_METRES = re.compile(r"(\d{1,4}(?:[.,]\d{1,4})?)\s*(m|metres?|meters?)?", re.IGNORECASE)
_FEET = re.compile(r"(\d{1,4}(?:\.\d{1,4})?)\s*(?:ft|feet|foot|')(?:\s*(\d{1,2})\s*(?:in|\"))?", re.IGNORECASE)
_LANES = re.compile(r"[1-9]\d?")
_MOST_LANES = 20
_STEPS = 4
"""Segments of a quarter circle at the ends and bends of a line."""


def is_area(tags: Mapping[str, str], matched: str) -> bool:
    """Whether a closed way is an area: as mappers use its tag, unless it has area=yes or area=no.

    Parameters
    ----------
    matched : the tag that made it one of a class, "key=value"
    """
    said = tags.get("area")
    if said in ("yes", "no"):
        return said == "yes"
    key, _, value = matched.partition("=")
    if key in _LINEAR:
        return value in _LINEAR[key]
    return value not in _LINES.get(key, ())


def parse_width(text: str) -> float | None:
    """Metres in a tag such as "5", "5.5 m", "16 ft" or 16'6"; None if it says none, or none from 0.1 to 1,000."""
    plain = text.strip()
    metres = _METRES.fullmatch(plain)
    feet = _FEET.fullmatch(plain)
    if metres:
        found = float(metres[1].replace(",", "."))
    elif feet:
        found = 0.3048 * (float(feet[1]) + int(feet[2] or 0) / 12)
    else:
        return None
    return found if 0.1 <= found <= 1000 else None


def width_of(tags: Mapping[str, str], matched: str, of_class: float | None, default: float | None) -> float | None:
    """Metres of a line: of its class, of its tags width and est_width, of its lanes, by default, or by the table."""
    if of_class is not None:
        return of_class
    for key in ("width", "est_width"):
        found = parse_width(tags.get(key, ""))
        if found is not None:
            return found
    lanes = tags.get("lanes", "").strip()
    if _LANES.fullmatch(lanes) and int(lanes) <= _MOST_LANES:
        return int(lanes) * LANE
    if default is not None:
        return default
    key, _, value = matched.partition("=")
    return WIDTHS.get(key, {}).get(value)


def is_under_ground(tags: Mapping[str, str]) -> bool:
    """Whether a line cannot be seen from above: in a tunnel or a culvert."""
    return tags.get("tunnel", "no") != "no" or tags.get("location") == "underground"


def buffered(lines: NDArray[np.object_], widths: NDArray[np.float64]) -> NDArray[np.object_]:
    """Lines as polygons, half their width to each side, in metres of the UTM zone of their middle.

    Parameters
    ----------
    lines : (N,) in degrees
    widths : (N,) metres

    Returns
    -------
    (N,) polygons in degrees
    """
    import shapely

    out = np.empty(len(lines), dtype=object)
    if not len(lines):
        return out
    west, _, east, _ = shapely.bounds(lines).reshape(-1, 4).T
    zones = zones_of((west + east) / 2)
    for zone in np.unique(zones).tolist():
        there = np.flatnonzero(zones == zone)
        metres = shapely.transform(lines[there], _projected(from_lonlat, zone))
        wide = shapely.buffer(metres, widths[there] / 2, quad_segs=_STEPS)
        out[there] = shapely.transform(wide, _projected(to_lonlat, zone))
    return out


def hectares(geometries: NDArray[np.object_]) -> NDArray[np.float64]:
    """(N,) hectares of geometries in degrees, by their mean latitude; good to 1 % for what is a few km large."""
    import shapely

    bounds = shapely.bounds(geometries).reshape(-1, 4)
    middle = np.radians((bounds[:, 1] + bounds[:, 3]) / 2)
    # radii of curvature of WGS 84 along the meridian and across it
    squared = 1 - 0.00669438 * np.sin(middle) ** 2
    along = 6378137.0 * (1 - 0.00669438) / squared**1.5
    across = 6378137.0 / np.sqrt(squared) * np.cos(middle)
    return np.asarray(shapely.area(geometries) * along * across * math.radians(1) ** 2 / 1e4, dtype=np.float64)


def _projected(convert: Any, zone: int) -> Any:
    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(convert(points[:, 0], points[:, 1], zone))

    return move
