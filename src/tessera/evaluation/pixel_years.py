"""Labels pixel-years from a table: a row a pixel and date, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import S1_BANDS, S2_BANDS, PixelSeries, offsets_of
from tessera.geo import wrapped
from tessera.labels import CLASSES, Labels, alike_notes, parse_labels

from ._table import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 1000
"""Characters of a name or a class at most: a small file may repeat a long one millions of times."""
LOOKS = 20
"""Observations of one pixel by one sensor on one day at most."""
_DAYS = 366
_ORBITS = {"ascending": False, "asc": False, "descending": True, "desc": True}


def read_pixel_years(path: str | Path, *, kind: str | None = None) -> Labels:
    """Read labelled pixel-years.

    Columns of a row: `sample_id` and `date`; the ten Sentinel-2 bands (reflectance x 10000 without offset) where it was
    seen by Sentinel-2, `valid` (false = cloud; true where the column is missing); `VV` and `VH` in dB and `orbit`
    ("ascending" or "descending") where it was seen by Sentinel-1. Empty cells (null, NaN) stand for not seen; a row may
    hold either or both. Columns of a pixel, the same in all of its rows: `label`, and where there are any `group`,
    `lon`, `lat` and `test` (true = never learnt from).

    Parameters
    ----------
    path : a Parquet file
    kind : "classification" or "regression"; where left out, labels of a floating-point column are regressed and all
        others are classes

    Raises
    ------
    InputError
        No such file, a missing or misshapen column, a pixel of more than 366 days, or one whose label changes.
    """
    file = Path(path)
    table = read_table(file)
    what = str(file)
    sample, first = _samples(table, what)
    days = _days(table, sample, len(first), what)
    order = np.lexsort((days, sample))
    label, kind = parse_labels(_constant(table, "label", sample, first, what), kind, f"{what}, column label")
    s2_rows, s2 = _sentinel2(table, order, what)
    s1_rows, s1, descending = _sentinel1(table, order, what)
    for sensor, rows in (("Sentinel-2", s2_rows), ("Sentinel-1", s1_rows)):
        looks = np.unique(sample[rows] * 400 + days[rows], return_counts=True)[1].max(initial=0)
        if looks > LOOKS:
            raise InputError(f"{what}: {looks} observations by {sensor} of a pixel on a day; expected at most {LOOKS}")
    count = len(first)
    series = PixelSeries(
        s2,
        days[s2_rows],
        offsets_of(np.bincount(sample[s2_rows], minlength=count)),
        s1,
        days[s1_rows],
        descending,
        offsets_of(np.bincount(sample[s1_rows], minlength=count)),
    )
    return Labels(
        label,
        kind,
        groups=_group(table, sample, first, what),
        lonlat=_lonlat(table, sample, first, what),
        test=_test(table, sample, first, what),
        series=series,
        source=file.name,
        column="label",
        notes=tuple(alike_notes(set(label.tolist()))) if kind == CLASSES else (),
    )


def _array(table: Any, name: str) -> NDArray[Any]:
    """A column as numpy has it; nulls of numbers become NaN, others None."""
    import pyarrow as pa

    try:
        out: NDArray[Any] = table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"column {name} of {table.column(name).type} cannot be read: {error}") from None
    return out


def _codes(table: Any, name: str, what: str) -> NDArray[np.int64]:
    """Each distinct value of a column as a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(name)
    if column.null_count:
        raise InputError(f"{what}: column {name} has {column.null_count} empty cells; expected none")
    for part in column.chunks:
        texts = part.dictionary if pa.types.is_dictionary(part.type) else part
        longest = pc.max(pc.binary_length(texts)).as_py() if pa.types.is_string(texts.type) else 0
        if (longest or 0) > LONGEST:
            raise InputError(f"{what}: column {name} holds a text of {longest} bytes; expected at most {LONGEST}")
    try:
        coded = column.combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    except pa.ArrowException:
        raise InputError(f"{what}: column {name} of {column.type}; expected text or whole numbers") from None
    out: NDArray[np.int64] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return out


