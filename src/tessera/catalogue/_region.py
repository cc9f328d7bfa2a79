"""Draw the coverage of a region: one map per year, with the outlines of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.figures import degrees, draw_scale_bar, new_figure
from tessera.geo import PIXEL_SIZE, Window, parse_area

from ._draw import INK, MARK, name_of, outline_rings, shifted, short
from ._outline import outlines
from ._shade import MOST, NO_DATA, NOTHING, SOME, VALID, Frame, shade
from ._world import draw_globe
from .counting import READ_PIXELS, CellRow, Coverage, YearCoverage, coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.store import Store

_MOST_OUTLINES = 1500
_COLOURS = {NOTHING: "#e4e8ec", VALID: "#17725a", NO_DATA: "#e8a838", MOST: "#5fae93", SOME: "#b4dccb"}
_PIXEL_WORDS = {VALID: "valid", NO_DATA: "processed, no data", NOTHING: "not written"}
_CHUNK_WORDS = {
    VALID: "written, 99 % valid or more",
    MOST: "written, 50 to 99 % valid",
    SOME: "written, less than 50 % valid",
    NO_DATA: "written, nothing valid",
    NOTHING: "not written",
}


def draw_region(
    store: Store,
    frame: Frame,
    area: object,
    years: tuple[int, ...],
    rows: list[CellRow] | None,
    progress: Progress,
) -> Any:
    """The figure of a region; see `draw_coverage`. `rows` are the known cells."""
    counted = coverage(store, area, years[0] if len(years) == 1 else None)
    size = _frame_pixels(frame)
    pixels = rows is None or size <= READ_PIXELS
    columns = min(len(years), 3)
    lines = math.ceil(len(years) / columns)
    ratio = frame.height / frame.width
    wide = {1: 6.4, 2: 4.6, 3: 3.6}[columns]
    across, up = wide * min(1.0, 1.25 / ratio), wide * min(ratio, 1.25)
    figure = new_figure(columns * (across + 0.7) + 2.9, max(3.6, lines * (up + 0.6) + 0.6), layout="constrained")
    maps, side = figure.subfigures(1, 2, width_ratios=(figure.get_figwidth() - 2.9, 2.9))
    where = "" if counted.area is None else f", {short(counted.area)}"
    maps.suptitle(f"Coverage of {name_of(store)}{where}", fontsize=13, x=0.012, ha="left", color=INK)
    grid = maps.subplots(lines, columns, squeeze=False)
    found: set[int] = set()
    outlined = False
    for number, (axes, counts) in enumerate(zip(grid.flat, counted.years, strict=False)):
        mine = None if rows is None else [row for row in rows if row.year == counts.year]
        classes = shade(store, counts.year, frame, mine, pixels=pixels)
        found |= set(np.unique(classes).tolist())
        _panel(axes, frame, classes, counts, area=area is not None, exact=counted.exact)
        outlined |= _cells(axes, frame, mine or [], store.layout.shard)
        _area_line(axes, frame, area)
        progress(number + 1, len(years))
    for axes in list(grid.flat)[len(years) :]:
        axes.set_visible(False)
    _side(side, frame, store, counted, found, pixels=pixels, cells=outlined)
    return figure


def _frame_pixels(frame: Frame) -> float:
    """About how many 10 m pixels a map covers."""
    metres = 111_200.0
    middle = math.radians((frame.south + frame.north) / 2)
    across = (frame.east - frame.west) * metres * math.cos(middle)
    return across * (frame.north - frame.south) * metres / PIXEL_SIZE**2


def _panel(
    axes: Any, frame: Frame, classes: NDArray[np.uint8], counts: YearCoverage, *, area: bool, exact: bool
) -> None:
    palette = np.array([[int(_COLOURS[c][i : i + 2], 16) for i in (1, 3, 5)] for c in range(len(_COLOURS))], np.uint8)
    middle = math.radians((frame.south + frame.north) / 2)
    axes.imshow(
        palette[classes],
        extent=(frame.west, frame.east, frame.south, frame.north),
        interpolation="nearest",
        aspect=1 / max(0.1, math.cos(middle)),
    )
    cells = f"{counts.cells:,} cell{'s' * (counts.cells != 1)}"
    share = f"{'' if exact else 'about '}{_percent(counts.share)}"
    words = f"{share} of the area valid, {cells}" if area else f"{share} of {cells} valid"
    axes.set_title(f"{counts.year}", fontsize=11, loc="left", color=INK, fontweight="bold")
    axes.set_title(words, fontsize=8.5, loc="right", color=INK)
    _ticks(axes.xaxis, frame.west, frame.east, "EW", 4)
    _ticks(axes.yaxis, frame.south, frame.north, "NS", 5)
    axes.tick_params(labelsize=8, color="#98a2ad", labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color("#98a2ad")
    kilometre = 1 / (111.2 * max(0.1, math.cos(math.radians(frame.south))))
    draw_scale_bar(axes, (frame.west, frame.south, frame.east, frame.north), kilometre=kilometre, size=8)


def _percent(share: float) -> str:
    """A share in per cent that never rounds to 0 or 100 what is neither."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %" if share % 1 else f"{100 * share:.0f} %"


