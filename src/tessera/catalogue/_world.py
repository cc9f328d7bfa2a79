"""Draw a world map without coastlines: graticule, UTM zones, and names of cities and oceans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require
from tessera.figures import degrees, new_figure
from tessera.geo import PIXEL_SIZE

from ._draw import FAINT, INK, MARK, SEA, name_of, outline_rings

if TYPE_CHECKING:
    from tessera.geo import Window
    from tessera.store import Store

    from .counting import CellRow

_YEARS = ("#9fd8c0", "#5fb798", "#2f9376", "#17725a", "#0d4f45", "#083630")
"""Light to dark: one year to six and more."""
_MOST_RINGS = 12
_CITIES = (
    ("London", -0.1, 51.5), ("Cairo", 31.2, 30.0), ("Lagos", 3.4, 6.5), ("Nairobi", 36.8, -1.3),
    ("Cape Town", 18.4, -33.9), ("Moscow", 37.6, 55.8), ("Delhi", 77.2, 28.6), ("Beijing", 116.4, 39.9),
    ("Tokyo", 139.7, 35.7), ("Jakarta", 106.8, -6.2), ("Perth", 115.9, -32.0), ("Sydney", 151.2, -33.9),
    ("Honolulu", -157.9, 21.3), ("Anchorage", -149.9, 61.2), ("Los Angeles", -118.2, 34.1), ("New York", -74.0, 40.7),
    ("Mexico City", -99.1, 19.4), ("Lima", -77.0, -12.0), ("São Paulo", -46.6, -23.6), ("Buenos Aires", -58.4, -34.6),
    ("Reykjavík", -21.9, 64.1), ("Nuuk", -51.7, 64.2), ("Yakutsk", 129.7, 62.0), ("Novosibirsk", 82.9, 55.0),
    ("Auckland", 174.8, -36.8), ("Kinshasa", 15.3, -4.3), ("Dakar", -17.4, 14.7), ("Tehran", 51.4, 35.7),
    ("Manaus", -60.0, -3.1), ("Antananarivo", 47.5, -18.9), ("Winnipeg", -97.1, 49.9), ("Madrid", -3.7, 40.4),
)  # fmt: skip
"""Longitude and latitude, to 0.1 degrees, of cities far from each other."""
_PLACES = (
    ("PACIFIC OCEAN", -145.0, -2.0), ("ATLANTIC OCEAN", -34.0, 26.0), ("INDIAN OCEAN", 84.0, -25.0),
    ("PACIFIC OCEAN", 164.0, 8.0),
    ("SOUTHERN OCEAN", 0.0, -62.0), ("ARCTIC OCEAN", 0.0, 80.0),
)  # fmt: skip


def draw_globe(axes: Any, *, names: bool) -> None:
    """Draw an equirectangular world with a graticule of 30 degrees; with `names` also zones, cities and oceans."""
    effects = require("matplotlib.patheffects", extra="heads", purpose="a picture")
    axes.set_facecolor(SEA)
    axes.set_xlim(-180, 180)
    axes.set_ylim(-90, 90)
    axes.set_aspect("equal")
    if names:
        for zone in range(1, 61):
            axes.axvline(6 * zone - 180, color="#e8edf1", linewidth=0.5, zorder=0)
            axes.annotate(
                str(zone),
                (6 * zone - 183, 90),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=5,
                color="#7d8893",
                annotation_clip=False,
            )
    for meridian in range(-150, 180, 30):
        axes.axvline(meridian, color=FAINT, linewidth=0.9 if meridian == 0 else 0.6, zorder=0.5)
    for parallel in range(-60, 90, 30):
        axes.axhline(parallel, color=FAINT, linewidth=0.9 if parallel == 0 else 0.6, zorder=0.5)
    for edge in (-80, 84):
        axes.axhline(edge, color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
    axes.set_xticks(range(-180, 181, 60 if not names else 30))
    axes.set_yticks(range(-60, 61, 30 if names else 60))
    axes.xaxis.set_major_formatter(lambda value, _: degrees(value, "EW"))
    axes.yaxis.set_major_formatter(lambda value, _: degrees(value, "NS"))
    axes.tick_params(labelsize=8 if names else 6, length=2, color=FAINT, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if not names:
        return
    halo = [effects.withStroke(linewidth=2, foreground=SEA)]
    for name, lon, lat in _PLACES:
        axes.text(lon, lat, name, ha="center", va="center", fontsize=7, color="#a9bccb", style="italic", zorder=0.8)
    for name, lon, lat in _CITIES:
        axes.plot(lon, lat, marker="o", markersize=1.6, color="#8c96a0", zorder=1)
        axes.annotate(
            name,
            (lon, lat),
            xytext=(3, 0) if lon < 160 else (-3, 0),
            textcoords="offset points",
            ha="left" if lon < 160 else "right",
            va="center",
            fontsize=5.5,
            color="#7d8893",
            path_effects=halo,
            zorder=1,
        )


def draw_world(store: Store, rows: list[CellRow], years: tuple[int, ...]) -> Any:
    """The figure of a world with all cells, coloured by their number of years."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    figure = new_figure(12, 6.5, layout="constrained")
    axes = figure.subplots()
    draw_globe(axes, names=True)
    held: dict[Window, set[int]] = {}
    for row in rows:
        held.setdefault(row.window, set()).add(row.year)
    side = store.layout.shard
    most = min(max(len(each) for each in held.values()), len(_YEARS))
    for count in range(1, most + 1):
        mine = {window for window, each in held.items() if min(len(each), len(_YEARS)) == count}
        if mine:
            # the edge keeps a cell visible that is smaller than a dot
            colour = _YEARS[count - 1] if len(years) > 1 else _YEARS[3]
            rings = outline_rings(mine, side, 0.0)
            axes.add_collection(
                PolyCollection(rings, facecolors=colour, edgecolors=colour, linewidths=1.1, zorder=2 + count / 10),
                autolim=False,
            )
    _rings(axes, list(held))
    head = f"{years[0]}" if len(years) == 1 else f"{min(years)} to {max(years)}"
    valid = sum(row.valid for row in rows)
    figure.suptitle(f"Coverage of {name_of(store)}, {head}", fontsize=13, x=0.012, ha="left", color=INK)
    axes.set_title(
        f"{len(held):,} cells, {valid * (PIXEL_SIZE / 1000) ** 2:,.0f} km² of pixels with an embedding, all years added"
        if len(years) > 1
        else f"{len(held):,} cells, {valid * (PIXEL_SIZE / 1000) ** 2:,.0f} km² of pixels with an embedding",
        fontsize=9.5,
        loc="left",
        pad=16,
        color=INK,
    )
    axes.annotate(
        "UTM zone",
        (-180, 90),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=5.5,
        color="#7d8893",
    )
    if len(years) > 1:
        handles = [
            Patch(color=_YEARS[n - 1], label=f"{n}{' and more' if n == len(_YEARS) and len(years) > n else ''}")
            for n in range(1, most + 1)
        ]
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles) + 1,
            frameon=False,
            fontsize=9,
            title="Years that a cell was written",
            title_fontsize=9,
            alignment="left",
            labelcolor=INK,
        )
    return figure


