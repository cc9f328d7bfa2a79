"""How much accuracy a head of one year loses in another year, by how far vectors of stable places moved.

Three years of one simulated place, with other weather and dates of acquisition. A head learns from one year. It is
tested on stable pixels of other places, whose vectors move step by step to those of the other year. `docs/change.md`
shows the result.

    python benchmarks/drift.py --dir benchmarks/output/drift
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

import numpy as np

import tessera
from tessera.changes import measure_drift
from tessera.geo import Window
from tessera.learners import learn
from tessera.simulator import LandscapeOptions, read_truth

SIDE, BLOCK, LEARNT = 192, 24, 3000
WINDOW = Window(31, 65700, 562000, SIDE, SIDE)
DATES = {2021: (6, 4), 2022: (20, 10), 2023: (20, 10)}
"""Year -> dates of Sentinel-2, and of each orbit of Sentinel-1."""
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def embed(folder: Path) -> tessera.Store:
    """The store of three years; years that are there already stay."""
    encoder = tessera.load_encoder(device="cpu")
    path = folder / "store.zarr"
    store = tessera.open_store(path) if path.exists() else tessera.create_store(path, model=encoder, zones=(31,))
    for year, (s2, s1) in DATES.items():
        if year in store.years:
            continue
        options = LandscapeOptions(burns=(dt.date(2023, 7, 20),), year_seed=year)
        scenes = folder / f"scenes{year}"
        tessera.simulate(scenes, WINDOW, year, seed=7, s2_dates=s2, s1_dates=s1, options=options)
        cube = tessera.build_cube(WINDOW, year, source=scenes, out=folder / f"cube{year}.zarr")
        store.write(encoder.encode(cube), year)
    return store


def main() -> None:
    """Print one row a head, pair of years and step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder for scenes, cubes and the store")
    folder = parser.parse_args().dir
    folder.mkdir(parents=True, exist_ok=True)
    store = embed(folder)
    cover = {year: read_truth(folder / f"scenes{year}").reshape(-1) for year in DATES}
    burnt = {year: read_truth(folder / f"scenes{year}", "burn").reshape(-1) > 0 for year in DATES}
    values = {year: store.read_window(WINDOW, year).values().reshape(SIDE * SIDE, -1) for year in DATES}
    block = np.arange(SIDE) // BLOCK
    learns = (np.add.outer(block * (SIDE // BLOCK), block) % 2 == 0).reshape(-1)
    print("head    from  to    shift  accuracy  lost")
    for first in DATES:
        drawn = np.random.default_rng(0).choice(np.flatnonzero(learns), LEARNT, replace=False)
        classes, target = np.unique(cover[first][drawn], return_inverse=True)
        for head in ("linear", "knn"):
            model = learn(head, values[first][drawn], target.astype(np.int64), len(classes), 0)
            for second in DATES:
                if first == second:
                    continue
                stable = (cover[first] == cover[second]) & ~burnt[first] & ~burnt[second] & ~learns
                tested = np.flatnonzero(stable & np.isin(cover[first], classes))
                kind = np.searchsorted(classes, cover[first][tested])
                one, other = values[first][tested], values[second][tested]
                whole = 0.0
                for step in STEPS:
                    moved = ((1 - step) * one + step * other).astype(np.float32)
                    drift = measure_drift((first, second), one, moved, kind, tuple(map(str, classes)), "stable")
                    right = float((model.predict(moved) == kind).mean())
                    whole = whole or right
                    shift = 0.0 if drift is None else drift.shift
                    print(f"{head:7} {first}  {second}  {shift:.2f}   {right:.3f}     {100 * (whole - right):+.1f}")


if __name__ == "__main__":
    main()
