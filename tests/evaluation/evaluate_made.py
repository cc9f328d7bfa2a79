"""Made labelled pixel-years of unequal length, and a table of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.cubes import S2_BANDS
from tessera.cubes import PixelSeries as Series
from tessera.labels import Labels


def ragged(seed: int = 0, count: int = 40, most: int = 14) -> Series:
    """Pixel-years with 0 to `most` observations of each modality; some days twice; pixel 0 has none at all."""
    rng = np.random.default_rng(seed)

    def stream(bands: int, dtype: Any) -> tuple[NDArray[Any], NDArray[np.int16], NDArray[np.int64]]:
        counts = rng.integers(0, most + 1, count)
        counts[0] = 0
        rows = int(counts.sum())
        days = np.concatenate([np.sort(rng.integers(1, 60, n)) for n in counts]) if rows else np.zeros(0)
        values = rng.integers(1, 9000, (rows, bands)).astype(dtype)
        return values, days.astype(np.int16), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    s2, day2, ends2 = stream(10, np.uint16)
    s1, day1, ends1 = stream(2, np.int16)
    descending = rng.random(len(s1)) < 0.5
    # the cube holds the ascending orbit first
    return Series(s2, day2, ends2, s1, day1, descending, ends1)


def told_apart(seed: int = 0, groups: int = 30, each: int = 4, classes: int = 3) -> tuple[Labels, NDArray[np.float32]]:
    """Classes in groups of one class each, and features that tell them."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each).astype(np.int64)
    target = group % classes
    label = np.array([f"class {k}" for k in target], dtype=object)
    x = np.eye(classes)[target] * 2 + rng.normal(0, 0.7, (len(target), classes))
    return Labels(label, "classification", groups=group), x.astype(np.float32)


def groups_of(labelled: Labels) -> NDArray[np.int64]:
    assert labelled.groups is not None
    return labelled.groups


def write_table(path: Path, rows: dict[str, list[Any]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(rows), path)
    return path


def rows_of(pixels: int = 12, dates: int = 6, label: Any = None) -> dict[str, list[Any]]:
    """A table of pixel-years: of each pixel a row a month; every third optical row is cloudy, radar in every other."""
    rows: dict[str, list[Any]] = {
        name: []
        for name in ("sample_id", "date", *S2_BANDS, "valid", "VV", "VH", "orbit", "label", "group", "lon", "lat")
    }
    for pixel in range(pixels):
        for step in range(dates):
            radar = step % 2 == 0
            rows["sample_id"].append(f"p{pixel}")
            rows["date"].append(np.datetime64("2021-01-10") + np.timedelta64(30 * step + pixel % 5, "D"))
            for index, band in enumerate(S2_BANDS):
                rows[band].append(500 + 100 * index + 1000 * (pixel % 2) + step)
            rows["valid"].append(step % 3 != 2)
            rows["VV"].append(-10.0 - pixel % 2 if radar else None)
            rows["VH"].append(-17.0 if radar else None)
            rows["orbit"].append(("ascending", "descending")[step % 4 // 2] if radar else None)
            rows["label"].append(("wheat", "maize")[pixel % 2] if label is None else label(pixel))
            rows["group"].append(f"field {pixel // 2}" if label else f"field {pixel}")
            rows["lon"].append(5.0 + pixel)
            rows["lat"].append(50.0)
    rows["date"] = [value.astype(object) for value in rows["date"]]
    return rows