def _samples(table: Any, what: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's pixel, in order of appearance, and the first row of each pixel."""
    found, first, place = np.unique(_codes(table, "sample_id", what), return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return rank[place.reshape(-1)], first[order].astype(np.int64)


def _days(table: Any, sample: NDArray[np.int64], count: int, what: str) -> NDArray[np.int16]:
    raw = _array(table, "date")
    try:
        dates = raw.astype("datetime64[D]")
    except (ValueError, TypeError):
        raise InputError(f"{what}: column date of {table.column('date').type}; expected dates, 2021-06-30") from None
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    if np.isnat(dates).any() or raw.dtype.kind in "iuf" or years.min() < 1970 or years.max() > 2100:
        raise InputError(f"{what}: column date holds what is no date of 1970 to 2100; expected dates, 2021-06-30")
    number = dates.astype(np.int64)
    early, late = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(early, sample, number)
    np.maximum.at(late, sample, number)
    longest = int((late - early).max()) + 1
    if longest > _DAYS:
        raise InputError(f"{what}: a pixel spans {longest} days; expected at most {_DAYS}, one year a sample_id")
    return (number - dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 1).astype(np.int16)


def _constant(table: Any, name: str, sample: NDArray[np.int64], first: NDArray[np.int64], what: str) -> NDArray[Any]:
    """(N,) a column that is the same in all rows of a pixel."""
    codes = _codes(table, name, what)
    changing = np.flatnonzero(codes != codes[first][sample])
    if len(changing):
        raise InputError(f"{what}: {name} of a pixel changes in row {int(changing[0])}; expected one a sample_id")
    import pyarrow as pa

    # taken before it is decoded, so that a text stands in memory once a pixel and not once a row
    return _array(table.select([name]).take(pa.array(first)), name)


def _numbers(table: Any, name: str, what: str) -> NDArray[np.float64]:
    try:
        return _array(table, name).astype(np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{what}: column {name} of {table.column(name).type}; expected numbers") from None


def _sentinel2(table: Any, order: NDArray[np.int64], what: str) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    bands = np.column_stack([_numbers(table, band, what) for band in S2_BANDS])
    seen = np.asarray(np.isfinite(bands).all(axis=1))
    if "valid" in table.column_names:
        valid = _numbers(table, "valid", what)
        seen &= np.isfinite(valid) & (valid != 0)
    if not seen.any():
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(S2_BANDS)), dtype=np.uint16)
    low, high = float(bands[seen].min()), float(bands[seen].max())
    # a stray value among reflectances of 0 to 1 does not make them numbers of thousands
    if low < 0 or high > 65534 or float(np.median(bands[seen])) <= 2.5:
        raise InputError(f"{what}: reflectance from {low:g} to {high:g}; expected reflectance x 10000, 0 to 65534")
    rows = order[seen[order]]
    return rows, np.rint(bands[rows]).astype(np.uint16)


def _sentinel1(
    table: Any, order: NDArray[np.int64], what: str
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.bool_]]:
    nothing = np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int16), np.zeros(0, dtype=np.bool_)
    if not set(S1_BANDS) <= set(table.column_names):
        return nothing
    db = np.column_stack([_numbers(table, band, what) for band in S1_BANDS])
    seen = np.asarray(np.isfinite(db).all(axis=1))
    if not seen.any():
        return nothing
    # linear power is above 0, and decibels of land are below
    if db[seen].min() < -100 or db[seen].max() > 60 or db[seen].min() > 0:
        raise InputError(f"{what}: VV, VH from {db[seen].min():g} to {db[seen].max():g}; expected backscatter in dB")
    rows = order[seen[order]]
    descending = np.zeros(len(rows), dtype=np.bool_)
    if "orbit" in table.column_names:
        names = _array(table, "orbit")[rows].tolist()
        try:
            descending = np.array([_ORBITS[str(name).lower()] for name in names], dtype=np.bool_)
        except KeyError as error:
            raise InputError(f"{what}: orbit {error}; expected ascending or descending where VV and VH are") from None
    return rows, scaled_db(db[rows]), descending


def scaled_db(db: NDArray[np.float64]) -> NDArray[np.int16]:
    """Backscatter in dB to the cube's int16, (2 dB + 50) * 200 clipped to 0..32767; NaN to 0, missing."""
    scaled = np.nan_to_num((2 * np.asarray(db, dtype=np.float64) + 50) * 200, nan=0.0, posinf=0.0, neginf=0.0)
    out: NDArray[np.int16] = np.clip(scaled, 0, 32767).astype(np.int16)
    return out


def _group(table: Any, sample: NDArray[np.int64], first: NDArray[np.int64], what: str) -> NDArray[np.int64] | None:
    if "group" not in table.column_names:
        return None
    _constant(table, "group", sample, first, what)
    return _codes(table, "group", what)[first]


def _lonlat(table: Any, sample: NDArray[np.int64], first: NDArray[np.int64], what: str) -> NDArray[np.float64] | None:
    held = [name for name in ("lon", "lat") if name in table.column_names]
    if not held:
        return None
    if len(held) == 1:
        raise InputError(f"{what} has a column {held[0]} alone; expected lon and lat, or neither")
    try:
        lonlat = np.column_stack([_constant(table, name, sample, first, what).astype(np.float64) for name in held])
    except InputError:
        raise
    except (ValueError, TypeError):
        raise InputError(f"{what}: lon and lat hold what is no number; expected degrees") from None
    inside = (np.abs(lonlat[:, 0]) <= 360) & (np.abs(lonlat[:, 1]) <= 90)
    if not inside.all():
        raise InputError(f"{what}: {int((~inside).sum())} places outside -360 to 360, -90 to 90; expected degrees")
    return wrapped(lonlat)


def _test(table: Any, sample: NDArray[np.int64], first: NDArray[np.int64], what: str) -> NDArray[np.bool_] | None:
    if "test" not in table.column_names:
        return None
    values = _constant(table, "test", sample, first, what)
    if not set(values.tolist()) <= {0, 1}:
        raise InputError(f"{what}: column test holds more than true and false")
    return values.astype(np.bool_)
