"""Biomass in tonnes a hectare from forest plots, with an interval for each pixel.

python examples/biomass.py
"""

from __future__ import annotations

import numpy as np

import tessera
from place import Place, read_map


def main(arguments: list[str] | None = None) -> float:
    """Run the task; returns the share of pixels whose biomass lies within its interval."""
    place = Place.from_arguments(__doc__, arguments)
    biomass = place.truth("biomass")

    # Labels: plots of 30 m in woods, each with the mean of its nine pixels.
    rng = np.random.default_rng(0)
    woods = np.flatnonzero(np.pad((biomass > 0)[1:-1, 1:-1], 1))
    rows, cols = np.divmod(rng.choice(woods, 120 if place.quick else 500, replace=False), place.side)
    means = [biomass[row - 1 : row + 2, col - 1 : col + 2].mean() for row, col in zip(rows, cols, strict=True)]
    labels = place.points(rows, cols, biomass=np.asarray(means, dtype=float))

    head = tessera.fit(place.store, labels, "biomass", head="mlp", year=2023, kind="regression")
    print(head.report())
    head.save(place.folder / "biomass.json")

    # Intervals hold nine pixels in ten, as the folds of the test showed.
    path = head.map(place.store, place.window, out=place.folder / "biomass.tif", uncertainty=True)
    mapped = np.clip(read_map(path), 0, None)
    low, high = head.trust.interval(read_map(path))
    place.draw("tasks-biomass", [("map, woods", np.where(biomass > 0, mapped, 0)), ("truth", biomass)], "t/ha")
    within = float(((biomass >= low) & (biomass <= high))[biomass > 0].mean())
    print(f"{within:.0%} of the pixels of woods lie within their interval")
    return within


if __name__ == "__main__":
    main()