def _rings(axes: Any, windows: list[Window]) -> None:
    """Circle small groups of cells, with their number."""
    effects = require("matplotlib.patheffects", extra="heads", purpose="a picture")
    groups: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for window in windows:
        west, south, east, north = window.lonlat_bounds
        lon = (west + ((east - west) % 360) / 2 + 180) % 360 - 180
        groups.setdefault((math.floor(lon / 4), math.floor((south + north) / 8)), []).append((lon, (south + north) / 2))
    joined = _join(groups)
    for points in sorted(joined, key=len, reverse=True)[:_MOST_RINGS]:
        spread = np.ptp(np.array(points), axis=0)
        if spread.max() > 5:
            continue
        lon, lat = np.mean(points, axis=0)
        axes.plot(lon, lat, marker="o", markersize=13, markerfacecolor="none", markeredgecolor=MARK, zorder=4)
        axes.annotate(
            f"{len(points):,} cell{'s' * (len(points) != 1)}",
            (lon, lat),
            xytext=(9, 6) if lon < 150 else (-9, 6),
            textcoords="offset points",
            ha="left" if lon < 150 else "right",
            va="bottom",
            fontsize=8,
            color=MARK,
            path_effects=[effects.withStroke(linewidth=2.5, foreground="white")],
            zorder=5,
        )


def _join(groups: dict[tuple[int, int], list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Join groups in boxes that touch."""
    left = set(groups)
    found = []
    while left:
        stack = [left.pop()]
        points: list[tuple[float, float]] = []
        while stack:
            col, row = stack.pop()
            points += groups[col, row]
            near = {(col + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            stack += near
        found.append(points)
    return found
