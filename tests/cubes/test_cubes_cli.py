"""tessera cube info, import and export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tessera.cubes import PixelCube, export_dpixel, open_cube, write_cube
from tessera.geo import Window

pytest.importorskip("rasterio")

Run = Callable[..., tuple[int, str, str]]


def make_cube() -> PixelCube:
    rng = np.random.default_rng(0)
    dates = {"s2_dates": ["2021-04-20", "2021-06-01", "2022-01-10"], "s1_asc_dates": ["2021-04-30", "2022-03-31"]}
    return PixelCube(
        s2=rng.integers(0, 10_000, (3, 5, 7, 10), dtype=np.uint16),
        s2_mask=rng.integers(0, 2, (3, 5, 7), dtype=np.uint8),
        s2_doy=np.array([110, 152, 10], dtype=np.int16),
        s1_asc=rng.integers(0, 9000, (2, 5, 7, 2), dtype=np.int16),
        s1_asc_doy=np.array([120, 90], dtype=np.int16),
        s1_desc=np.zeros((0, 5, 7, 2), dtype=np.int16),
        s1_desc_doy=np.zeros(0, dtype=np.int16),
        grid=Window(31, 66_000, 560_000, 7, 5).grid,
        provenance={
            "year": None,
            "period": ["2021-04-01", "2022-03-31"],
            "source": ["mpc", "opera"],
            "scenes_lost": 1,
            "lost": [{"id": "S2A_\x1b[31mX", "source": "mpc", "band": "B04", "reason": "corrupt"}],
            **dates,
        },
    )


@pytest.fixture
def cube(tmp_path: Path) -> PixelCube:
    return write_cube(make_cube(), tmp_path / "cube.zarr")


def test_info_tells_dates_period_clearness_and_losses(tmp_path: Path, cube: PixelCube, run: Run) -> None:
    code, out, err = run("cube", "info", tmp_path / "cube.zarr")
    assert (code, err) == (0, "")
    rows = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines()}
    counts = (np.asarray(make_cube().s2_mask) != 0).sum(axis=0)
    assert rows["period"] == "2021-04-01 to 2022-03-31"
    assert rows["sentinel 2 dates"] == "3, 2021-04-20 to 2022-01-10"
    assert rows["sentinel 1 ascending dates"] == "2, 2021-04-30 to 2022-03-31"
    assert rows["sentinel 1 descending dates"] == "0"
    assert rows["orbits"] == "ascending"
    assert rows["source"] == "mpc opera"
    assert rows["clear observations"] == f"min {counts.min()}, median {np.median(counts):g}, max {counts.max()}"
    assert rows["scenes lost"] == r"1: S2A_\x1b[31mX B04 corrupt"
    code, out, _ = run("cube", "info", tmp_path / "cube.zarr", "--json")
    about = json.loads(out)
    assert about["dates"] == {
        "s2": make_cube().provenance["s2_dates"],
        "s1_asc": ["2021-04-30", "2022-03-31"],
        "s1_desc": [],
    }
    assert about["period"] == ["2021-04-01", "2022-03-31"]
    assert about["sentinel_2_clear_fraction"] == round(float(np.asarray(make_cube().s2_mask).mean()), 4)
    assert about["clear_observations"] == {
        "min": counts.min(),
        "median": np.median(counts),
        "max": counts.max(),
    }
    assert about["lost"][0]["reason"] == "corrupt"
    assert about["sha256"] == make_cube().sha256


def test_info_of_a_cube_that_says_little(tmp_path: Path, run: Run) -> None:
    export_dpixel(make_cube(), tmp_path / "d")
    code, out, _ = run("cube", "info", tmp_path / "d")
    assert code == 0
    assert "unknown" in next(line for line in out.splitlines() if line.startswith("period"))
    odd = replace(make_cube(), provenance={"lost": "x", "scenes_lost": [1], "source": {"a": 1}, "period": 3})
    write_cube(odd, tmp_path / "odd.zarr")
    assert run("cube", "info", tmp_path / "odd.zarr", "--picture", tmp_path / "odd.png")[0] == 0


def test_info_draws_a_picture(tmp_path: Path, cube: PixelCube, run: Run) -> None:
    pytest.importorskip("matplotlib")
    code, out, _ = run("cube", "info", tmp_path / "cube.zarr", "--picture", tmp_path / "cube.png")
    assert code == 0
    assert "cube.png: a calendar" in out
    assert (tmp_path / "cube.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = run("cube", "info", tmp_path / "cube.zarr", "--json", "--picture", tmp_path / "other.png")
    assert json.loads(out)["height"] == 5
    code, _, err = run("cube", "info", tmp_path / "cube.zarr", "--picture", tmp_path / "cube.jpg")
    assert code == 2
    assert "ends in .png" in err


def test_geotiff_stacks_go_out_and_in(tmp_path: Path, cube: PixelCube, run: Run) -> None:
    code, out, _ = run("cube", "export", tmp_path / "cube.zarr", "--format", "geotiff", "-o", tmp_path / "s")
    assert code == 0
    assert "3 Sentinel-2, 2 + 0 Sentinel-1 dates" in out
    assert run("cube", "import", tmp_path / "s", "-o", tmp_path / "a.zarr")[0] == 0
    assert open_cube(tmp_path / "a.zarr").sha256 == cube.sha256
    (tmp_path / "s" / "data_raw" / "scl" / "2021-06-01_mosaic.tiff").unlink()
    code, _, err = run("cube", "import", tmp_path / "s", "-o", tmp_path / "b.zarr")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "2021-06-01 has no scene classes" in err
    assert run("cube", "import", tmp_path / "s", "-o", tmp_path / "b.zarr", "--missing-scl", "clear")[0] == 0
    (tmp_path / "s" / "data_raw" / "red" / "2021-06-01_mosaic.tiff").unlink()
    assert run("cube", "import", tmp_path / "s", "-o", tmp_path / "c.zarr", "--skip-partial", "--year", 2021)[0] == 0
    assert open_cube(tmp_path / "c.zarr").s2_doy.tolist() == [110]
    assert open_cube(tmp_path / "c.zarr").year == 2021


def test_options_that_do_not_fit_are_one_line(tmp_path: Path, cube: PixelCube, run: Run) -> None:
    run("cube", "export", tmp_path / "cube.zarr", "-o", tmp_path / "d")
    stacks = ("cube", "export", tmp_path / "cube.zarr", "--format", "geotiff", "-o", tmp_path / "s")
    run(*stacks)
    # run again, as after a kill behind the last rename
    again = ("cube", "import", tmp_path / "s", "-o", tmp_path / "again.zarr")
    run(*again)
    for done in (("cube", "export", tmp_path / "cube.zarr", "-o", tmp_path / "d"), stacks, again):
        code, out, err = run(*done)
        assert code == 0, err
        assert ": already there, " in out
    code, _, err = run("cube", "export", tmp_path / "cube.zarr", "-o", tmp_path / "s")
    assert code == 2
    assert "exists and is not this dpixel folder" in err
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "data_raw").mkdir()
    (tmp_path / "both" / "bands.npy").write_bytes(b"")
    for command, reason in (
        (["export", tmp_path / "cube.zarr", "--format", "netcdf", "-o", tmp_path / "x"], "expected dpixel or geotiff"),
        (["import", tmp_path / "s", "--crs", "EPSG:32631", "-o", tmp_path / "x"], "are for a d-pixel folder"),
        (["import", tmp_path / "d", "--skip-partial", "-o", tmp_path / "x"], "are for GeoTIFF stacks"),
        (["import", tmp_path / "d", "--crs", "EPSG:32631", "-o", tmp_path / "x"], "expected all three or none"),
        (["import", tmp_path / "both", "-o", tmp_path / "x"], "expected one of them"),
        (["import", tmp_path / "s", "-o", tmp_path / "cube.zarr"], "exists and is not this cube; expected a new path"),
    ):
        code, _, err = run("cube", *command)
        assert code == 2
        lines = [line for line in err.strip().splitlines() if ": done in" not in line]
        assert len(lines) == 1
        assert reason in lines[0]
    assert not (tmp_path / "x").exists()