def _ticks(axis: Any, low: float, high: float, letters: str, most: int) -> None:
    """Set at most so many ticks at round degrees."""
    step = next(
        factor * 10.0**power
        for power in range(-5, 3)
        for factor in (1, 2, 5)
        if (high - low) / (factor * 10.0**power) <= most
    )
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    values = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    axis.set_ticks(values, [degrees(float(value), letters, digits) for value in values])


def _cells(axes: Any, frame: Frame, rows: list[CellRow], side: int) -> bool:
    """Draw the outlines of cells. Returns whether one is in view."""
    import shapely

    if not rows or len(rows) > _MOST_OUTLINES:
        return False
    from matplotlib.collections import LineCollection

    lines = [
        ring for ring in outline_rings({row.window for row in rows}, side, (frame.west + frame.east) / 2) if len(ring)
    ]
    line = 0.9 if len(rows) <= 60 else 0.5
    axes.add_collection(LineCollection(lines, colors="#2a323a", linewidths=line, alpha=0.75), autolim=False)
    view = shapely.box(frame.west, frame.south, frame.east, frame.north)
    return bool(shapely.intersects(shapely.linestrings(np.concatenate(lines), indices=_indices(lines)), view).any())


def _indices(lines: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(lines)), [len(line) for line in lines])


def _area_line(axes: Any, frame: Frame, area: object) -> None:
    if area is None:
        return
    import shapely

    if isinstance(area, Window):
        shapes, _ = outlines(area.zone, np.array([area.west]), np.array([area.north]), area.width)
        parts = shapely.get_parts(shapes) if area.width == area.height else ()
    else:
        parts = shapely.get_parts(parse_area(area).geometry)
    # they are cut at the date line: joined again
    moved = [shapely.transform(part, lambda points: shifted(points, (frame.west + frame.east) / 2)) for part in parts]
    for part in shapely.get_parts(shapely.union_all(moved)):
        for ring in (part.exterior, *part.interiors):
            points = np.asarray(ring.coords)
            axes.plot(points[:, 0], points[:, 1], color=MARK, linewidth=1.3, zorder=3)


def _side(
    side: Any, frame: Frame, store: Store, counted: Coverage, found: set[int], *, pixels: bool, cells: bool
) -> None:
    """Draw where on Earth the region is, and the legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    globe, words = side.subplots(2, 1, height_ratios=(1, 1.6))
    draw_globe(globe, names=False)
    lon, lat = ((frame.west + frame.east) / 2 + 180) % 360 - 180, (frame.south + frame.north) / 2
    globe.plot(lon, lat, marker="s", markersize=5, markerfacecolor="none", markeredgecolor=MARK, markeredgewidth=1.4)
    words.axis("off")
    texts = _PIXEL_WORDS if pixels else _CHUNK_WORDS
    handles: list[Any] = [
        Patch(facecolor=_COLOURS[kind], edgecolor="#8a949e", linewidth=0.5, label=text)
        for kind, text in texts.items()
        if kind in found
    ]
    if cells:
        handles.append(Line2D([], [], color="#2a323a", linewidth=1, label="cell of the store"))
    if counted.area is not None:
        handles.append(Line2D([], [], color=MARK, linewidth=1.3, label="the area asked for"))
    grain = "every pixel" if pixels else f"chunks of {store.layout.chunk * PIXEL_SIZE} m"
    words.legend(
        handles=handles,
        loc="upper left",
        frameon=False,
        fontsize=8.5,
        title=f"Shown by {grain}",
        title_fontsize=8.5,
        alignment="left",
        borderaxespad=0,
        labelcolor=INK,
    )
