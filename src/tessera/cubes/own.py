"""A cube of one's own pixels: NumPy arrays or an xarray Dataset with real dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import Grid, Window, parse_crs, parse_day

from .cube import S1_BANDS, S2_BANDS, PixelCube
from .dates import stated_time
from .geotiff import S2_FOLDERS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import xarray
    from numpy.typing import NDArray

S2_NAMES = dict(zip(S2_FOLDERS, S2_BANDS, strict=True))
"""What catalogues call the bands -> ESA's names."""
_UNIT = 2.0
"""Reflectance of 0 to 1 is at most this bright; times 10000 a scene always has a brighter pixel."""
_POWER = 100.0
"""Linear power is at most this; scaled, any pixel above -24.75 dB has more."""
_S2_MOST, _S1_MOST = 65_535, 32_767
_SPACING = 1e-6
"""Share of a pixel by which coordinates may leave an even grid."""
_ASIDE = ("y", "x")


def cube_of_arrays(
    s2: Any,
    s2_mask: Any,
    s2_dates: Sequence[Any],
    *,
    s1_asc: Any = None,
    s1_asc_dates: Sequence[Any] = (),
    s1_desc: Any = None,
    s1_desc_dates: Sequence[Any] = (),
    s2_bands: Sequence[str] = S2_BANDS,
    s1_bands: Sequence[str] = S1_BANDS,
    crs: str | None = None,
    transform: Sequence[float] | None = None,
    period: object = None,
    source: str = "arrays",
) -> PixelCube:
    """Make a cube of arrays that were read in another way.

    Parameters
    ----------
    s2 : (T, H, W, 10), surface reflectance x 10000 without offset; whole numbers or floats, 0 to 65535, NaN = no data
    s2_mask : (T, H, W), true or not 0 where a pixel is clear
    s2_dates : T dates: datetime64, `datetime.date` or ISO text, in any order
    s1_asc, s1_desc : (T', H, W, 2), (20 * log10(power) + 50) * 200, which is (2 * dB + 50) * 200; 0 or NaN = missing
    s1_asc_dates, s1_desc_dates : their dates
    s2_bands, s1_bands : names in the order of the arrays: B04 or red, ..., VV or vv; bands are put in order by them
    crs, transform : such as "EPSG:32631" and the six numbers (10, 0, west, 0, -10, north); both or none
    period : a year, or such as "2020-11/2021-10" (see `tessera.geo.parse_period`); that of the dates where None
    source : kept in the provenance

    Returns
    -------
    PixelCube in memory, observations in order of time.

    Raises
    ------
    InputError
        Shapes, types or bands that do not fit; reflectance of 0 to 1, dB or linear power in place of scaled numbers;
        dates that are none or lie outside the period; the line says what was given and what is expected.

    Example
    -------
    >>> corner = (10, 0, 664000, 0, -10, 5612120)
    >>> cube = tessera.cubes.cube_of_arrays(s2, mask, dates, crs="EPSG:32631", transform=corner)
    """
    optical, order = _numbers("s2", s2, 4), _order(s2_bands, S2_BANDS, "Sentinel-2", S2_NAMES)
    side = tuple(int(size) for size in optical.shape[1:3])
    if optical.shape[3] != len(order):
        raise InputError(
            f"s2 of shape {optical.shape} with {len(order)} names of bands; expected (T, H, W, {len(order)})"
        )
    _check_reflectance(optical)
    clear = np.asarray(s2_mask)
    if clear.shape != optical.shape[:3] or clear.dtype.kind not in "buif":
        raise InputError(
            f"s2_mask is {clear.dtype} {clear.shape}; expected true and false of shape {optical.shape[:3]}"
        )
    missing = ~np.isfinite(optical).all(axis=3) if optical.dtype.kind == "f" else np.zeros(clear.shape, dtype=np.bool_)
    days, turn = _days(s2_dates, optical.shape[0], "s2")
    dates = {"s2": days}
    stacks: dict[str, Any] = {
        "s2": _whole(optical, np.uint16)[turn][..., order],
        "s2_mask": ((clear != 0) & ~missing)[turn].astype(np.uint8),
        "s2_doy": _doy(days),
    }
    for name, given, when in (("s1_asc", s1_asc, s1_asc_dates), ("s1_desc", s1_desc, s1_desc_dates)):
        radar = np.zeros((0, *side, len(S1_BANDS)), dtype=np.int16) if given is None else _numbers(name, given, 4)
        if radar.shape[1:] != (*side, len(S1_BANDS)):
            raise InputError(f"{name} has shape {radar.shape}; expected (T, {side[0]}, {side[1]}, {len(S1_BANDS)})")
        _check_radar(name, radar)
        days, turn = _days(when, radar.shape[0], name)
        dates[name] = days
        stacks[name] = _whole(radar, np.int16)[turn][..., _order(s1_bands, S1_BANDS, "Sentinel-1", {})]
        stacks[f"{name}_doy"] = _doy(days)
    every = sorted(day for listed in dates.values() for day in listed)
    if period is None and every:
        period = every[0].year if every[0].year == every[-1].year else (every[0], every[-1])
    return PixelCube(
        **stacks,
        grid=_grid(crs, transform, side),
        provenance={"source": source, **stated_time(None, period, dates)},
    )


