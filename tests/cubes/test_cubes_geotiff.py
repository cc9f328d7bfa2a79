from __future__ import annotations

import datetime as dt
import itertools
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError, TesseraError
from tessera.cubes import SCL_KEPT, PixelCube, export_geotiff, import_geotiff, is_geotiff, open_cube
from tessera.cubes.geotiff import S2_FOLDERS, _pass
from tessera.geo import Grid, Window

rasterio = pytest.importorskip("rasterio")

GRID = Window(31, 66_000, 560_000, 7, 5).grid
STACKS = ("s2", "s2_mask", "s2_doy", "s1_asc", "s1_asc_doy", "s1_desc", "s1_desc_doy")


def make_cube(
    days: tuple[list[int], list[int], list[int]] = ([3, 60, 366], [1, 90], [200]), grid: Grid = GRID, seed: int = 0
) -> PixelCube:
    rng = np.random.default_rng(seed)
    s2, asc, desc = (np.array(sorted(listed), dtype=np.int16) for listed in days)
    shape = (grid.height, grid.width)
    return PixelCube(
        s2=rng.integers(0, 65_536, (len(s2), *shape, 10), dtype=np.uint16),
        s2_mask=rng.integers(0, 2, (len(s2), *shape), dtype=np.uint8),
        s2_doy=s2,
        s1_asc=rng.integers(0, 32_768, (len(asc), *shape, 2), dtype=np.int16),
        s1_asc_doy=asc,
        s1_desc=rng.integers(0, 32_768, (len(desc), *shape, 2), dtype=np.int16),
        s1_desc_doy=desc,
        grid=grid,
        provenance={"year": 2024},
    )


def same(one: PixelCube, other: PixelCube) -> bool:
    return all(np.array_equal(np.asarray(getattr(one, n)[:]), np.asarray(getattr(other, n)[:])) for n in STACKS)


def write_tiff(path: Path, image: Any, grid: Grid = GRID, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "dtype": image.dtype.name, "count": 1, "nodata": 0}
    profile |= {"height": image.shape[0], "width": image.shape[1]}
    profile |= {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform)}
    with rasterio.open(path, "w", **{**profile, **more}) as raster:
        raster.write(image, 1)


DAYS = st.lists(st.integers(1, 366), max_size=3, unique=True)


