"""tessera cube build, scenes and info, and embed, over scenes that are served or lie in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.cubes import open_cube
from tessera.geo import Window
from tessera.scenes import Recipe, build_cube, read_scenes, search_scenes
from tessera.simulator import simulate
from tessera.store import open_store
from tessera.testing import At, Faults, serve_scenes

Run = Callable[..., tuple[int, str, str]]

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 24, 18)
_WEST, _SOUTH, _EAST, _NORTH = WINDOW.lonlat_bounds
BBOX = f"{_WEST + 1e-4:.6f},{_SOUTH + 1e-4:.6f},{_EAST - 1e-4:.6f},{_NORTH - 1e-4:.6f}"
AREA = ("--bbox", BBOX)
YEAR = ("--year", 2021)
NOWHERE = "stac:http://127.0.0.1:9/stac"
"""A port on which nobody answers."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "scenes"
    simulate(folder, Window(31, 64 * 1024, 548 * 1024, 40, 40), 2021, s2_dates=6, s1_dates=2)
    return folder


@pytest.fixture
def provider(scenes: Path) -> Iterator[Any]:
    with serve_scenes(scenes) as serving:
        yield serving


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_served_scenes_to_a_cube_and_what_is_told_of_it(tmp_path: Path, run: Run, provider: Any, scenes: Path) -> None:
    out = tmp_path / "new" / "cube.zarr"
    command = ["cube", "build", "--source", f"stac:{provider.url}", *AREA, *YEAR, "-o", out]
    code, said, err = run(*command)
    assert code == 0, err
    cube = open_cube(out)
    height, width = cube.shape
    assert said == f"{out}: {height} x {width} pixels, {cube.s2.shape[0]} Sentinel-2, 2 + 2 Sentinel-1 dates\n"
    assert err.startswith("Reading scenes of zone 31: done in ")
    assert len(err.splitlines()) == 1
    assert [path.name for path in out.parent.iterdir()] == ["cube.zarr"]
    # the bbox's own window, as the library reads it
    grid = cube.grid
    assert grid is not None
    want = build_cube(Window.of_grid(grid), 2021, source=scenes)
    np.testing.assert_array_equal(cube.s2[:], want.s2[:])
    np.testing.assert_array_equal(cube.s1_desc[:], want.s1_desc[:])
    # again: nobody is asked
    provider.forget()
    before = files_of(out)
    code, said, err = run(*command)
    assert (code, err) == (0, "")
    assert said == f"{out}: already there, of the same area, time, source and rules; remove it to build it anew\n"
    assert (provider.count(), files_of(out)) == (0, before)
    code, said, _ = run("cube", "info", out, "--json")
    told = json.loads(said)
    assert code == 0
    assert told["source"] == provider.url.split("/")[2]
    assert told["dates"]["s2"] == cube.provenance["s2_dates"]
    assert (told["scenes_lost"], told["lost"]) == (0, [])
    assert told["period"] == ["2021-01-01", "2021-12-31"]
    assert told["orbits"] == ["ascending", "descending"]
    code, said, _ = run("cube", "info", out)
    assert code == 0
    assert any(line.split() == ["scenes", "lost", "0"] for line in said.splitlines())


def test_a_season_by_other_rules_from_a_folder(tmp_path: Path, run: Run, scenes: Path) -> None:
    rules = ["--set", "coarse=nearest", "--set", "orbits=ascending", "--set", "max_cloud=60"]
    season = ["--from", "2021-04-01", "--to", "2021-10-31"]
    out = tmp_path / "season"
    code, said, err = run("cube", "build", "--source", scenes, *AREA, *season, *rules, "-o", out)
    assert code == 0, err
    cube = open_cube(out)
    assert f"{cube.s2.shape[0]} Sentinel-2, 0 + 0 Sentinel-1" in said
    assert cube.s2.shape[0] > 0
    assert cube.provenance["period"] == ["2021-04-01", "2021-10-31"]
    wanted = Recipe(coarse="nearest", orbits=("ascending",), max_cloud=60.0)
    assert cube.provenance["recipe"] == wanted.to_json()
    assert cube.provenance["resampling"]["B11"] == "nearest"
    code, _, err = run("cube", "build", "--source", scenes, *AREA, *YEAR, "--published", "-o", tmp_path / "published")
    assert code == 0, err
    assert open_cube(tmp_path / "published").provenance["recipe"] == Recipe.published().to_json()


