"""The land-cover classes of the simulated truth: codes, names, colours."""

from __future__ import annotations

import csv
from pathlib import Path

WHEAT, BARLEY, RAPESEED, MAIZE, BEET, GRASS, DECIDUOUS, CONIFER, WATER, BUILT, BARE = range(11)

with Path(__file__).with_name("classes.csv").open(encoding="utf-8", newline="") as _file:
    _ROWS = list(csv.DictReader(_file))
CLASSES = tuple(row["name"] for row in _ROWS)
"""Class names; the index is the code in the truth map."""

COLOURS = tuple((int(row["red"]), int(row["green"]), int(row["blue"])) for row in _ROWS)
"""Red, green and blue of each class, 0 to 255."""

ARABLE = (WHEAT, BARLEY, RAPESEED, MAIZE, BEET)
WINTER_CROPS = (WHEAT, BARLEY, RAPESEED)