@settings(max_examples=8)
@given(st.tuples(DAYS, DAYS, DAYS).filter(any), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_a_cube_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, days: Any, height: int, width: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("stacks")
    cube = make_cube(days, Window(31, 66_000, 560_000, width, height).grid, seed)
    assert is_geotiff(export_geotiff(cube, folder / "a"))
    back = import_geotiff(folder / "a", folder / "cube.zarr")
    assert same(back, cube)
    assert (back.grid, back.year) == (cube.grid, 2024)
    assert same(open_cube(folder / "cube.zarr"), cube)
    export_geotiff(back, folder / "b")
    files = [path.relative_to(folder / "a") for path in (folder / "a").rglob("*.tiff")]
    assert len(files) == 11 * len(days[0]) + 2 * len(days[1]) + 2 * len(days[2])
    assert all((folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes() for name in files)


def test_real_pixels_with_their_scene_classes(shared: Path, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    source = shared / "data" / "dated_cdse" / "results_cdse_sentinel2_l2a.nc"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    data = xarray.open_dataset(source, engine="netcdf4", mask_and_scale=False)
    names = {name.rsplit("-", 1)[-1]: name for name in data}
    # three bands stand for all ten
    held = dict(zip(S2_FOLDERS, ("B04", "B08", "B11") * 4, strict=False))
    days = [dt.date.fromisoformat(str(moment)[:10]) for moment in data["t"].values]
    x, y = data["x"].values, data["y"].values
    grid = Grid("EPSG:32631", (10.0, 0.0, float(x[0]) - 5, 0.0, -10.0, float(y[0]) + 5), len(y), len(x))
    for index, day in enumerate(days):
        for folder, band in held.items():
            write_tiff(
                tmp_path / "s" / "data_raw" / folder / f"{day}_mosaic.tiff",
                data[names[band]].values[index].astype(np.uint16),
                grid,
                tiled=True,
                blockxsize=256,
                blockysize=256,
            )
        classes = data[names["SCL"]].values[index].astype(np.uint8)
        write_tiff(tmp_path / "s" / "data_raw" / "scl" / f"{day}_mosaic.tiff", classes, grid)
    cube = import_geotiff(tmp_path / "s", tmp_path / "cube.zarr")
    assert cube.provenance["s2_dates"] == [str(day) for day in days]
    assert cube.s2_doy.tolist() == [day.timetuple().tm_yday for day in days]
    assert cube.s1_asc.shape == (0, len(y), len(x), 2)
    for place, band in enumerate(held.values()):
        assert np.array_equal(np.asarray(cube.s2[:])[..., place], data[names[band]].values.astype(np.uint16))
    classes = data[names["SCL"]].values
    assert np.array_equal(np.asarray(cube.s2_mask[:]) == 1, np.isin(classes, SCL_KEPT))
    assert 0 < np.asarray(cube.s2_mask[:]).mean() < 1
    assert cube.grid == grid
    again = import_geotiff(export_geotiff(cube, tmp_path / "t"), tmp_path / "again.zarr")
    assert again.sha256 == cube.sha256


def test_the_files_are_as_published(tmp_path: Path) -> None:
    cube = make_cube()
    export_geotiff(cube, tmp_path / "s")
    names = {str(path.relative_to(tmp_path / "s")) for path in (tmp_path / "s").rglob("*.tiff")}
    days = ("2024-01-03", "2024-02-29", "2024-12-31")
    expected = {f"data_raw/{band}/{day}_mosaic.tiff" for band in (*S2_FOLDERS, "scl") for day in days}
    expected |= {f"data_sar_raw/{day}_{pol}_ascending.tiff" for pol in ("vv", "vh") for day in days_of(2024, [1, 90])}
    assert names == expected | {f"data_sar_raw/{days_of(2024, [200])[0]}_{pol}_descending.tiff" for pol in ("vv", "vh")}
    with rasterio.open(tmp_path / "s" / "data_raw" / "nir08" / "2024-02-29_mosaic.tiff") as raster:
        assert (raster.driver, raster.dtypes, raster.nodata, raster.compression) == ("GTiff", ("uint16",), 0, None)
        assert raster.block_shapes == [(256, 256)]
        tags = raster.tags()
        assert (tags["DATE_ACQUIRED"], tags["BAND_NAME"]) == ("2024-02-29", "nir08")
        assert float(tags["VALID_COVERAGE_PCT"]) == round(100 * float(cube.s2_mask[1].mean()), 2)
        assert np.array_equal(raster.read(1), cube.s2[1, ..., 4])
    with rasterio.open(tmp_path / "s" / "data_raw" / "scl" / "2024-02-29_mosaic.tiff") as raster:
        assert np.array_equal(raster.read(1), cube.s2_mask[1] * 4)
    with rasterio.open(tmp_path / "s" / "data_sar_raw" / "2024-01-01_vh_ascending.tiff") as raster:
        assert raster.dtypes == ("int16",)
        assert np.array_equal(raster.read(1), cube.s1_asc[0, ..., 1])


def days_of(year: int, doys: list[int]) -> list[str]:
    return [str(dt.date(year, 1, 1) + dt.timedelta(doy - 1)) for doy in doys]


@pytest.mark.parametrize(
    "grid",
    [
        Grid("EPSG:32631", (10.0, 0.0, 500_003.25, 0.0, -10.0, 5_600_001.5), 4, 6),
        Grid("EPSG:3035", (30.0, 0.0, 4_000_000.0, 0.0, -30.0, 3_000_000.0), 4, 6),
        Grid("EPSG:32631", (10.0, 1.0, 500_000.0, 0.5, -10.0, 5_600_000.0), 4, 6),
    ],
)
def test_a_grid_off_the_lattice_stays_as_it_is(tmp_path: Path, grid: Grid) -> None:
    cube = make_cube(grid=grid)
    back = import_geotiff(export_geotiff(cube, tmp_path / "s"), tmp_path / "c")
    assert back.grid == grid
    assert same(back, cube)


def test_a_southern_zone_goes_to_its_northern_twin(tmp_path: Path) -> None:
    grid = Grid("EPSG:32633", (10.0, 0.0, 660_000.0, 0.0, -10.0, 9_000_000.0 - 10_000_000.0), 5, 7)
    export_geotiff(make_cube(grid=grid), tmp_path / "s")
    for path in (tmp_path / "s").rglob("*.tiff"):
        with rasterio.open(path, "r+") as raster:
            raster.crs = "EPSG:32733"
            raster.transform = rasterio.Affine(10.0, 0.0, 660_000.0, 0.0, -10.0, 9_000_000.0)
    back = import_geotiff(tmp_path / "s", tmp_path / "c")
    assert back.grid == grid
    assert Window.of_grid(back.grid).north == -100_000


def test_a_missing_polarisation_is_zero(tmp_path: Path) -> None:
    cube = make_cube()
    export_geotiff(cube, tmp_path / "s")
    (tmp_path / "s" / "data_sar_raw" / "2024-01-01_vh_ascending.tiff").unlink()
    (tmp_path / "s" / "data_sar_raw" / "2024-03-01_vv_unknown.tiff").write_bytes(b"of no known orbit")
    back = import_geotiff(tmp_path / "s", tmp_path / "c")
    wanted = np.asarray(cube.s1_asc).copy()
    wanted[0, ..., 1] = 0
    assert np.array_equal(back.s1_asc[:], wanted)
    assert np.array_equal(back.s1_desc[:], cube.s1_desc[:])


def test_dates_without_classes_or_bands_are_told_or_switched(tmp_path: Path) -> None:
    cube, stacks = make_cube(), tmp_path / "s"
    export_geotiff(cube, stacks)
    (stacks / "data_raw" / "scl" / "2024-02-29_mosaic.tiff").unlink()
    with pytest.raises(InputError, match=r"2024-02-29 has no scene classes \(scl\).*missing_scl=\"clear\""):
        import_geotiff(stacks, tmp_path / "a")
    back = import_geotiff(stacks, tmp_path / "a", missing_scl="clear")
    assert np.asarray(back.s2_mask[1]).all()
    assert np.array_equal(back.s2_mask[0], cube.s2_mask[0])
    assert back.provenance["s2_dates_without_classes"] == ["2024-02-29"]
    (stacks / "data_raw" / "rededge2" / "2024-01-03_mosaic.tiff").unlink()
    with pytest.raises(InputError, match="2024-01-03 lacks rededge2; expected all ten bands"):
        import_geotiff(stacks, tmp_path / "b", missing_scl="clear")
    back = import_geotiff(stacks, tmp_path / "b", missing_scl="clear", skip_partial=True)
    assert back.s2_doy.tolist() == [60, 366]
    with pytest.raises(InputError, match="missing_scl 'maybe'"):
        import_geotiff(stacks, tmp_path / "d", missing_scl="maybe")
    assert not (tmp_path / "d").exists()


def test_several_years_are_a_period_or_one_of_them(tmp_path: Path) -> None:
    cube, stacks = make_cube(), tmp_path / "s"
    dates = {
        "s2_dates": ["2023-01-03", "2024-02-29", "2024-12-31"],
        "s1_asc_dates": ["2024-01-01", "2024-03-30"],
        "s1_desc_dates": ["2025-07-19"],
    }
    export_geotiff(replace(cube, provenance=dates), stacks)
    back = import_geotiff(stacks, tmp_path / "a")
    assert same(back, cube)
    assert (back.year, back.provenance["period"]) == (None, ["2023-01-03", "2025-07-19"])
    assert back.provenance["s2_dates"] == dates["s2_dates"]
    assert same(import_geotiff(export_geotiff(back, tmp_path / "t"), tmp_path / "b"), cube)
    one = import_geotiff(stacks, tmp_path / "c", year=2024)
    assert (one.year, one.s2_doy.tolist(), one.s1_desc.shape[0]) == (2024, [60, 366], 0)
    season = import_geotiff(stacks, tmp_path / "e", period="2022-11/2024-02")
    assert (season.year, season.provenance["period"]) == (None, ["2022-11-01", "2024-02-29"])
    assert season.provenance["s2_dates"] == ["2023-01-03", "2024-02-29"]
    with pytest.raises(InputError, match="holds no dates of 2020"):
        import_geotiff(stacks, tmp_path / "d", year=2020)
    with pytest.raises(InputError, match="both a year and a period"):
        import_geotiff(stacks, tmp_path / "d", year=2020, period="2020-11/2021-10")


def test_a_stopped_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 6
        if done == 4:
            raise KeyboardInterrupt

    stacks = export_geotiff(make_cube(), tmp_path / "s")
    whole = import_geotiff(stacks, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        import_geotiff(stacks, tmp_path / "c", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.part", "s", "whole"]
    put: list[str] = []

    def read(grid: Any, stack: str, files: dict[str, Path]) -> Any:
        put.append(stack)
        return _pass(grid, stack, files)

    monkeypatch.setattr("tessera.cubes.geotiff._optical", None)
    monkeypatch.setattr("tessera.cubes.geotiff._pass", read)
    assert same(import_geotiff(stacks, tmp_path / "c"), whole)
    assert put == ["s1_asc", "s1_desc"]
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "c" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_a_changed_file_begins_the_import_anew(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    cube = make_cube()
    stacks = export_geotiff(cube, tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        import_geotiff(stacks, tmp_path / "c", progress=stop)
    changed = np.full((5, 7), 77, dtype=np.uint16)
    write_tiff(stacks / "data_raw" / "red" / "2024-01-03_mosaic.tiff", changed)
    back = import_geotiff(stacks, tmp_path / "c")
    assert np.array_equal(back.s2[0][..., 0], changed)
    assert np.array_equal(back.s2[0][..., 1:], cube.s2[0, ..., 1:])


RED = Path("data_raw") / "red" / "2024-02-29_mosaic.tiff"
SMALL = np.ones((5, 7), dtype=np.uint16)


@pytest.mark.parametrize(
    ("image", "more", "reason"),
    [
        (np.ones((4, 7), np.uint16), {}, "has 4 x 7 pixels, transform .*; expected 5 x 7 pixels"),
        (SMALL, {"transform": rasterio.Affine(10, 0, 660_010, 0, -10, 5_600_000)}, "660010.*; expected 5 x 7"),
        (SMALL, {"crs": "EPSG:32632"}, "EPSG:32632; expected .*EPSG:32631, as .*01-03_mosaic.tiff has"),
        (SMALL, {"crs": None}, "has no CRS"),
        (SMALL.astype(np.float32), {}, "has 1 bands of float32; expected one of uint16"),
        (SMALL, {"count": 2}, "has 2 bands of uint16"),
        (SMALL, {"driver": "PNG"}, "cannot be read as a GeoTIFF"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(
    tmp_path: Path, image: Any, more: dict[str, Any], reason: str, recwarn: pytest.WarningsRecorder
) -> None:
    stacks = export_geotiff(make_cube(), tmp_path / "s")
    (stacks / RED).unlink()
    write_tiff(stacks / RED, image, **more)
    with pytest.raises(InputError, match=reason) as caught:
        import_geotiff(stacks, tmp_path / "c")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c").exists()


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    stacks = export_geotiff(make_cube(), tmp_path / "s")
    whole = (stacks / RED).read_bytes()
    for length in (0, 3, 40, 200, len(whole) // 2):
        (stacks / RED).write_bytes(whole[:length])
        with pytest.raises(InputError, match="02-29_mosaic") as caught:
            import_geotiff(stacks, tmp_path / "c")
        assert "\n" not in str(caught.value)
    (stacks / RED).write_bytes(whole)
    assert import_geotiff(stacks, tmp_path / "c").s2.shape[0] == 3


def test_a_file_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    # 100,000 x 100,000 pixels in one strip of four bytes
    tags = [(256, 4, 100_000), (257, 4, 100_000), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, 100_000), (279, 4, 4)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = struct.pack("<2sHI", b"II", 42, 12) + b"abcd" + struct.pack("<H", len(tags)) + entries + bytes(4)
    path = tmp_path / "s" / "data_sar_raw" / "2024-01-01_vv_ascending.tiff"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"has 100000 x 100000 pixels; expected at most 12000 a side"):
        import_geotiff(tmp_path / "s", tmp_path / "c")


def test_links_that_lead_out_and_side_files_are_not_followed(tmp_path: Path) -> None:
    stacks = export_geotiff(make_cube(), tmp_path / "s")
    (stacks / RED).rename(tmp_path / "outside.tiff")
    (stacks / RED).symlink_to(tmp_path / "outside.tiff")
    with pytest.raises(InputError, match="expected no links that lead out"):
        import_geotiff(stacks, tmp_path / "c")
    (stacks / RED).unlink()
    (tmp_path / "outside.tiff").rename(stacks / RED)
    (stacks / RED.with_name(f"{RED.name}.aux.xml")).write_text(
        "<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>1,2,3,4,5,6</GeoTransform></PAMDataset>"
    )
    assert import_geotiff(stacks, tmp_path / "c").grid == GRID


def test_folders_and_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds neither data_raw nor data_sar_raw"):
        import_geotiff(tmp_path, tmp_path / "c")
    (tmp_path / "data_raw").mkdir()
    with pytest.raises(InputError, match="holds no dates"):
        import_geotiff(tmp_path, tmp_path / "c")
    write_tiff(tmp_path / "data_raw" / "red" / "2023-02-29_mosaic.tiff", SMALL)
    with pytest.raises(InputError, match="2023-02-29 is no date"):
        import_geotiff(tmp_path, tmp_path / "c")


def test_an_export_is_whole_or_not_there(tmp_path: Path) -> None:
    cube = make_cube()
    for change, reason in (
        ({"grid": None}, "no CRS and no transform"),
        ({"provenance": {}}, "neither the year nor the dates of its 3 s2"),
        ({"provenance": {"year": 2023}}, "day of year 366, which is not in the cube's year 2023"),
        ({"s1_asc_doy": np.array([90, 90], dtype=np.int16)}, "2024-03-30 twice in s1_asc"),
    ):
        changed: dict[str, Any] = change
        with pytest.raises(InputError, match=reason):
            export_geotiff(replace(cube, **changed), tmp_path / "s")
        assert list(tmp_path.iterdir()) == []

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_geotiff(cube, tmp_path / "s", progress=stop)
    assert list(tmp_path.iterdir()) == []
    export_geotiff(cube, tmp_path / "s")
    with pytest.raises(InputError, match="exists; expected a new path for the GeoTIFF stacks"):
        export_geotiff(cube, tmp_path / "s")


def test_a_file_that_does_not_read_back_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr("tessera.rasters.strips.checksum", lambda strip: next(numbers))
    with pytest.raises(TesseraError, match=r"cannot write 2024-01-03_mosaic\.tiff: rows 0 to \d+ came back changed"):
        export_geotiff(make_cube(), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
