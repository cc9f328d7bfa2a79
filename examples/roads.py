"""Roads with a U-Net, which looks at the pixels around each: squares in which all roads are digitised.

python examples/roads.py
"""

from __future__ import annotations

import geopandas
import numpy as np
import pandas

import tessera
from place import Place, read_map

COLOURS = {"other": "#f2efe6", "road": "#202020"}


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the F1 score of road pixels outside the labelled squares."""
    place = Place.from_arguments(__doc__, arguments)

    # Labels: all roads of every second square of 320 m, as on a chessboard. Within half its width of a line is road;
    # 10 m away is none.
    lines = geopandas.read_file(place.scenes(2023) / "roads.geojson").to_crs(place.window.grid.crs)
    lines = lines[lines["width"] > 8]
    squares = place.squares(32)
    squares = squares[squares["dark"]]
    road = squares.overlay(lines.set_geometry(lines.buffer(lines["width"] / 2))[["geometry"]], how="intersection")
    other = squares.overlay(lines.set_geometry(lines.buffer(lines["width"] / 2 + 10))[["geometry"]], how="difference")
    both = pandas.concat([road.assign(what="road"), other.assign(what="other")])
    labels = tessera.read_labels(both, "what", group="square", per_polygon=1024, edges="keep")

    # Classes weigh as they occur: roads are rare, and a map in which they are too wide helps nobody.
    settings = {"width": 4, "epochs": 4, "rate": 0.02} if place.quick else {"width": 16, "epochs": 15}
    head = tessera.fit(
        place.store, labels, "what", head="unet", year=2023, weights="occur", settings=settings, colours=COLOURS
    )
    print(head.report())
    head.save(place.folder / "roads.json")

    path = head.map(place.store, place.window, out=place.folder / "roads.tif")
    mapped = read_map(path) == head.values[head.classes.index("road")]
    truth = place.truth("road") == 1
    panels = [("map", mapped.astype(np.uint8)), ("truth", truth.astype(np.uint8))]
    place.draw("tasks-roads", panels, list(COLOURS.items()))
    tiles = np.arange(place.side) // 32
    unseen = (tiles[:, None] + tiles) % 2 == 1
    f1 = float(2 * (mapped & truth & unseen).sum() / ((mapped & unseen).sum() + (truth & unseen).sum()))
    print(f"F1 of road pixels in squares without labels: {f1:.2f}")
    return f1


if __name__ == "__main__":
    main()
