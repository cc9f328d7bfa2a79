"""What Python computes of places, zones, windows and pixels, for the page's tests: web/tests/fixtures/geo/*.json.

Write them anew with `python tests/page/geo_fixtures.py`.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tessera.geo import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    Window,
    from_lonlat,
    parse_area,
    points_in_zones,
    to_lonlat,
)

FOLDER = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "geo"


def utm() -> dict[str, Any]:
    """Points of every zone both ways, places all over the lattice, and pixels of points."""
    rng = np.random.default_rng(18)
    lon = np.concatenate([rng.uniform(-180, 180, 300), np.arange(-180, 181, 6.0), [-179.9999999, 179.9999999]])
    lat = np.concatenate([rng.uniform(-80, 84, 300), rng.uniform(-80, 84, 61), [0.0, 83.999999]])
    forward = []
    for index, (a, b) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True)):
        zone = index % 60 + 1 if index % 3 == 0 else math.floor((a + 180) / 6) % 60 + 1
        turned = (a - (6 * zone - 183) + 180) % 360 - 180
        if abs(turned) > 40:  # no lattice reaches so far
            zone = math.floor((a + 180) / 6) % 60 + 1
        x, y = from_lonlat(a, b, zone)
        forward.append([a, b, zone, float(x), float(y)])
    inverse = []
    for zone in (1, 2, 30, 31, 60):
        x = np.concatenate([rng.uniform(WEST, EAST, 40), [WEST, EAST]]) * 10
        y = np.concatenate([rng.uniform(SOUTH, NORTH, 40), [SOUTH, NORTH]]) * 10
        for a, b in zip(x.tolist(), y.tolist(), strict=True):
            lon_lat = to_lonlat(a, b, zone)
            inverse.append([a, b, zone, float(lon_lat[0]), float(lon_lat[1])])
    places = np.column_stack([lon, lat])
    pixels: list[list[float]] = [[] for _ in places]
    for found in points_in_zones(places):
        for k, px, py in zip(*(column.tolist() for column in found[1:]), strict=True):
            pixels[k] = [*places[k].tolist(), found[0], NORTH - 1 - py, px - WEST]
    return {"forward": forward, "inverse": inverse, "pixels": pixels}


def _star(lon: float, lat: float, size: float, corners: int, seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.3, 1, corners) * size
    ring = np.column_stack([lon + radius * np.cos(turns) / np.cos(np.radians(lat)), lat + radius * np.sin(turns)])
    ring = np.round(ring, 7)
    return [*ring.tolist(), ring[0].tolist()]


def _areas() -> list[dict[str, Any]]:
    polygon = "polygons"
    return [
        {"kind": "box", "box": [5.237, 50.681, 5.257, 50.69]},
        {"kind": "box", "box": [5.99, 50.69, 6.013, 50.7]},
        {"kind": "box", "box": [-70.01, -33.005, -69.99, -33.0]},
        {"kind": "box", "box": [179.995, -17.003, -179.996, -17.0]},
        {"kind": "box", "box": [12.0, -0.004, 12.009, 0.003]},
        {"kind": "box", "box": [23.4, 80.001, 23.46, 80.006]},
        {"kind": polygon, "polygons": [[_star(5.25, 50.69, 0.012, 17, 1)]]},
        {"kind": polygon, "polygons": [[_star(5.25, 50.69, 0.012, 60, 2), _star(5.25, 50.69, 0.004, 9, 3)]]},
        {"kind": polygon, "polygons": [[_star(12.0, 47.0, 0.009, 21, 4)]]},
        {"kind": polygon, "polygons": [[_star(-66.0, -20.0, 0.012, 11, 5)], [_star(-66.005, -20.003, 0.012, 13, 6)]]},
        # a bow tie crosses itself
        {"kind": polygon, "polygons": [[[[5.2, 50.6], [5.22, 50.62], [5.22, 50.6], [5.2, 50.62], [5.2, 50.6]]]]},
        # over the date line, with a hole
        {
            "kind": polygon,
            "polygons": [
                [
                    [[179.99, -17.01], [-179.99, -17.012], [-179.989, -16.99], [179.992, -16.995], [179.99, -17.01]],
                    [[179.997, -17.002], [-179.996, -17.003], [-179.997, -16.998], [179.997, -17.002]],
                ]
            ],
        },
        # thin: narrower than a pixel in part
        {"kind": polygon, "polygons": [[[[5.2, 50.6], [5.24, 50.6001], [5.2, 50.60012], [5.2, 50.6]]]]},
    ]


def areas() -> list[dict[str, Any]]:
    """Areas with their windows and the pixels inside, packed row by row."""
    found = []
    for area in _areas():
        if area["kind"] == "box":
            parsed = parse_area(tuple(area["box"]))
        else:
            parsed = parse_area({"type": "MultiPolygon", "coordinates": area["polygons"]})
        zone = parsed.zones[0]
        found.append(
            {
                "area": area,
                "parts": [_part(part) for part in parsed.parts()],
                **({} if len(parsed.zones) == 1 else {"whole": _part(parsed.in_zone(zone))}),
            }
        )
    return found


def _part(part: Any) -> dict[str, Any]:
    window: Window = part.window
    mask = part.mask(window)
    return {
        "window": {
            "zone": window.zone,
            "row": NORTH - window.north,
            "col": window.west - WEST,
            "height": window.height,
            "width": window.width,
        },
        "inside": int(mask.sum()),
        "mask": base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode(),
    }


def files() -> dict[str, bytes]:
    """Name -> bytes of each fixture."""
    return {f"{name}.json": json.dumps(value).encode() for name, value in (("utm", utm()), ("areas", areas()))}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
