"""What happened in each polygon, year by year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import safe_cell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class TimeLine:
    """P polygons in Y years.

    Attributes
    ----------
    names : (P,) what to call each polygon
    years : Y years
    classes : K names; () of numbers, or without a head
    pixels : (P, Y, K) pixels of each class, or (P, Y, 1) pixels with a number
    means : (P, Y) mean number; NaN of classes and without a head
    distance : (P, Y) mean cosine distance of the pixels to the year before; NaN in the first year
    compared : (P, Y) pixels with data in both years
    """

    names: tuple[str, ...]
    years: tuple[int, ...]
    classes: tuple[str, ...]
    pixels: NDArray[np.int64]
    means: NDArray[np.float64]
    distance: NDArray[np.float64]
    compared: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"TimeLine({len(self)} polygons, {', '.join(map(str, self.years))})"

    @property
    def shares(self) -> NDArray[np.float64]:
        """(P, Y, K) share of each class; NaN where a polygon has no pixel with data."""
        total = self.pixels.sum(axis=2, keepdims=True)
        return np.where(total > 0, self.pixels / np.maximum(total, 1), np.nan)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """(P,) polygons whose commonest class is another one in some year."""
        known = self.pixels.sum(axis=2) > 0
        commonest = np.where(known, self.pixels.argmax(axis=2), -1)
        first = np.where(known.any(axis=1), commonest[np.arange(len(self)), known.argmax(axis=1)], -1)
        return np.asarray(((commonest != first[:, None]) & known).any(axis=1))

    def columns(self) -> dict[str, list[Any]]:
        """A table with one row a polygon and year: polygon, year, pixels, distance, then a share a class, or mean."""
        each = len(self.years)
        out: dict[str, list[Any]] = {
            "polygon": [name for name in self.names for _ in range(each)],
            "year": list(self.years) * len(self),
            "pixels": self.pixels.sum(axis=2).reshape(-1).tolist() if self.pixels.shape[2] else [],
            "distance": [None if np.isnan(one) else one for one in self.distance.reshape(-1).tolist()],
            "compared": self.compared.reshape(-1).tolist(),
        }
        if self.classes:
            for index, name in enumerate(self.classes):
                out[f"share {name}"] = [
                    None if np.isnan(one) else one for one in self.shares[..., index].reshape(-1).tolist()
                ]
        elif np.isfinite(self.means).any():
            out["mean"] = [None if np.isnan(one) else one for one in self.means.reshape(-1).tolist()]
        else:
            del out["pixels"]
        return out

    def write(self, path: Path) -> None:
        """Write the table as CSV or Parquet, by the suffix."""
        import pyarrow as pa
        from pyarrow import csv, parquet

        columns = self.columns()
        if path.suffix.lower() == ".parquet":
            parquet.write_table(pa.table(columns).replace_schema_metadata({"writer": "tessera time line"}), path)
        else:
            safe = {
                safe_cell(name): [safe_cell(one) if isinstance(one, str) else one for one in values]
                for name, values in columns.items()
            }
            csv.write_csv(pa.table(safe), path)


def gather(
    names: tuple[str, ...],
    years: tuple[int, ...],
    classes: tuple[str, ...],
    blocks: Iterator[dict[str, NDArray[Any]]],
) -> TimeLine:
    """The time line of polygons from what each block counted of them."""
    count, each, kinds = len(names), len(years), max(1, len(classes))
    pixels = np.zeros((count, each, kinds), dtype=np.int64)
    sums, moved = np.zeros((count, each)), np.zeros((count, each))
    both = np.zeros((count, each), dtype=np.int64)
    for block in blocks:
        touched = block.get("touched")
        if touched is None or not len(touched):
            continue
        pixels[touched] += block["pixels"]
        sums[touched] += block["sums"]
        moved[touched, 1:] += block["moved"]
        both[touched, 1:] += block["both"]
    total = pixels.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / total if not classes else np.full(sums.shape, np.nan)
        distance = moved / both
    return TimeLine(names, years, classes, pixels, means, distance, both)
