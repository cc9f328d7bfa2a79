"""Burned area: what changed between two years, and which of it a fire did, from the embeddings of both side by side.

python examples/burned_area.py
"""

from __future__ import annotations

import numpy as np

import tessera
from place import YEARS, Place, read_map

COLOURS = {"burnt": "#c1272d", "not burnt": "#e8e4d8"}


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the F1 score of burnt pixels."""
    place = Place.from_arguments(__doc__, arguments)
    burnt = place.truth("burn") > 0.25

    # First what changed at all, without labels: burns, and fields that were sown anew.
    found = tessera.change(place.store, place.window, list(YEARS), place.folder / "change.tif", overwrite=True)
    print(found.report())
    moved = read_map(place.folder / "change.tif", band=2) == 1
    print(f"{moved[burnt].mean():.0%} of burnt pixels have changed, and {moved[~burnt].mean():.0%} of the others")

    # Labels: points within the scar and around it; fields that were sown anew have changed, too, and did not burn.
    rng = np.random.default_rng(0)
    count = 60 if place.quick else 150
    inside, outside = np.flatnonzero(burnt), np.flatnonzero(~burnt)
    pixels = np.concatenate([rng.choice(inside, count, replace=False), rng.choice(outside, 4 * count, replace=False)])
    rows, cols = np.divmod(pixels, place.side)
    labels = place.points(rows, cols, state=np.where(burnt[rows, cols], "burnt", "not burnt"))

    # Features are the vectors of both years.
    head = tessera.fit(place.store, labels, "state", years=list(YEARS), colours=COLOURS)
    print(head.report())
    head.save(place.folder / "burned_area.json")

    path = head.map(place.store, place.window, out=place.folder / "burned_area.tif")
    mapped = read_map(path) == head.values[head.classes.index("burnt")]
    legend = list(COLOURS.items())
    panels = [("map", (~mapped).astype(np.uint8)), ("truth", (~burnt).astype(np.uint8))]
    place.draw("tasks-burned-area", panels, legend)
    f1 = float(2 * (mapped & burnt).sum() / (mapped.sum() + burnt.sum()))
    print(f"F1 of burnt pixels {f1:.2f}; {mapped.sum() / 100:.0f} ha mapped, {burnt.sum() / 100:.0f} ha burnt")
    return f1


if __name__ == "__main__":
    main()
