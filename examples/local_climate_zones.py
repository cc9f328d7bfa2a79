"""Local climate zones: labelled squares of 100 m, a map of pixels, and the zone of most pixels of each square.

python examples/local_climate_zones.py
"""

from __future__ import annotations

import geopandas
import numpy as np

import tessera
from place import Place, read_map
from tessera.simulator import ZONES

COLOURS = ("#d10000", "#ff4c00", "#ff9955", "#ffcc99", "#bcbcbc", "#ffe6cc", "#006a18", "#b9db79", "#fbf7ae", "#6a6aff")
SIDE = 10
"""Pixels of a side of a square of 100 m."""


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the share of squares that are mapped as they are."""
    place = Place.from_arguments(__doc__, arguments)

    # Labels: squares of 100 m that are mostly of one zone. Mixed squares teach nothing clear.
    squares = geopandas.read_file(place.scenes(2023) / "zones.geojson").to_crs(place.window.grid.crs)
    clear = squares[squares["share"] >= 0.7].sample(frac=1, random_state=0)
    labels = clear.groupby("zone").head(10 if place.quick else 40)

    # Pixels of a square stay together in the test.
    colours = dict(zip(ZONES, COLOURS, strict=True))
    known = {name: colours[name] for name in labels["zone"].unique()}
    head = tessera.fit(place.store, labels, "zone", head="linear", year=2023, colours=known)
    print(head.report())
    head.save(place.folder / "local_climate_zones.json")

    # A map of pixels, then the zone that most pixels of each whole square have.
    path = head.map(place.store, place.window, out=place.folder / "local_climate_zones.tif")
    zone = np.full(256, 255, np.uint8)
    zone[list(head.values)] = [ZONES.index(name) for name in head.classes]
    truth = place.truth("zone")
    top, left = (int(np.argmax((truth != 255).any(axis=axis))) for axis in (1, 0))
    high, wide = ((place.side - start) // SIDE for start in (top, left))
    inside = slice(top, top + high * SIDE), slice(left, left + wide * SIDE)
    blocks = zone[read_map(path)][inside].reshape(high, SIDE, wide, SIDE).swapaxes(1, 2).reshape(high, wide, -1)
    counts = (blocks[..., None] == np.arange(len(ZONES))).sum(axis=2)
    mapped = counts.argmax(axis=-1).astype(np.uint8)
    shown = np.full_like(truth, 255)
    shown[inside] = mapped.repeat(SIDE, axis=0).repeat(SIDE, axis=1)
    place.draw("tasks-local-climate-zones", [("map, 100 m", shown), ("truth, 100 m", truth)], list(colours.items()))
    right = float((shown == truth)[inside].mean())
    print(f"{right:.1%} of the squares are mapped as they are")
    return right


if __name__ == "__main__":
    main()