def test_another_cube_is_not_taken_for_this_one(tmp_path: Path, run: Run, scenes: Path) -> None:
    out = tmp_path / "cube"
    command = ["cube", "build", "--source", scenes, *AREA, "-o", out]
    assert run(*command, *YEAR)[0] == 0
    before = files_of(out)
    shifted = f"{_WEST + 1e-4:.6f},{_SOUTH + 1e-4:.6f},{_EAST - 6e-4:.6f},{_NORTH - 1e-4:.6f}"
    for given, what in (
        ([*YEAR, "--published"], "recipe"),
        ([*YEAR, "--reader", "odc"], "reader"),
        (["--from", "2021-03-01", "--to", "2021-08-01"], "period"),
        (["--from", "2021-03-01", "--to", "2021-08-01", "--set", "day=utc"], "period and recipe"),
        ([*YEAR, "--source", NOWHERE], "source"),
        ([*YEAR, "--bbox", shifted], "area"),
    ):
        code, said, err = run(*command, *given)
        assert (code, said) == (2, ""), given
        assert err == f"tessera: {out} exists, of another {what}; expected a new path for the cube\n"
    assert files_of(out) == before
    (tmp_path / "file").write_text("not a cube")
    code, _, err = run("cube", "build", "--source", scenes, *AREA, *YEAR, "-o", tmp_path / "file")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith(f"tessera: cube {tmp_path / 'file'} is a file; expected a new path")
    assert (tmp_path / "file").read_text() == "not a cube"


def test_a_search_kept_in_a_table_is_a_source(tmp_path: Path, run: Run, provider: Any) -> None:
    table, source = tmp_path / "scenes.parquet", f"stac:{provider.url}"
    command = ["cube", "scenes", "--source", source, *AREA, *YEAR, "-o", table]
    code, said, err = run(*command)
    assert code == 0, err
    assert said == f"{table}: 6 Sentinel-2 and 4 Sentinel-1 scenes of 2021\n"
    # the same search again is no error, another one is
    before = table.read_bytes()
    assert run(*command)[0] == 0
    code, _, err = run(*command, "--year", 2020)
    assert code == 2
    assert table.read_bytes() == before
    table.write_bytes(b"mine")
    code, _, err = run(*command)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "exists and is no earlier table; expected a new path, or --overwrite" in err
    assert table.read_bytes() == b"mine"
    assert run(*command, "--overwrite")[0] == 0
    assert table.read_bytes() == before
    provider.forget()
    code, _, err = run("cube", "build", "--source", table, *AREA, *YEAR, "-o", tmp_path / "a")
    assert code == 0, err
    assert provider.count("/search") == 0
    assert provider.count(".tif") > 0
    code, said, err = run("cube", "build", "--source", source, *AREA, *YEAR, "-o", tmp_path / "b")
    assert code == 0, err
    a, b = open_cube(tmp_path / "a"), open_cube(tmp_path / "b")
    assert a.sha256 == b.sha256
    assert a.provenance | {"asked": ""} == b.provenance | {"asked": ""}
    # a table is a source of its own
    code, said, _ = run("cube", "build", "--source", table, *AREA, *YEAR, "-o", tmp_path / "a")
    assert (code, "already there" in said) == (0, True)
    code, _, err = run("cube", "build", "--source", source, *AREA, *YEAR, "-o", tmp_path / "a")
    assert (code, "exists, of another catalogue or table of that name;" in err) == (2, True)
    kept = read_scenes(table)
    replace(kept, scenes=kept.scenes[1:]).write(table)
    code, _, err = run("cube", "build", "--source", table, *AREA, *YEAR, "-o", tmp_path / "a")
    assert (code, "exists, of another catalogue or table of that name;" in err) == (2, True)
    # a table of another time or place
    code, _, err = run("cube", "build", "--source", table, *AREA, "--year", 2020, "-o", tmp_path / "c")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "the table of scenes covers" in err
    assert not list(tmp_path.glob("c*"))