def cube_of_xarray(dataset: xarray.Dataset, *, crs: str | None = None, period: object = None) -> PixelCube:
    """Make a cube of an xarray Dataset; dimensions may have any order.

    Parameters
    ----------
    dataset : variables `s2` with dimensions y, x, one whose coordinate holds dates and one whose coordinate holds the
        names of bands; `s2_mask` with y, x and those dates; `s1_asc` and `s1_desc` like `s2`, where there are any.
        Units are those of `cube_of_arrays`. The coordinates y and x are centres of pixels
    crs : such as "EPSG:32631"; that of the variable `spatial_ref` (rioxarray) where None
    period : see `cube_of_arrays`

    Raises
    ------
    InputError
        A variable or a coordinate is missing, or what `cube_of_arrays` refuses.

    Example
    -------
    >>> cube = tessera.cubes.cube_of_xarray(dataset, crs="EPSG:32631")
    """
    lacking = [name for name in ("s2", "s2_mask") if name not in dataset]
    if lacking:
        held = ", ".join(map(str, dataset.data_vars)) or "none"
        raise InputError(f"the dataset lacks {' and '.join(lacking)}; it has {shown(held)}")
    stacks: dict[str, Any] = {}
    names: dict[str, Sequence[str]] = {"s2_bands": S2_BANDS, "s1_bands": S1_BANDS}
    for name, kind in (("s2", "s2_bands"), ("s1_asc", "s1_bands"), ("s1_desc", "s1_bands")):
        if name not in dataset:
            continue
        time, band = _dimensions(dataset[name], name)
        array = dataset[name].transpose(time, *_ASIDE, band)
        bands = [str(value) for value in array[band].values]
        if name == "s1_desc" and "s1_asc" in stacks and bands != names[kind]:
            array = array.sel({band: list(names[kind])})
        else:
            names[kind] = bands
        stacks[name], stacks[f"{name}_dates"] = array.values, array[time].values
    mask = dataset["s2_mask"]
    time, _ = _dimensions(dataset["s2"], "s2")
    if set(mask.dims) != {time, *_ASIDE}:
        raise InputError(f"s2_mask has dimensions {', '.join(map(str, mask.dims))}; expected {time}, y, x")
    crs = _crs_of(dataset) if crs is None else crs
    return cube_of_arrays(
        s2_mask=mask.transpose(time, *_ASIDE).values,
        **stacks,
        **names,
        crs=crs,
        transform=None if crs is None else _transform_of(dataset["s2"]),
        period=period,
        source="xarray",
    )


def _numbers(name: str, given: Any, rank: int) -> NDArray[Any]:
    array = np.asarray(given)
    if array.ndim != rank or array.dtype.kind not in "uif":
        raise InputError(f"{name} is {array.dtype} {array.shape}; expected numbers of shape (T, H, W, bands)")
    return array


def _order(given: Sequence[str], expected: tuple[str, ...], what: str, more: Mapping[str, str]) -> list[int]:
    """Where each expected band lies among those that were given."""
    names = [more.get(str(name).lower(), str(name).upper()) for name in given]
    names = [f"B0{name[1:]}" if len(name) == 2 and name[0] == "B" and name[1:].isdigit() else name for name in names]
    if sorted(names) != sorted(expected):
        received = shown(" ".join(map(str, given)), 160)
        raise InputError(f"{what} bands {received}; expected each of {' '.join(expected)} once, in any order")
    return [names.index(name) for name in expected]


def _range(array: NDArray[Any]) -> tuple[float, float] | None:
    """Least and greatest finite value, None of an array without any."""
    seen = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return (float(seen.min()), float(seen.max())) if seen.size else None


def _check_reflectance(array: NDArray[Any]) -> None:
    span = _range(array)
    if span is None:
        return
    if array.dtype.kind == "f" and 0 < span[1] <= _UNIT:
        raise InputError(
            f"s2 has values from {span[0]:g} to {span[1]:g}, which looks like reflectance of 0 to 1; expected "
            "reflectance x 10000: multiply by 10000"
        )
    if span[0] < 0 or span[1] > _S2_MOST:
        raise InputError(
            f"s2 has values from {span[0]:g} to {span[1]:g}; expected reflectance x 10000, 0 to {_S2_MOST}"
        )


