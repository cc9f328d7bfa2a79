"""A cube of NumPy arrays or of an xarray Dataset."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tessera.base import InputError
from tessera.cubes import (
    S1_BANDS,
    S2_BANDS,
    PixelCube,
    cube_of_arrays,
    cube_of_xarray,
    dates_of,
    open_cube,
    write_cube,
)
from tessera.geo import Window

WINDOW = Window(31, 66_000, 560_000, 5, 4)
DATES = ["2021-03-01", "2020-11-14", "2021-10-30"]
ORDER = [1, 0, 2]
"""Their order in time."""
RNG = np.random.default_rng(0)
S2 = RNG.integers(1, 9000, (3, 4, 5, 10), dtype=np.uint16)
MASK = RNG.random((3, 4, 5)) < 0.7
S1 = RNG.integers(200, 9000, (2, 4, 5, 2), dtype=np.int16)
PASSES = ["2021-01-05", "2021-01-17"]


def make(**changes: Any) -> PixelCube:
    grid = WINDOW.grid
    given: dict[str, Any] = {
        "s2": S2,
        "s2_mask": MASK,
        "s2_dates": DATES,
        "s1_desc": S1,
        "s1_desc_dates": PASSES,
        "crs": grid.crs,
        "transform": grid.transform,
    }
    return cube_of_arrays(**(given | changes))


def dataset() -> xr.Dataset:
    left, _, _, top = WINDOW.bounds
    turned = [9, *range(9)]
    return xr.Dataset(
        {
            "s2": (("band", "time", "x", "y"), S2[..., turned].transpose(3, 0, 2, 1)),
            "s2_mask": (("y", "time", "x"), MASK.transpose(1, 0, 2)),
            "s1_desc": (("pass", "y", "x", "polarisation"), S1[..., ::-1]),
        },
        coords={
            "band": [S2_BANDS[place] for place in turned],
            "time": np.array(DATES, dtype="datetime64[ns]"),
            "pass": np.array(PASSES, dtype="datetime64[s]"),
            "polarisation": ["vh", "vv"],
            "x": left + 10 * np.arange(5) + 5,
            "y": top - 10 * np.arange(4) - 5,
        },
    )


def test_arrays_with_dates_make_a_cube(tmp_path: Path) -> None:
    cube = make()
    np.testing.assert_array_equal(cube.s2, S2[ORDER])
    np.testing.assert_array_equal(cube.s2_mask, MASK[ORDER])
    np.testing.assert_array_equal(cube.s1_desc, S1)
    assert [day.isoformat() for day in dates_of(cube, "s2")] == sorted(DATES)
    assert cube.grid == WINDOW.grid
    assert cube.provenance["period"] == ["2020-11-14", "2021-10-30"]
    assert cube.year is None
    assert make(period="2020-11/2021-10").provenance["period"] == ["2020-11-01", "2021-10-31"]
    assert write_cube(cube, tmp_path / "c.zarr").sha256 == open_cube(tmp_path / "c.zarr").sha256 == cube.sha256


@pytest.mark.parametrize(
    "dates",
    [
        np.array(DATES, dtype="datetime64[ns]"),
        [dt.date.fromisoformat(day) for day in DATES],
        [dt.datetime.fromisoformat(day) for day in DATES],
        [f"{day}T10:50:31Z" for day in DATES],
    ],
)
def test_dates_are_taken_as_they_come(dates: Any) -> None:
    assert dates_of(make(s2_dates=dates), "s2") == dates_of(make(), "s2")


def test_bands_are_put_in_order_by_their_names() -> None:
    turned = [*range(5, 10), *range(5)]
    names = [S2_BANDS[place] for place in turned]
    cube = make(s2=S2[..., turned], s2_bands=names, s1_desc=S1[..., ::-1], s1_bands=("vh", "vv"))
    assert cube.sha256 == make().sha256
    words = ["red", "blue", "green", "nir", "nir08", "rededge1", "rededge2", "rededge3", "swir16", "swir22"]
    assert make(s2_bands=words).sha256 == cube.sha256
    assert make(s2_bands=[name.replace("B0", "b") for name in S2_BANDS]).sha256 == cube.sha256


def test_floats_are_rounded_and_nan_is_no_data() -> None:
    floats = S2.astype(np.float32)
    floats[0, 0, 0, 3] = np.nan
    cube = make(s2=floats + 0.25)
    assert cube.s2[1, 0, 0, 3] == 0
    assert cube.s2_mask[1, 0, 0] == 0
    np.testing.assert_array_equal(cube.s2[0], S2[1])


def test_a_dataset_in_any_order_of_dimensions_and_bands() -> None:
    grid = WINDOW.grid
    cube = cube_of_xarray(dataset(), crs=grid.crs)
    assert (cube.sha256, cube.grid) == (make().sha256, grid)
    pyproj = pytest.importorskip("pyproj")
    told = dataset().assign_coords(spatial_ref=((), 0, {"crs_wkt": pyproj.CRS(grid.crs).to_wkt()}))
    assert cube_of_xarray(told).grid == grid
    assert cube_of_xarray(dataset()).grid is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s2": S2 / 10_000}, "looks like reflectance of 0 to 1; expected reflectance x 10000: multiply by 10000"),
        ({"s2": S2.astype(np.int32) - 5000}, r"s2 has values from -.*; expected reflectance x 10000, 0 to 65535"),
        ({"s1_desc": -20 * np.ones(S1.shape)}, "s1_desc has values from -20 to -20, which looks like dB; expected"),
        ({"s1_desc": 0.1 * np.ones(S1.shape)}, r"looks like linear power; expected .2 x dB . 50. x 200"),
        ({"s1_desc": S1.astype(np.int32) + 40_000}, "at most 32767"),
        ({"s2_bands": [*S2_BANDS[:9], "B01"]}, r"Sentinel-2 bands 'B04 .* B01'; expected each of B04 B02 .* once"),
        ({"s2_bands": [*S2_BANDS[:9], "B04"]}, "expected each of B04"),
        ({"s2": S2[..., :9]}, r"s2 of shape \(3, 4, 5, 9\) with 10 names of bands; expected \(T, H, W, 10\)"),
        ({"s2_mask": MASK[:2]}, r"s2_mask is bool \(2, 4, 5\); expected true and false"),
        ({"s2_dates": DATES[:2]}, "s2_dates has 2 dates for 3 observations"),
        ({"s2_dates": [60, 319, 303]}, "s2_dates has '60'; expected a date such as 2021-04-01"),
        ({"s2_dates": [*DATES[:2], "x\x1b[2J"]}, r"s2_dates has 'x.x1b.2J'; expected a date"),
        ({"s2_dates": np.array([*DATES[:2], "NaT"], dtype="datetime64[D]")}, "s2_dates has 'NaT'; expected a date"),
        ({"s1_desc_dates": []}, "s1_desc_dates has 0 dates for 2 observations"),
        ({"s1_desc": S1[:, :3]}, r"s1_desc has shape \(2, 3, 5, 2\); expected \(T, 4, 5, 2\)"),
        ({"transform": None}, "only one of crs and transform given"),
        ({"transform": (10, 0, 1)}, "transform has 3 numbers; expected six"),
        ({"period": 2021}, "s2_dates lists 2020-11-14, which is not in the cube's year 2021"),
        ({"period": "2021-03/2021-10"}, "which is not in the cube's period from 2021-03-01 to 2021-10-31"),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.drop_vars("s2_mask"), "the dataset lacks s2_mask; it has 's2, s1_desc'"),
        (lambda data: data.drop_vars("band"), r"s2 has dimensions .*; expected y, x, one whose coordinate holds dates"),
        (lambda data: data.drop_vars("time"), "expected y, x, one whose coordinate holds dates"),
        (lambda data: data.assign(s2_mask=data.s2_mask.isel(time=0)), "s2_mask has dimensions y, x; expected time, y"),
        (lambda data: data.assign_coords(x=[0, 10, 20, 31, 40]), "the coordinate x is not evenly spaced"),
        (lambda data: data.drop_vars("y"), "y has no coordinate of at least 2 numbers"),
    ],
)
def test_a_dataset_that_lacks_something_is_one_line(change: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cube_of_xarray(change(dataset()), crs="EPSG:32631")


def test_an_import_of_something_else_names_every_layout(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "B04.tif").touch()
    (tmp_path / "empty").mkdir()
    write_cube(make(), tmp_path / "c.zarr")
    for name, found in (
        ("other", "holds 'B04.tif'"),
        ("empty", "is empty"),
        ("nothing", "does not exist"),
        ("other/B04.tif", "is a file"),
        ("c.zarr", "is a Zarr group, perhaps a cube already"),
    ):
        code, _, err = run("cube", "import", tmp_path / name, "-o", tmp_path / "out.zarr")
        assert (code, len(err.splitlines())) == (2, 1)
        for part in (found, "bands.npy", "data_raw/red/", "data_sar_raw/", "cube_of_arrays"):
            assert part in err


def test_names_of_radar_bands_are_checked() -> None:
    with pytest.raises(InputError, match=f"expected each of {' '.join(S1_BANDS)} once"):
        make(s1_bands=("HH", "HV"))