def test_mistakes_are_one_line_and_leave_nothing(tmp_path: Path, run: Run, scenes: Path) -> None:
    out = ["-o", tmp_path / "out" / "cube"]
    folder = ["--source", scenes]
    wrong: list[tuple[list[object], str]] = [
        (["build", *folder, *AREA, *out], "neither of --year and --from --to given"),
        (["build", *folder, *AREA, *YEAR, "--from", "2021-01-01", *out], "only one of --from and --to given"),
        (
            ["build", *folder, *AREA, *YEAR, "--from", "2021-01-01", "--to", "2021-02-01", *out],
            "both of --year and --from --to given",
        ),
        (["build", *folder, *AREA, "--from", "2021-05-01", "--to", "2021-04-01", *out], "2021-0"),
        (["build", *folder, *AREA, "--year", 1999, *out], "year 1999"),
        (["build", *folder, *YEAR, *out], "none given; expected exactly one of --bbox, --aoi, --tile"),
        (["build", *folder, *YEAR, *AREA, "--tile", "utm31_e64_n548", *out], "--bbox, --tile given"),
        (["build", *folder, *YEAR, "--bbox", "1,2,3", *out], "has 3 numbers; expected four"),
        (["build", *folder, *YEAR, "--tile", "nothing", *out], "nothing"),
        (["build", *folder, *YEAR, "--aoi", tmp_path / "none.geojson", *out], "none.geojson"),
        (["build", *AREA, *YEAR, *out], "--source"),
        (["build", "--source", "plantary", *AREA, *YEAR, *out], "catalogue not found: plantary; expected mpc"),
        (["build", "--source", "mpc,mpc", *AREA, *YEAR, *out], "source mpc is given twice"),
        (["build", "--source", "stac:ftp://x", *AREA, *YEAR, *out], "http or https address"),
        (["build", "--source", tmp_path / "none.parquet", *AREA, *YEAR, *out], "none.parquet"),
        (["build", *folder, *AREA, *YEAR, "--reader", "gdal", *out], "reader 'gdal'; expected ranges or odc"),
        (["build", *folder, *AREA, *YEAR, "--max-lost", -1, *out], "max_lost -1; expected 0 or more"),
        (["build", *folder, *AREA, *YEAR, "--set", "clouds=1", *out], "--set clouds=1; expected name=value with one"),
        (["build", *folder, *AREA, *YEAR, "--set", "max_cloud=much", *out], "max_cloud 'much'; expected a number"),
        (["build", *folder, *AREA, *YEAR, "--set", "max_cloud=nan", *out], "expected per cent"),
        (["build", *folder, *AREA, *YEAR, "--set", "duplicates=no", *out], "duplicates 'no'; expected true or false"),
        (["build", *folder, *AREA, *YEAR, "--set", "coarse=smooth", *out], "coarse 'smooth'; expected nearest"),
        (["build", *folder, *AREA, *YEAR, "--set", "orbits=up", *out], "orbits up; expected ascending"),
        (["scenes", *folder, *AREA, *YEAR, "-o", tmp_path / "scenes.csv"], "does not end in .parquet"),
        (["info", tmp_path / "none"], "none"),
        (["build", *folder, "--bbox", "20,10,20.01,10.01", *YEAR, *out], "no Sentinel-1 or Sentinel-2 item on"),
        (["build", *folder, *AREA, "--year", 2019, *out], "covers"),
    ]
    for given, reason in wrong:
        code, said, err = run("cube", *given)
        assert (code, len(err.splitlines()), said) == (2, 1, ""), (given, err)
        assert reason in err, (given, err)
    assert not (tmp_path / "out" / "cube").exists()


