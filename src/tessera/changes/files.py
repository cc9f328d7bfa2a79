"""The files of a change: which may be written, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, check_picture, csv_text, is_parquet, is_png, is_text, is_tiff
from tessera.labels import NO_DATA, one_line
from tessera.rasters import RasterProfile, every_second, mean_of_valid, write_cog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ._blocks import Blocks
    from .distance import Threshold
    from .transitions import Transitions

TAG = "TESSERA_CHANGE"
"""Metadata item of our GeoTIFFs."""
_TILE = 256
_ROWS_OF_TABLE = "from_year,to_year,from,to"


def beside(target: Path, end: str) -> Path:
    """A file beside the GeoTIFF: change.transitions.csv beside change.tif."""
    return target.with_name(f"{target.stem}.{end}")


def check_change(
    out: str | Path,
    *,
    table: str | Path | None = None,
    png: bool = True,
    classes: bool = True,
    inputs: Iterable[object] = (),
    overwrite: bool = False,
) -> Path:
    """Check all files of a change before any work starts.

    Parameters
    ----------
    out : path that ends in .tif or .tiff
    table : of the time line, .csv or .parquet; its picture lies beside it
    png : whether pictures are drawn
    classes : whether a head of classes is used, whose maps and transitions are written too

    Raises
    ------
    InputError
        Another suffix, or a file that may not be replaced.
    """
    target, inputs = Path(out), tuple(inputs)
    if target.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"change {str(out)!r}; expected a path that ends in .tif")
    checks: dict[str, Any] = {"inputs": inputs, "overwrite": overwrite}
    check_output(target, "change", ours=is_tiff(TAG), **checks)
    if classes:
        check_output(beside(target, "classes.tif"), "maps of classes", ours=is_tiff(TAG), **checks)
        is_table = is_text(_ROWS_OF_TABLE)
        check_output(beside(target, "transitions.csv"), "table of transitions", ours=is_table, **checks)
    if png:
        check_picture(target.with_suffix(".png"), "map", **checks)
        if classes:
            check_picture(beside(target, "transitions.png"), "transitions", **checks)
    if table is not None:
        path = Path(table)
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(f"table {str(table)!r}; expected a path that ends in .csv or .parquet")
        ours = is_parquet("tessera time line") if path.suffix.lower() == ".parquet" else is_text('"polygon","year"')
        check_output(path, "time line", ours=ours, **checks)
        if png:
            check_output(path.with_suffix(".png"), "picture", ours=is_png("time line"), **checks)
    return target


def left_over(target: Path, names: Sequence[str]) -> list[str]:
    """Files of an earlier change beside the target that this one, which writes `names`, does not have."""
    tests = {
        beside(target, "classes.tif"): is_tiff(TAG),
        beside(target, "transitions.csv"): is_text(_ROWS_OF_TABLE),
        beside(target, "transitions.png"): is_png("transitions"),
        target.with_suffix(".png"): is_png("map"),
    }
    return [path.name for path, ours in tests.items() if path.name not in names and path.is_file() and ours(path)]


def write_distances(
    path: Path, blocks: Blocks, thresholds: Sequence[Threshold], tags: dict[str, str], name: object
) -> None:
    """Write distances and changed pixels of each pair of years, and the difference of numbers, float32."""
    plan, window = blocks.plan, blocks.plan.window
    numbers = plan.head is not None and not plan.classes
    bands = 3 if numbers else 2
    names = []
    for first, second in plan.pairs:
        names += [f"distance {first} to {second}", f"changed {first} to {second}"]
        names += [f"difference {first} to {second}"] * numbers

    def rows(wanted: range) -> NDArray[Any]:
        distance = blocks.rows(wanted, "distance")
        out = np.empty((*distance.shape[1:], bands * len(distance)), dtype=np.float32)
        found = blocks.rows(wanted, "found") if numbers else None
        for pair, threshold in enumerate(thresholds):
            out[..., bands * pair] = distance[pair]
            out[..., bands * pair + 1] = changed(distance[pair], threshold)
            if found is not None:
                out[..., bands * pair + 2] = found[pair + 1] - found[pair]
        return out

    profile = RasterProfile(
        (*window.shape, bands * len(plan.pairs)),
        "float32",
        window.grid.crs,
        window.grid.transform,
        nodata=np.nan,
        tags=tags,
        names=tuple(names),
    )
    write_cog(path, profile, rows, mean_of_valid, tile=_TILE, name=name)


def changed(distance: NDArray[np.float32], threshold: Threshold) -> NDArray[np.float32]:
    """1 where a pixel has changed, 0 where not, NaN without data."""
    flag = (distance > np.float32(threshold.distance)).astype(np.float32)
    flag[np.isnan(distance)] = np.nan
    return flag


def write_classes(path: Path, blocks: Blocks, tags: dict[str, str], name: object) -> None:
    """Write the class of each year: one band a year, uint8, the values of a map, 255 = no data."""
    plan, window = blocks.plan, blocks.plan.window
    if plan.head is None:
        return
    table = np.full(256, NO_DATA, dtype=np.uint8)
    table[: plan.classes] = plan.head.values

    def rows(wanted: range) -> NDArray[Any]:
        return np.moveaxis(table[blocks.rows(wanted, "found")], 0, -1)

    classes = "; ".join(
        f"{value}={one_line(text)}" for value, text in zip(plan.head.values, plan.head.classes, strict=True)
    )
    profile = RasterProfile(
        (*window.shape, len(plan.years)),
        "uint8",
        window.grid.crs,
        window.grid.transform,
        nodata=NO_DATA,
        tags={**tags, "CLASSES": classes},
        names=tuple(f"{one_line(plan.head.column)} {year}" for year in plan.years),
    )
    write_cog(path, profile, rows, every_second, tile=_TILE, name=name)


def transitions_csv(found: Sequence[Transitions]) -> str:
    """All transitions as CSV."""
    rows = [row for one in found for row in one.rows()]
    return csv_text([list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)])


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
