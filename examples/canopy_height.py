"""Canopy height in metres from points with a height, such as footprints of a lidar in space.

python examples/canopy_height.py
"""

from __future__ import annotations

import numpy as np

import tessera
from place import Place, read_map


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the root mean square error over all trees, metres."""
    place = Place.from_arguments(__doc__, arguments)
    height = place.truth("height")

    # Labels: heights at points in woods and some outside, where the height is 0.
    rng = np.random.default_rng(0)
    count = 150 if place.quick else 800
    trees, others = np.flatnonzero(height > 0), np.flatnonzero(height == 0)
    pixels = np.concatenate([rng.choice(trees, count, replace=False), rng.choice(others, count // 3, replace=False)])
    rows, cols = np.divmod(pixels, place.side)
    labels = place.points(rows, cols, height=height[rows, cols].astype(float))

    # Numbers with fractions are regressed; the report tells error and bias in metres.
    head = tessera.fit(place.store, labels, "height", head="mlp", year=2023, kind="regression")
    print(head.report())
    head.save(place.folder / "canopy_height.json")

    path = head.map(place.store, place.window, out=place.folder / "canopy_height.tif")
    mapped = np.clip(read_map(path), 0, None)
    place.draw("tasks-canopy-height", [("map", mapped), ("truth", height)], "m")
    error = float(np.sqrt(np.mean((mapped - height)[height > 0] ** 2)))
    print(f"root mean square error over all trees: {error:.1f} m; mean height {height[height > 0].mean():.1f} m")
    return error


if __name__ == "__main__":
    main()