def test_a_lost_scene_is_told_and_over_the_budget_it_is_one_line(tmp_path: Path, run: Run, scenes: Path) -> None:
    faults = Faults(missing=At(r"20210514.*/B12"))
    with serve_scenes(scenes, faults=faults) as provider:
        command = ["cube", "build", "--source", f"stac:{provider.url}", *AREA, *YEAR]
        code, said, err = run(*command, "--max-lost", 0, "-o", tmp_path / "strict")
        assert (code, said) == (1, "")
        assert err.splitlines()[-1].startswith("tessera: 1 scene cannot be read, at most 0 may be lost; item S2A_")
        assert "404" in err
        assert len(err.splitlines()) == 1
        assert not (tmp_path / "strict").exists()
        code, said, _ = run(*command, "-o", tmp_path / "lost")
        assert code == 0
        assert said.endswith("2 + 2 Sentinel-1 dates, 1 scene lost\n")
        code, said, _ = run("cube", "info", tmp_path / "lost")
        assert any(line.startswith("scenes lost") and "B12 missing" in line for line in said.splitlines())
        provider.change(Faults())
        code, _, err = run(*command, "--max-lost", 0, "-o", tmp_path / "strict")
        assert code == 0, err
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["lost", "strict"]


def test_from_a_served_api_to_a_store(tmp_path: Path, run: Run, provider: Any) -> None:
    store = tmp_path / "store"
    command = ["embed", *AREA, *YEAR, "--source", f"stac:{provider.url}", "-o", store]
    command += ["--device", "cpu", "--precision", "fp32"]
    code, said, err = run(*command)
    assert code == 0, err
    name = provider.url.split("/")[2]
    assert said.splitlines()[0] == f"{name}: 6 Sentinel-2 and 4 Sentinel-1 scenes of 2021"
    cells = len(open_store(store).cells(2021))
    assert said.splitlines()[1] == (
        f"{store}: {cells} cell{'s' * (cells != 1)} written, 0 already there, 0 without scenes, 0 refused"
    )
    found = open_store(store).read_window(WINDOW, 2021)
    assert np.isfinite(found.scales).mean() > 0.5
    provider.forget()
    code, said, err = run(*command)
    assert code == 0, err
    assert f"0 cells written, {cells} already there" in said
    assert provider.count() == 0


def test_only_scenes_of_the_period_and_area_are_counted(tmp_path: Path, run: Run, scenes: Path) -> None:
    # a catalogue in a folder says all that it has
    season = ["--from", "2021-01-01", "--to", "2021-03-31"]
    code, said, err = run("cube", "scenes", "--source", scenes, *AREA, *season, "-o", tmp_path / "a.parquet")
    assert code == 0, err
    table = read_scenes(tmp_path / "a.parquet")
    wanted = [scene for scene in table.scenes if scene.moment.month <= 3]
    assert 0 < len(wanted) < len(table.scenes) == 10
    optical = sum(scene.optical for scene in wanted)
    told = f"{optical} Sentinel-2 and {len(wanted) - optical} Sentinel-1 scenes of 2021-01-01/2021-03-31"
    assert said == f"{tmp_path / 'a.parquet'}: {told}\n"
    # far, and beside
    for name, there in (("b", "20,10,20.01,10.01"), ("c", f"{_WEST},{_NORTH + 0.05},{_EAST},{_NORTH + 0.06}")):
        where = ["--bbox", there, *YEAR, "-o", tmp_path / f"{name}.parquet"]
        code, said, err = run("cube", "scenes", "--source", scenes, *where)
        assert (code, ": 0 Sentinel-2 and 0 Sentinel-1 scenes" in said, len(err.splitlines())) == (0, True, 1)


