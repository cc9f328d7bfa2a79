"""Colours of classes: what maps use for well-known names, else colours that stay apart, also for the colour-blind."""

from __future__ import annotations

import colorsys
import re
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_HEX = re.compile(r"#[0-9a-fA-F]{6}")

_CONVENTIONS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(words.split()), colour)
    for words, colour in (
        ("water river rivers lake lakes sea ocean pond reservoir", "#2f6fd0"),
        ("conifer conifers coniferous needleleaf spruce pine", "#08402f"),
        ("forest forests tree trees wood woods woodland", "#1c6b39"),
        ("orchard orchards vineyard vineyards", "#9a5fb0"),
        ("urban town towns city village built building buildings settlement artificial", "#c4625e"),
        ("road roads sealed asphalt", "#7d7d84"),
        ("bare soil sand rock", "#d9bfa2"),
        ("grass grassland meadow meadows pasture pastures", "#9fd46a"),
        ("shrub shrubs shrubland scrub heath", "#84803c"),
        ("wetland wetlands marsh bog mangrove", "#4fb3ad"),
        ("snow ice glacier", "#e6f2f8"),
        ("wheat cereal cereals", "#dfa32f"),
        ("barley rye oats", "#a8733a"),
        ("maize corn", "#f4e04d"),
        ("rapeseed rape canola sunflower", "#cfc400"),
        ("beet beets sugarbeet", "#a01f7f"),
        ("potato potatoes", "#7a4a24"),
        ("crop crops cropland arable field fields farmland", "#f0b65e"),
    )
)
_NEGATIONS = frozenset(("no", "non", "not", "other", "without"))

_PALETTE = (
    # Okabe and Ito 2008, without black; Paul Tol's "bright" and "muted" schemes (technical note SRON/EPS/TN/09-002)
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"),
    *("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499"),
)
_NEAR = 9.0
"""Least distance (CIELAB, normal and deuteranope sight) of two conventional colours before one of them gives way."""
_DEUTERANOPE = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""Linear RGB as a deuteranope sees it: Machado, Oliveira and Fernandes 2009, severity 1."""
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to CIE XYZ, white point D65: IEC 61966-2-1."""


def parse_colour(colour: object) -> str:
    """Check a colour of the form "#rrggbb" and return it in lower case.

    Raises
    ------
    InputError
        It has another form.
    """
    if not isinstance(colour, str) or _HEX.fullmatch(colour) is None:
        raise InputError(f"colour {colour!r}; expected the form '#1f7a3a'")
    return colour.lower()


def to_rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def choose_colours(classes: Sequence[str], given: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """A distinct colour for each class.

    First those given; then the convention for a name that holds a well-known word (water, forest, town, wheat, ...),
    unless it is too near to one taken; then, one after the other, the colour that is farthest from all taken, seen with
    normal and with deuteranope eyes. The same classes always get the same colours.

    Parameters
    ----------
    classes : names
    given : class -> "#rrggbb", for some or all of them

    Returns
    -------
    one "#rrggbb" a class

    Raises
    ------
    InputError
        A colour for a name that is no class, or of another form.
    """
    unknown = [name for name in given or {} if name not in classes]
    if unknown:
        raise InputError(f"a colour for {unknown[0]!r}, which is no class; the classes are {', '.join(classes)}")
    chosen = {name: parse_colour(colour) for name, colour in (given or {}).items()}
    for name in classes:
        colour = _convention(name)
        if name not in chosen and colour is not None:
            seen = _lab(colour)[None]
            if all(_gaps(seen, other)[0] >= _NEAR for other in chosen.values()):
                chosen[name] = colour
    pool = [*_PALETTE, *_wheel(2 * len(classes))]
    seen = np.stack([_lab(colour) for colour in pool])
    gaps = np.full(len(pool), 1e9)
    for colour in chosen.values():
        gaps = np.minimum(gaps, _gaps(seen, colour))
    for name in classes:
        if name not in chosen:
            chosen[name] = pool[int(gaps.argmax())]
            gaps = np.minimum(gaps, _gaps(seen, chosen[name]))
    return tuple(chosen[name] for name in classes)


def _convention(name: str) -> str | None:
    words = set(re.findall(r"[a-z]+", name.lower()))
    if words & _NEGATIONS:
        return None
    return next((colour for known, colour in _CONVENTIONS if words & known), None)


def _wheel(count: int) -> list[str]:
    """`count` colours around the wheel by the golden angle, in three steps of lightness."""
    found = []
    for index in range(count):
        shade = colorsys.hls_to_rgb((index * 0.618034) % 1.0, (0.35, 0.55, 0.75)[index % 3], 0.55)
        found.append("#" + "".join(f"{round(255 * value):02x}" for value in shade))
    return list(dict.fromkeys(found))


def _lab(colour: str) -> NDArray[np.float64]:
    """(2, 3): CIELAB as normal and as deuteranope eyes see it."""
    rgb = np.array(to_rgb(colour)) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear, np.clip(_DEUTERANOPE @ linear, 0, 1)])
    ratio = seen @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (ratio * 24389 / 27 + 16) / 116)
    return np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)


def _gaps(seen: NDArray[np.float64], colour: str) -> NDArray[np.float64]:
    """(P,): how far each of the colours `seen` (P, 2, 3) is from `colour`, the smaller of the two ways to see."""
    return np.asarray(np.linalg.norm(seen - _lab(colour), axis=2).min(axis=1))