def _check_radar(name: str, array: NDArray[Any]) -> None:
    span = _range(array)
    if span is None:
        return
    wanted = "expected (2 x dB + 50) x 200, which is (20 x log10(power) + 50) x 200, 0 = missing"
    if span[0] < 0:
        raise InputError(f"{name} has values from {span[0]:g} to {span[1]:g}, which looks like dB; {wanted}")
    if array.dtype.kind == "f" and 0 < span[1] <= _POWER:
        raise InputError(f"{name} has values from {span[0]:g} to {span[1]:g}, which looks like linear power; {wanted}")
    if span[1] > _S1_MOST:
        raise InputError(f"{name} has values from {span[0]:g} to {span[1]:g}; {wanted}, at most {_S1_MOST}")


def _whole(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    if array.dtype.kind == "f":
        array = np.rint(np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0))
    return array.astype(dtype)


def _days(given: Sequence[Any], count: int, name: str) -> tuple[list[dt.date], NDArray[np.int64]]:
    """Dates in order of time, and where each lay."""
    listed = [given] if isinstance(given, str) else list(given)
    if len(listed) != count:
        raise InputError(f"{name}_dates has {len(listed)} dates for {count} observations")
    days = [parse_day(value, f"{name}_dates has") for value in listed]
    turn = np.argsort(np.array(days, dtype="datetime64[D]"), kind="stable")
    return [days[int(place)] for place in turn], turn


def _doy(days: Sequence[dt.date]) -> NDArray[np.int16]:
    return np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)


def _grid(crs: str | None, transform: Sequence[float] | None, side: tuple[int, ...]) -> Grid | None:
    if crs is None and transform is None:
        return None
    if crs is None or transform is None:
        raise InputError("only one of crs and transform given; expected both or none")
    numbers = [float(number) for number in tuple(transform)[:6]]
    if len(numbers) != 6:
        raise InputError(f"transform has {len(numbers)} numbers; expected six: (10, 0, west, 0, -10, north)")
    a, b, c, d, e, f = numbers
    parse_crs(crs, "the cube")
    grid = Grid(str(crs), (a, b, c, d, e, f), side[0], side[1])
    try:
        return Window.of_grid(grid).grid
    except InputError:
        return grid


def _dimensions(array: xarray.DataArray, name: str) -> tuple[str, str]:
    """The dimension of dates and that of bands."""
    kinds = {str(dim): array[dim].dtype.kind if dim in array.coords else "" for dim in array.dims}
    dates = [dim for dim, kind in kinds.items() if kind == "M"]
    bands = [dim for dim, kind in kinds.items() if kind in "UOTS" and kind and dim not in _ASIDE]
    if len(kinds) != 4 or not set(_ASIDE) <= set(kinds) or len(dates) != 1 or len(bands) != 1:
        raise InputError(
            f"{name} has dimensions {shown(', '.join(kinds), 120)}; expected y, x, one whose coordinate holds dates "
            "(datetime64) and one whose coordinate holds names of bands"
        )
    return dates[0], bands[0]


def _crs_of(dataset: xarray.Dataset) -> str | None:
    if "spatial_ref" not in dataset.variables:
        return None
    about = dataset["spatial_ref"].attrs
    said = about.get("crs_wkt") or about.get("spatial_ref")
    if not isinstance(said, str):
        return None
    try:
        code = parse_crs(said, "spatial_ref").to_epsg()
    except InputError as error:
        raise InputError(f"{error}; give crs=") from None
    return said if code is None else f"EPSG:{code}"


def _transform_of(array: xarray.DataArray) -> tuple[float, ...]:
    """From centres of pixels."""
    steps, starts = {}, {}
    for dim in _ASIDE:
        if dim not in array.coords or array[dim].size < 2 or array[dim].dtype.kind not in "uif":
            raise InputError(
                f"{dim} has no coordinate of at least 2 numbers; expected centres of pixels where a CRS is given"
            )
        values = np.asarray(array[dim].values, dtype=np.float64)
        step = (values[-1] - values[0]) / (values.size - 1)
        if step == 0 or np.abs(np.diff(values) / step - 1).max() > _SPACING:
            raise InputError(f"the coordinate {dim} is not evenly spaced; expected centres of pixels")
        steps[dim], starts[dim] = float(step), float(values[0] - step / 2)
    return steps["x"], 0.0, starts["x"], 0.0, steps["y"], starts["y"]