def test_a_part_of_the_area_that_nobody_saw_is_told(tmp_path: Path, run: Run, scenes: Path) -> None:
    left = Window(31, 64 * 1024 - 20, 548 * 1024, 40, 20)
    west, south, east, north = left.lonlat_bounds
    wide = ["--bbox", f"{west + 1e-4:.6f},{south + 1e-4:.6f},{east - 1e-4:.6f},{north - 1e-4:.6f}"]
    code, _, err = run("cube", "build", "--source", scenes, *wide, *YEAR, "-o", tmp_path / "cube")
    assert code == 0, err
    assert err.splitlines()[1].endswith(
        "% of the pixels have no clear Sentinel-2 observation; the scenes may not cover the whole area"
    )
    assert 30 < int(err.splitlines()[1].partition("%")[0]) < 60
    code, _, err = run("cube", "scenes", "--source", scenes, *wide, *YEAR, "-o", tmp_path / "t.parquet")
    assert (code, err.splitlines()[1].startswith("the scenes cover ")) == (0, True)


def test_what_a_search_left_out_is_told(tmp_path: Path, run: Run, scenes: Path) -> None:
    table = search_scenes(WINDOW, 2021, str(scenes))
    replace(table, left_out={"no asset B04": 2, "no geometry": 5}).write(tmp_path / "t.parquet")
    code, _, err = run("cube", "build", "--source", tmp_path / "t.parquet", *AREA, *YEAR, "-o", tmp_path / "cube")
    assert code == 0, err
    assert err.splitlines()[1:] == ["7 items left out by the search, 5 of them: no geometry"]
    replace(table, scenes=(), left_out={"no asset B04": 2, "no geometry": 5}).write(tmp_path / "none.parquet")
    code, _, err = run("cube", "build", "--source", tmp_path / "none.parquet", *AREA, *YEAR, "-o", tmp_path / "none")
    assert (code, "; the search left out 7 there, most of them for: no geometry\n" in err) == (2, True)
    said = run("cube", "info", tmp_path / "cube")[1]
    rows = [line.split(None, 2) for line in said.splitlines() if line.startswith("  ")]
    assert ["left", "out", "no asset B04 2, no geometry 5"] in rows
    assert ["reader", "ranges"] in rows


def test_a_folder_without_a_place_says_what_it_needs(tmp_path: Path, run: Run, scenes: Path) -> None:
    assert run("cube", "build", "--source", scenes, *AREA, *YEAR, "-o", tmp_path / "cube")[0] == 0
    code, said, _ = run("cube", "export", tmp_path / "cube", "-o", tmp_path / "d")
    advice = said.splitlines()[-1].partition("import it with ")[2].split()
    assert (code, advice[:2]) == (0, ["--year", "2021"])
    code, _, err = run("cube", "import", tmp_path / "d", "--year", 2021, "-o", tmp_path / "nowhere")
    assert code == 0
    assert err.splitlines()[-1].startswith(f"{tmp_path / 'nowhere'} has no place: tessera embed refuses it")
    code, _, err = run("cube", "import", tmp_path / "d", *advice, "-o", tmp_path / "placed")
    assert (code, "no place" in err) == (0, False)
    assert open_cube(tmp_path / "placed").sha256 == open_cube(tmp_path / "cube").sha256


def test_a_bbox_with_latitudes_first_gets_a_hint(tmp_path: Path, run: Run, scenes: Path) -> None:
    west, south, east, north = BBOX.split(",")
    swapped = ["--bbox", f"{south},{west},{north},{east}"]
    code, _, err = run("cube", "build", "--source", scenes, *swapped, *YEAR, "-o", tmp_path / "cube")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.endswith(f"; latitude seems to come first in the bbox: {BBOX}\n")
