"""The land-cover classes of the simulated truth: codes, names, colours."""

from __future__ import annotations

WHEAT, BARLEY, RAPESEED, MAIZE, BEET, GRASS, DECIDUOUS, CONIFER, WATER, BUILT, BARE = range(11)

CLASSES = (
    "winter wheat",
    "winter barley",
    "rapeseed",
    "maize",
    "sugar beet",
    "grassland",
    "deciduous forest",
    "conifer forest",
    "water",
    "built-up",
    "bare soil",
)
"""Class names; the index is the code in the truth map."""

COLOURS = (
    (230, 196, 84),
    (196, 142, 62),
    (250, 240, 60),
    (244, 134, 36),
    (190, 74, 140),
    (150, 212, 110),
    (56, 146, 60),
    (14, 84, 62),
    (48, 118, 200),
    (206, 60, 54),
    (164, 142, 122),
)
"""Red, green and blue of each class, 0 to 255."""

ARABLE = (WHEAT, BARLEY, RAPESEED, MAIZE, BEET)
WINTER_CROPS = (WHEAT, BARLEY, RAPESEED)
