"""tessera embed from scenes: one search, cell by cell into the store, and every mistake told in one line."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessera.scenes
from tessera.base import InputError, TesseraError
from tessera.cubes import PixelCube, open_cube, write_cube
from tessera.geo import Cell, Window, parse_period, to_lonlat
from tessera.net import LoadError
from tessera.scenes import Asset, NoScenesError, Recipe, Scene, SceneTable
from tessera.store import open_store

Run = Callable[..., tuple[int, str, str]]

_CORNER = Cell(31, 64, 548).window
AREA = Window(31, _CORNER.west - 6, _CORNER.north + 4, 14, 10)
"""The corner of four cells."""
CELLS = ("utm31_e63_n549", "utm31_e64_n549", "utm31_e63_n548", "utm31_e64_n548")


class LossError(TesseraError):
    """As `build_cube` refuses a cube."""


class Provider:
    """Stands in for the search and the build; its observations depend on the place alone."""

    def __init__(self) -> None:
        self.searches: list[tuple[str, str]] = []
        self.windows: list[Window] = []
        self.given: list[dict[str, Any]] = []
        self.trouble: dict[str, Exception] = {}
        self.lost = 0
        self.ring = ((5.0, 50.0), (6.0, 50.0), (6.0, 51.0), (5.0, 51.0))
        self.left_out: dict[str, int] = {}

    def search(self, aoi: Any, year: Any, source: Any, *, progress: Any) -> SceneTable:
        progress(1, 1)
        self.searches.append((aoi.name, str(year)))
        moment = dt.datetime(2021, 6, 1, 10, tzinfo=dt.UTC)
        assets = {"VV": Asset("https://example.org/vv.tif"), "VH": Asset("https://example.org/vh.tif")}
        radar = Scene(
            id="radar",
            collection="sentinel-1-rtc",
            source=str(source),
            moment=moment,
            footprint=self.ring,
            cloud_cover=None,
            baseline="",
            orbit="ascending",
            platform="",
            datatake="",
            tile="",
            assets=assets,
        )
        query = {"box": [5.0, 50.0, 6.0, 51.0], "first": "2020-12-31", "last": "2022-01-01", "sources": [str(source)]}
        # a source may say more than was asked for
        others = [replace(radar, id="late", moment=moment.replace(year=2022))]
        others.append(replace(radar, id="far", footprint=((9.0, 50.0), (9.5, 50.0), (9.5, 51.0))))
        return SceneTable((radar, *others), query, self.left_out)

    def build(self, window: Window, year: Any, *, source: Any, out: Path, progress: Any, **more: Any) -> PixelCube:
        assert isinstance(source, SceneTable)
        self.windows.append(window)
        self.given.append(more)
        name = Cell.at(31, window.west, window.south).name
        if name in self.trouble:
            raise self.trouble[name]
        progress(1, 1)
        height, width = window.shape
        rng = np.random.default_rng(abs(hash((window.west, window.north))) % 2**32)
        days, radar = np.zeros(0, dtype=np.int16), np.zeros((0, height, width, 2), dtype=np.int16)
        cube = PixelCube(
            s2=rng.integers(1, 9000, (2, height, width, 10), dtype=np.uint16),
            s2_mask=np.ones((2, height, width), dtype=np.uint8),
            s2_doy=np.asarray([100, 200], dtype=np.int16),
            s1_asc=radar,
            s1_asc_doy=days,
            s1_desc=radar,
            s1_desc_doy=days,
            grid=window.grid,
            provenance={
                "year": year.year,
                "period": year.to_json(),
                "source": ",".join(source.query["sources"]),
                "recipe": more["recipe"].to_json(),
                "reader": more["reader"],
                "scenes_lost": self.lost,
            },
        )
        return write_cube(cube, out)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    made = Provider()
    faces = {
        "search_scenes": made.search,
        "build_cube": made.build,
        "source_names": lambda source: str(source).removesuffix(".parquet").rpartition("/")[2],
        "LossError": LossError,
    }
    for name, value in faces.items():
        monkeypatch.setattr(tessera.scenes, name, value)
    return made


def bbox_of(window: Window) -> str:
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left + 12, right - 12], [bottom + 12, top - 12], window.zone)
    return f"{lon[0]:.6f},{lat[0]:.6f},{lon[1]:.6f},{lat[1]:.6f}"


BBOX = bbox_of(AREA)
SMALL = bbox_of(Window(31, _CORNER.west, _CORNER.north, 8, 6))
"""Within the last of the cells."""
PLAIN = ("--device", "cpu", "--precision", "fp32")


def files_of(store: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(store)): path for path in sorted(store.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".tessera/locks/")}


def test_scenes_to_a_store_in_one_command_and_again_without_a_request(
    tmp_path: Path, run: Run, provider: Provider
) -> None:
    store = tmp_path / "s"
    command = ["embed", "--bbox", BBOX, "--year", 2021, "--source", "mpc", "-o", store, *PLAIN]
    code, out, err = run(*command)
    assert code == 0, err
    assert out.splitlines() == [
        "mpc: 0 Sentinel-2 and 1 Sentinel-1 scenes of 2021",
        f"{store}: 4 cells written, 0 already there, 0 without scenes, 0 refused",
    ]
    assert [line for line in err.splitlines() if "utm31" in line] == [
        f"{cell} written, {number} of 4 cells" for number, cell in enumerate(CELLS, 1)
    ]
    assert (len(provider.searches), len(provider.windows)) == (1, 4)
    assert provider.given[0] == {"recipe": Recipe(), "reader": "ranges", "max_lost": 1}
    opened = open_store(store)
    assert {cell.name for cell in opened.cells(2021)} == set(CELLS)
    assert (store / "manifest.parquet").exists() or list(store.glob("*.parquet"))
    before = files_of(store)
    assert not [name for name in before if name.startswith(".tessera/work/cubes")]
    code, out, _ = run(*command)
    assert code == 0
    assert out.splitlines() == [
        "mpc: 0 Sentinel-2 and 1 Sentinel-1 scenes of 2021, as found before (--refresh searches again)",
        f"{store}: 0 cells written, 4 already there, 0 without scenes, 0 refused",
    ]
    assert (len(provider.searches), len(provider.windows)) == (1, 4)
    assert files_of(store) == before
    code, out, _ = run(*command, "--refresh")
    assert code == 0
    assert "0 cells written, 4 already there" in out
    assert (len(provider.searches), len(provider.windows)) == (2, 8)
    assert files_of(store) == before
    # what was found is kept for one question only, and a damaged answer is asked for again
    (kept,) = (store / ".tessera" / "work" / "scenes").iterdir()
    kept.write_bytes(b"PAR1")
    code, out, _ = run(*command)
    assert code == 0
    assert len(provider.searches) == 3


def test_a_season_is_kept_under_the_year_that_was_given(tmp_path: Path, run: Run, provider: Provider) -> None:
    season = ["--from", "2021-04-01", "--to", "2021-09-30"]
    command = ["embed", "--tile", CELLS[3], "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
    small = ["embed", "--bbox", BBOX, "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
    code, out, err = run(*small, *season, "--year", 2021, "--set", "max_cloud=80", "--max-lost", 0, "--reader", "odc")
    assert code == 0, err
    assert provider.searches[0][1] == "2021-04-01/2021-09-30"
    assert provider.given[0] == {"recipe": Recipe(max_cloud=80), "reader": "odc", "max_lost": 0}
    store = open_store(tmp_path / "s")
    record = store.commit(store.cells(2021)[0], 2021)
    assert record is not None
    assert record.inputs[0]["provenance"]["period"] == ["2021-04-01", "2021-09-30"]
    wrong: list[tuple[list[object], str]] = [
        ([*season], "2021-04-01/2021-09-30 is no calendar year; give with --year"),
        ([*season, "--year", 2019], "year 2019 with a period of 2021-04-01/2021-09-30"),
        (["--from", "2021-04-01", "--year", 2021], "only one of --from and --to given"),
        ([], "neither of --year and --from --to given"),
        (["--from", "2021-04-01", "--to", "spring", "--year", 2021], "day 'spring'"),
    ]
    for given, reason in wrong:
        code, out, err = run(*command, *given)
        assert (code, len(err.splitlines()), out) == (2, 1, ""), (given, err)
        assert reason in err, (given, err)
    assert len(provider.searches) == 1


def test_a_whole_year_by_its_days_is_that_year(tmp_path: Path, run: Run, provider: Provider) -> None:
    days = ["--from", "2021-01-01", "--to", "2021-12-31"]
    code, _, err = run("embed", "--bbox", BBOX, "--source", "mpc", "-o", tmp_path / "s", *PLAIN, *days)
    assert code == 0, err
    assert open_store(tmp_path / "s").years == (2021,)


def test_mistakes_are_one_line(tmp_path: Path, run: Run, provider: Provider) -> None:
    area = ["--bbox", BBOX, "--year", 2021]
    wrong: list[tuple[list[object], str]] = [
        ([], "nothing to embed; expected cubes, or an area"),
        (["--source", "mpc", "--year", 2021], "nothing to embed"),
        (["cube.zarr", *area, "--source", "mpc"], "both cube.zarr and --bbox given"),
        (["cube.zarr", "--refresh"], "--refresh given with the cube cube.zarr"),
        (["cube.zarr", "--from", "2021-01-01"], "--from given with the cube"),
        (area, "none given; expected exactly one of --source, --scenes"),
        ([*area, "--source", "mpc", "--scenes", "a.parquet"], "--source, --scenes given"),
        ([*area, "--source", "mpc", "--tile", CELLS[0]], "--bbox, --tile given"),
        ([*area[2:], "--bbox", "1,2,3", "--source", "mpc"], "has 3 numbers; expected four"),
        ([*area, "--source", "mpc", "--set", "max_cloud"], "--set max_cloud"),
        ([*area, "--source", "mpc", "--dims", 17], "expected one of"),
        ([*area, "--source", "folder", "--model", "v1.1"], "expected statistics mpc or aws (--statistics)"),
    ]
    for given, reason in wrong:
        code, out, err = run("embed", *given, "-o", tmp_path / "s", "--device", "cpu")
        assert (code, len(err.splitlines()), out) == (2, 1, ""), (given, err)
        assert reason in err, (given, err)
    assert provider.searches == []
    assert not (tmp_path / "s").exists()


def test_a_table_of_scenes_takes_the_place_of_a_search(tmp_path: Path, run: Run, provider: Provider) -> None:
    class Named:
        name = "x"

    table = provider.search(Named(), 2021, "found", progress=lambda done, total: None)
    table.write(tmp_path / "found.parquet")
    given = ["--scenes", tmp_path / "found.parquet"]
    code, out, err = run("embed", "--bbox", BBOX, "--year", 2021, *given, "-o", tmp_path / "s", *PLAIN)
    assert code == 0, err
    assert out.startswith("found: 0 Sentinel-2 and 1 Sentinel-1 scenes of 2021\n")
    assert (len(provider.searches), len(provider.windows)) == (1, 4)


def test_empty_and_refused_cells_are_told_and_the_others_written(tmp_path: Path, run: Run, provider: Provider) -> None:
    nothing = NoScenesError("no Sentinel-1 or Sentinel-2 item on 5,49,6,50 in 2021; catalogue mpc has none")
    command = ["embed", "--bbox", BBOX, "--year", 2021, "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
    provider.trouble = {CELLS[0]: nothing, CELLS[2]: LossError("3 scenes cannot be read, at most 1 may be lost")}
    code, out, err = run(*command)
    assert code == 1
    assert out.splitlines()[-1].endswith("2 cells written, 0 already there, 1 without scenes, 1 refused")
    assert f"{CELLS[0]} empty, 1 of 4 cells: no Sentinel-1 or Sentinel-2 item" in err
    assert f"{CELLS[2]} refused, 3 of 4 cells: 3 scenes cannot be read" in err
    assert err.splitlines()[-1].startswith(f"tessera: 1 of 4 cells were refused, such as {CELLS[2]}; run the same")
    assert err.count("3 scenes cannot be read") == 1
    del provider.trouble[CELLS[2]]
    code, out, err = run(*command)
    assert code == 0, err
    assert out.splitlines()[-1].endswith("1 cell written, 2 already there, 1 without scenes, 0 refused")
    provider.trouble = dict.fromkeys(CELLS, nothing)
    code, out, err = run(*command[:-6], "-o", tmp_path / "other", *PLAIN)
    assert code == 2
    assert err.splitlines()[-1] == "tessera: none of 4 cells has scenes"
    assert err.count("no Sentinel-1 or Sentinel-2 item") == 1
    # a store comes with the first scene
    assert not (tmp_path / "other").exists()
    code, out, err = run(*command[:2], SMALL, *command[3:-6], "-o", tmp_path / "other", *PLAIN)
    assert (code, err.count("no Sentinel-1 or Sentinel-2 item")) == (2, 1)
    assert err.splitlines()[-1].startswith(f"tessera: none of 1 cells has scenes; {CELLS[3]}: no Sentinel-1 or")
    provider.trouble = {CELLS[3]: LossError("3 scenes cannot be read")}
    code, out, err = run(*command[:2], SMALL, *command[3:-6], "-o", tmp_path / "other", *PLAIN)
    assert (code, err.count("3 scenes cannot be read")) == (1, 1)


@pytest.mark.parametrize("trouble", [LoadError("example.org does not answer"), InputError("item x lacks asset B04")])
def test_a_provider_that_fails_is_one_line_and_what_is_finished_stays(
    tmp_path: Path, run: Run, provider: Provider, trouble: Exception
) -> None:
    command = ["embed", "--bbox", BBOX, "--year", 2021, "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
    provider.trouble = {CELLS[2]: trouble}
    code, _, err = run(*command)
    assert code == (2 if isinstance(trouble, InputError) else 1)
    assert err.splitlines()[-1] == f"tessera: {trouble}"
    assert "Traceback" not in err
    provider.trouble = {}
    code, out, _ = run(*command)
    assert code == 0
    assert out.splitlines()[-1].endswith("2 cells written, 2 already there, 0 without scenes, 0 refused")
    assert len(provider.searches) == 1


def test_lost_scenes_are_told(tmp_path: Path, run: Run, provider: Provider) -> None:
    provider.lost = 1
    code, _, err = run("embed", "--bbox", BBOX, "--year", 2021, "--source", "mpc", "-o", tmp_path / "s", *PLAIN)
    assert code == 0, err
    assert f"{CELLS[0]} written, 1 of 4 cells: 1 scene lost" in err


def test_cubes_are_kept_where_that_is_asked_for(tmp_path: Path, run: Run, provider: Provider) -> None:
    command = ["embed", "--bbox", BBOX, "--year", 2021, "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
    code, out, err = run(*command, "--keep-cubes")
    assert code == 0, err
    folder = Path(out.splitlines()[-1].removeprefix("cubes are kept in "))
    assert sorted(path.name[:14] for path in folder.iterdir()) == sorted(CELLS)
    assert open_cube(next(folder.iterdir())).year == 2021
    # other options embed the same cubes
    code, _, err = run(*command, "--min-s2", 1)
    assert code == 0, err
    assert len(provider.windows) == 4
    assert not folder.exists()


def test_the_statistics_of_v1_1_follow_the_source_of_the_scenes() -> None:
    from tessera.scale._setup import statistics_for

    assert statistics_for(None, "v1.1", "mpc") == "mpc"
    assert statistics_for(None, "v1.1", "earth-search,opera") == "aws"
    assert statistics_for(None, "v1.1", "mpc,earth-search") == "mpc"
    assert statistics_for("aws", "v1.1", "mpc") == "aws"
    assert statistics_for("mpc", "some.pt", "folder") == "mpc"
    assert statistics_for(None, "v1.1", "folder") is None
    assert statistics_for(None, "v1.1-mpc", "earth-search") is None
    assert statistics_for(None, None, "mpc") is None


def test_simulated_scenes_to_a_store(tmp_path: Path, run: Run) -> None:
    tessera.simulate(tmp_path / "scenes", AREA, 2021, s2_dates=3, s1_dates=2)
    command = ["embed", "--bbox", BBOX, "--year", 2021, "--source", tmp_path / "scenes", "-o", tmp_path / "s", *PLAIN]
    code, out, err = run(*command)
    assert code == 0, err
    assert out.splitlines()[-1].endswith("4 cells written, 0 already there, 0 without scenes, 0 refused")
    before = files_of(tmp_path / "s")
    code, out, err = run(*command)
    assert code == 0, err
    assert out.splitlines()[-1].endswith("0 cells written, 4 already there, 0 without scenes, 0 refused")
    assert files_of(tmp_path / "s") == before
    found = open_store(tmp_path / "s").read_window(AREA, 2021)
    assert np.isfinite(found.scales).mean() > 0.5
    code, _, err = run(*command[:4], 2019, *command[5:-5], tmp_path / "none", *PLAIN)
    assert code == 2
    assert "none of 4 cells has scenes" in err.splitlines()[-1]


def embedded(store: Path, *more: object) -> list[object]:
    return ["embed", "--bbox", BBOX, "-o", store, *PLAIN, *more]


def test_a_year_is_not_replaced_by_another_question_without_being_told_to(
    tmp_path: Path, run: Run, provider: Provider
) -> None:
    store = tmp_path / "s"
    season = ["--from", "2021-04-01", "--to", "2021-09-30", "--year", 2021]
    assert run(*embedded(store, "--year", 2021, "--source", "mpc"))[0] == 0
    before, asked = files_of(store), len(provider.searches)
    for given, there, wanted in (
        ([*season, "--source", "mpc"], "2021", "2021-04-01/2021-09-30"),
        (["--year", 2021, "--source", "earth-search"], "source mpc", "source earth-search"),
        (["--year", 2021, "--source", "mpc", "--published"], "default rules", "published rules"),
        (["--year", 2021, "--source", "mpc", "--set", "max_cloud=80"], "default rules", "rules max_cloud 80.0"),
        (["--year", 2021, "--source", "mpc", "--reader", "odc", "--refresh"], "reader ranges", "reader odc"),
    ):
        code, out, err = run(*embedded(store, *given))
        assert (code, out) == (2, ""), given
        assert err == (
            f"tessera: {store} holds 2021 of cell {CELLS[0]} from {there}; asked for {wanted}; "
            "give --replace (replace=True in Python) to write over it, or another store\n"
        )
    # a part of it too, and a cube
    code, _, err = run("embed", "--bbox", SMALL, "-o", store, *PLAIN, *season, "--source", "mpc")
    assert (code, f"2021 of cell {CELLS[3]} from 2021;" in err) == (2, True)
    assert (files_of(store), len(provider.searches)) == (before, asked)
    # beside it there is place
    beside = bbox_of(Window(31, _CORNER.west + 30, _CORNER.north - 30, 8, 6))
    code, _, err = run("embed", "--bbox", beside, "-o", store, *PLAIN, *season, "--source", "mpc")
    assert code == 0, err
    code, out, err = run(*embedded(store, *season, "--source", "mpc", "--replace"))
    assert code == 0, err
    assert out.splitlines()[-1].endswith("4 cells written, 0 already there, 0 without scenes, 0 refused")
    # it goes on without the switch
    code, out, err = run(*embedded(store, *season, "--source", "mpc"))
    assert code == 0, err
    assert out.splitlines()[-1].endswith("0 cells written, 4 already there, 0 without scenes, 0 refused")


def test_a_cube_of_another_question_replaces_nothing_either(tmp_path: Path, run: Run, provider: Provider) -> None:
    store = tmp_path / "s"
    assert run(*embedded(store, "--year", 2021, "--source", "mpc"))[0] == 0
    period = parse_period("2021-04-01/2021-09-30")
    table = provider.search(Path("x"), 2021, "mpc", progress=lambda done, total: None)
    for name, when in (("same", parse_period(2021)), ("other", period)):
        provider.build(
            AREA,
            when,
            source=table,
            out=tmp_path / name,
            recipe=Recipe(),
            reader="ranges",
            progress=lambda done, total: None,
        )
    code, _, err = run("embed", tmp_path / "same", "-o", store, *PLAIN)
    assert code == 0, err
    before = files_of(store)
    code, _, err = run("embed", tmp_path / "other", "-o", store, *PLAIN)
    assert (code, "from 2021; asked for 2021-04-01/2021-09-30; give --replace" in err) == (2, True)
    assert files_of(store) == before
    code, _, err = run("embed", tmp_path / "other", "-o", store, *PLAIN, "--replace")
    assert code == 0, err


def test_store_info_says_what_years_were_made_from(tmp_path: Path, run: Run, provider: Provider) -> None:
    store = tmp_path / "s"
    given = ["--year", 2021, "--source", "mpc", "--set", "max_cloud=80", "--set", "orbits=ascending"]
    assert run(*embedded(store, *given))[0] == 0
    code, out, _ = run("store", "info", store)
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith("2021 from")]
    assert row.split(None, 2)[2] == "2021, source mpc, rules max_cloud 80.0, orbits ascending, reader ranges"
    about = json.loads(run("store", "info", store, "--json")[1])
    recipe = Recipe(max_cloud=80.0, orbits=("ascending",)).to_json()
    told = {"period": ["2021-01-01", "2021-12-31"], "source": "mpc", "recipe": recipe, "reader": "ranges", "cells": 4}
    assert about["cells"]["2021"]["made_from"] == [told]
    season = ["--from", "2021-04-01", "--to", "2021-09-30", "--year", 2021, "--source", "mpc", "--replace"]
    assert run("embed", "--bbox", SMALL, "-o", store, *PLAIN, *season)[0] == 0
    out = run("store", "info", store)[1]
    assert [line.split(None, 2)[2] for line in out.splitlines() if line.startswith("2021 from")] == [
        "2021, source mpc, rules max_cloud 80.0, orbits ascending, reader ranges (4 cells)",
        "2021-04-01/2021-09-30, source mpc, default rules, reader ranges (1 cell)",
    ]


def test_two_catalogues_of_one_id_are_two(tmp_path: Path, run: Run) -> None:
    for name, dates in (("a", 2), ("b", 3)):
        tessera.simulate(tmp_path / name / "scenes", AREA, 2021, s2_dates=dates, s1_dates=1)
    store = tmp_path / "s"
    year = ("--year", 2021)
    assert run(*embedded(store, *year, "--source", tmp_path / "a" / "scenes"))[0] == 0
    code, _, err = run(*embedded(store, *year, "--source", tmp_path / "b" / "scenes"))
    assert code == 2
    assert "asked for another catalogue or table of source " in err
    # the same by another name
    (tmp_path / "link").symlink_to(tmp_path / "a" / "scenes")
    for same in (tmp_path / "link", f"{tmp_path}/b/../a/scenes", tmp_path / "a" / "scenes" / "catalog.json"):
        code, out, err = run(*embedded(store, *year, "--source", same))
        assert (code, "0 cells written, 4 already there" in out) == (0, True), err
    before = tessera.scenes.search_scenes(AREA, 2021, str(tmp_path / "a" / "scenes"))
    before.write(tmp_path / "t.parquet")
    table = tmp_path / "table"
    assert run(*embedded(table, *year, "--scenes", tmp_path / "t.parquet"))[0] == 0
    SceneTable(before.scenes[1:], before.query).write(tmp_path / "t.parquet")
    code, _, err = run(*embedded(table, *year, "--scenes", tmp_path / "t.parquet"))
    assert (code, "asked for another catalogue or table of" in err) == (2, True)


def test_no_store_is_left_where_nothing_could_be_written(tmp_path: Path, run: Run, provider: Provider) -> None:
    command = embedded(tmp_path / "s", "--year", 2021, "--source", "mpc")

    def fail(*_: Any, **__: Any) -> Any:
        raise LoadError("example.org does not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tessera.scenes, "search_scenes", fail)
        assert run(*command)[0] == 1
    assert not (tmp_path / "s").exists()
    provider.trouble = {CELLS[0]: InputError("item x lacks asset B04")}
    assert run(*command)[0] == 2
    assert not (tmp_path / "s").exists()
    # what was there stays, as does what was written
    provider.trouble = {}
    assert run(*command)[0] == 0
    provider.trouble = dict.fromkeys(CELLS, NoScenesError("none"))
    assert run(*command, "--refresh")[0] == 2
    assert open_store(tmp_path / "s").years == (2021,)
    (tmp_path / "file").write_text("x")
    code, _, err = run(*embedded(tmp_path / "file", "--year", 2021, "--source", "mpc"))
    assert (code, f"{tmp_path / 'file'} exists and is no store" in err) == (2, True)


def test_what_a_search_left_out_and_does_not_cover_is_told(tmp_path: Path, run: Run, provider: Provider) -> None:
    provider.left_out = {"no asset B04": 2, "no geometry": 5}
    lon = to_lonlat([10.0 * _CORNER.west], [10.0 * _CORNER.north], 31)[0][0]
    provider.ring = ((5.0, 50.0), (float(lon), 50.0), (float(lon), 51.0), (5.0, 51.0))
    code, out, err = run(*embedded(tmp_path / "s", "--year", 2021, "--source", "mpc"))
    assert code == 0, err
    assert out.startswith("mpc: 0 Sentinel-2 and 1 Sentinel-1 scenes of 2021\n")
    assert err.splitlines()[1] == "7 items left out by the search, 5 of them: no geometry"
    share = int(err.splitlines()[2].removeprefix("the scenes cover ").partition("%")[0])
    assert 35 < share < 55
    assert err.splitlines()[2].endswith("% of the area; the rest will have no data")


def test_a_bbox_with_latitudes_first_gets_a_hint(tmp_path: Path, run: Run, provider: Provider) -> None:
    west, south, east, north = BBOX.split(",")
    swapped = f"{south},{west},{north},{east}"
    said = "no Sentinel-1 or Sentinel-2 item on 50,5,51,6 in 2021; catalogue x covers 5.0,50.0,6.0,51.0 from a to b"

    def empty(window: Window, *_: Any, **__: Any) -> Any:
        raise NoScenesError(said)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tessera.scenes, "build_cube", empty)
        given = ["--year", 2021, "--source", "mpc", "-o", tmp_path / "s", *PLAIN]
        code, _, err = run("embed", "--bbox", swapped, *given)
        assert (code, err.splitlines()[-1].endswith(f"; latitude seems to come first in the bbox: {BBOX}")) == (2, True)
        code, _, err = run("embed", "--bbox", "50,40,50.001,40.001", *given)
        assert (code, "latitude seems" in err) == (2, False)
    code, _, err = run("embed", "--bbox", "-33.9,151.2,-33.8,151.3", *given)
    assert (code, err.strip().endswith("; latitude seems to come first: 151.2,-33.9,151.3,-33.8")) == (2, True)
    code, _, err = run("embed", "--bbox", "500000,5600000,500100,5600100", *given)
    assert (code, "latitude seems" in err) == (2, False)


def test_long_work_shows_life_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tessera.cli.terminal import now_and_then

    now = [100.0]
    monkeypatch.setattr("tessera.cli.terminal.show.time.monotonic", lambda: now[0])  # the module is shared
    seen: list[int] = []
    count = now_and_then(lambda done, total: seen.append(done), "Reading", "days")
    for seconds, done in ((10, 1), (31, 2), (32, 3), (60, 4), (62, 4)):
        now[0] = 100.0 + seconds
        count(done, 9)
    assert seen == [1, 2, 3, 4, 4]
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 2 of 9 days, 0.048 days/s, about 2.5 minutes left",
        "Reading: 4 of 9 days, 0.058 days/s, about 87 seconds left",
    ]
