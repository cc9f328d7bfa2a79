"""Land cover from points that were drawn at random, with the area of each class in hectares.

python examples/land_cover.py
"""

from __future__ import annotations

import numpy as np

import tessera
from place import Place, read_map
from tessera.simulator import CLASSES, COLOURS


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the share of pixels that the map has right."""
    place = Place.from_arguments(__doc__, arguments)
    truth = place.truth("cover")

    # Labels: points drawn at random, so that areas of classes can be estimated from them.
    rng = np.random.default_rng(0)
    pixels = rng.choice(truth.size, 200 if place.quick else 600, replace=False)
    rows, cols = np.divmod(pixels, place.side)
    labels = place.points(rows, cols, cover=[CLASSES[code] for code in truth[rows, cols]])

    # A head, tested on blocks of land that it did not learn from.
    colours = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in zip(CLASSES, COLOURS, strict=True)}
    known = {name: colours[name] for name in labels["cover"].unique()}
    head = tessera.fit(place.store, labels, "cover", year=2023, sample="random", colours=known)
    print(head.report())
    head.save(place.folder / "land_cover.json")

    # The map, and beside it what only a simulation has: the truth of every pixel.
    path = head.map(place.store, place.window, out=place.folder / "land_cover.tif")
    found = np.full(256, 255, np.uint8)
    found[list(head.values)] = [CLASSES.index(name) for name in head.classes]
    mapped = found[read_map(path)]
    place.draw("tasks-land-cover", [("map", mapped), ("truth", truth)], list(colours.items()))
    right = float((mapped == truth).mean())
    print(f"{right:.1%} of all pixels are mapped as they are")
    return right


if __name__ == "__main__":
    main()
