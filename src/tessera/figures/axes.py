"""What maps share around their edges: a scale bar, and degrees along an axis."""

from __future__ import annotations

import math
from typing import Any

from tessera.base import require


def draw_scale_bar(
    axes: Any, bounds: tuple[float, float, float, float], *, kilometre: float = 1.0, size: float = 10
) -> None:
    """Draw a bar of a round length, at most a third of the width, and set the limits of the axes.

    Parameters
    ----------
    axes : of a map
    bounds : (left, bottom, right, top), units of the axes
    kilometre : its length in these units
    size : of the letters, points; the bar's lines follow it
    """
    effects = require("matplotlib.patheffects", extra="heads", purpose="a picture")
    left, bottom, right, top = bounds
    third = (right - left) / 3 / kilometre
    power = 10.0 ** math.floor(math.log10(third))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= third * (1 + 1e-9))
    x, y = left + 0.04 * (right - left), bottom + 0.04 * (top - bottom)
    axes.plot(
        [x, x + length * kilometre],
        [y, y],
        color="black",
        linewidth=0.3 * size,
        solid_capstyle="butt",
        path_effects=[effects.withStroke(linewidth=0.6 * size, foreground="white")],
    )
    axes.annotate(
        f"{length:g} km" if length >= 1 else f"{length * 1000:g} m",
        (x + length * kilometre / 2, y),
        xytext=(0, 0.5 * size),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=size,
        path_effects=[effects.withStroke(linewidth=0.4 * size, foreground="white")],
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def degrees(value: float, letters: str, digits: int | None = None) -> str:
    """A longitude ("EW") or latitude ("NS") for an axis, such as "5.2° E"; beyond 180 it wraps around.

    It has so many digits after the point, or those that it needs, at most four.
    """
    if letters == "EW":
        value = (value + 180) % 360 - 180 if abs(value) > 180 else value
    text = f"{round(abs(value), 4):g}" if digits is None else f"{abs(value):.{digits}f}"
    return f"{text}°" if not float(text) else f"{text}°\u2009{letters[int(value < 0)]}"


def draw_north_arrow(axes: Any, clockwise: float, size: float = 10) -> None:
    """Draw an arrow to true north in the upper right corner of a map whose top is grid north.

    Parameters
    ----------
    axes : of a map, with limits set
    clockwise : degrees from the top of the map to true north
    size : of the letter N, points; the arrow follows it
    """
    effects = require("matplotlib.patheffects", extra="heads", purpose="a picture")
    transforms = require("matplotlib.transforms", extra="heads", purpose="a picture")
    x, y = math.sin(math.radians(clockwise)), math.cos(math.radians(clockwise))
    # tip, right, notch, left of an arrow to the top, turned
    outline = [(0.0, 1.0), (0.5, -1.0), (0.0, -0.6), (-0.5, -1.0), (0.0, 1.0)]
    turned = [(u * y + v * x, v * y - u * x) for u, v in outline]
    corner = transforms.offset_copy(axes.transAxes, fig=axes.figure, x=-2.2 * size, y=-3.4 * size, units="points")
    axes.plot(
        [1],
        [1],
        marker=turned,
        markersize=2.6 * size,
        color="black",
        markeredgecolor="white",
        markeredgewidth=0.1 * size,
        linestyle="none",
        transform=corner,
    )
    axes.annotate(
        "N",
        (1, 1),
        xycoords=corner,
        xytext=(2.1 * size * x, 2.1 * size * y),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        path_effects=[effects.withStroke(linewidth=0.3 * size, foreground="white")],
    )
