"""Where an export goes: its files by suffix, years and kind, and what may be replaced there."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError, check_folder, check_output, is_parquet, is_tiff, open_regular, was_placed

if TYPE_CHECKING:
    from collections.abc import Iterable

REGION_SUFFIXES = (".tif", ".tiff", ".npy", ".zarr")
TABLE_SUFFIXES = (".csv", ".parquet")
TIFF_MARK = "TESSERA_SHA256"
"""Metadata item of every GeoTIFF of a region."""
_COLUMNS = {"points": {"lon", "lat", "e0", "status"}, "zonal": {"pixels", "valid", "share", "e0"}}
_LINE = 1 << 20
"""Bytes of a table's first line that are read."""


def parse_target(out: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Check how an export's path ends."""
    target = Path(out)
    if target.suffix.lower() not in suffixes:
        raise InputError(f"output {str(out)!r}; expected a path that ends in one of {', '.join(suffixes)}")
    return target


def targets_of(target: Path, years: tuple[int, ...], quantised: bool) -> list[Path]:
    """The files that an export makes: a GeoTIFF holds one year, and codes have their scales in a file beside them."""
    suffix = target.suffix.lower()
    several = suffix in (".tif", ".tiff") and len(years) > 1
    mains = [target.with_name(f"{target.stem}_{year}{target.suffix}") for year in years] if several else [target]
    if not quantised or suffix == ".zarr":
        return mains
    return [file for main in mains for file in (main, main.with_name(f"{main.stem}_scales{main.suffix}"))]


def check_region(
    out: str | Path,
    years: tuple[int, ...],
    *,
    quantised: bool = False,
    inputs: Iterable[object] = (),
    overwrite: bool = False,
) -> Path:
    """Look at the files of a region's export before it is read. `export_region` judges a Zarr group that is there.

    Parameters
    ----------
    out : as `export_region` takes it
    years, quantised : what is exported
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        Another suffix, or a file that may not be written or is kept.
    """
    target = parse_target(out, REGION_SUFFIXES)
    inputs = tuple(inputs)
    for file in targets_of(target, years, quantised):
        if file.suffix.lower() == ".zarr":
            check_folder(file, "output", inputs=inputs)
        else:
            check_output(file, "output", inputs=inputs, ours=partial(_is_region, target), overwrite=overwrite)
    return target


def check_table(out: str | Path, kind: str, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file of a table before it is made.

    Parameters
    ----------
    out : .csv or .parquet
    kind : points or zonal
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        Another suffix, or a file that may not be written or is kept.
    """
    target = parse_target(out, TABLE_SUFFIXES)

    def ours(path: Path) -> bool:
        if target.suffix.lower() == ".parquet":
            return was_placed(target, path) or is_parquet(f"tessera {kind}")(path)
        return was_placed(target, path) or _columns_of(path) >= _COLUMNS[kind]

    return check_output(target, "output", inputs=inputs, ours=ours, overwrite=overwrite)


def _is_region(target: Path, path: Path) -> bool:
    """An .npy file has no place for a mark: only one that a killed run had just put there is known again."""
    return was_placed(target, path) or (path.suffix.lower() != ".npy" and is_tiff(TIFF_MARK)(path))


def _columns_of(path: Path) -> set[str]:
    with open_regular(path, what="table") as file:
        line = file.readline(_LINE).decode("utf-8")
    return set(next(csv.reader([line]), []))
