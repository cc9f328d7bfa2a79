"""A cube's year, period, dates and days of the year agree, whichever way it comes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.base import InputError
from tessera.cubes import (
    PixelCube,
    dates_of,
    draw_cube,
    export_dpixel,
    export_geotiff,
    import_geotiff,
    open_cube,
    open_dpixel,
    period_of,
    write_cube,
)
from tessera.geo import Window

Run = Callable[..., tuple[int, str, str]]
SEASON = ["2020-11-14", "2020-12-31", "2021-03-01", "2021-10-30"]
"""Over the new year of a leap year."""


def make_cube(days: list[str] | None = None, **provenance: Any) -> PixelCube:
    days = SEASON if days is None else days
    doy = np.array([dt.date.fromisoformat(day).timetuple().tm_yday for day in days], dtype=np.int16)
    rng = np.random.default_rng(0)
    shape = (len(doy), 3, 4)
    return PixelCube(
        s2=rng.integers(0, 9000, (*shape, 10), dtype=np.uint16),
        s2_mask=np.ones(shape, dtype=np.uint8),
        s2_doy=doy,
        s1_asc=rng.integers(1, 9000, (*shape, 2), dtype=np.int16),
        s1_asc_doy=doy,
        s1_desc=np.zeros((0, 3, 4, 2), dtype=np.int16),
        s1_desc_doy=np.zeros(0, dtype=np.int16),
        grid=Window(31, 66_000, 560_000, 4, 3).grid,
        provenance=provenance,
    )


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"year": 2021}, "s2_doy goes from day 366 back to day 60|day of year 366, which is not in the cube's year 2021"),
    ({"year": 2020}, "s2_doy goes from day 366 back to day 60, which does not fit the cube's year 2020; expected days"),
    ({"year": 2021, "s2_dates": SEASON}, "s2_dates lists 2020-11-14, which is not in the cube's year 2021"),
    ({"year": 2021, "period": ["2020-11-01", "2021-10-31"]}, "year 2021 and a period from 2020-11-01 to 2021-10-31"),
    ({"period": ["2021-01-01", "2021-12-31"]}, "day of year 366, which is not in the cube's period from 2021-01-01"),
    ({"period": ["2020-11-01", "2021-09-30"]}, "day of year 303, which is not in the cube's period from 2020-11-01"),
    ({"period": ["2019-01-01", "2019-12-31"], "s2_dates": SEASON}, "lists 2020-11-14, which is not in the cube's p"),
    ({"s2_dates": SEASON[1:]}, "s2_dates lists 3 dates for 4 observations"),
    ({"s2_dates": ["2020-11-13", *SEASON[1:]]}, "lists 2020-11-13, which is day 318 of its year; s2_doy says 319"),
    ({"s1_asc_dates": ["2021-11-14", *SEASON[1:]]}, "lists 2021-11-14, which is day 318 of its year; s1_asc_doy says"),
    ({"s2_dates": ["x\x1b[2J", *SEASON[1:]]}, r"s2_dates lists .x.x1b.2J.; expected a date such as 2021-04-01"),
]


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_what_contradicts_itself_is_no_cube(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    """In memory, and on disk where somebody else wrote it."""
    with pytest.raises(InputError, match=message):
        make_cube(**said)
    write_cube(make_cube(), tmp_path / "c.zarr")
    document = tmp_path / "c.zarr" / "zarr.json"
    about = json.loads(document.read_text())
    about["attributes"]["provenance"] = said
    document.write_text(json.dumps(about))
    with pytest.raises(InputError, match=message) as error:
        open_cube(tmp_path / "c.zarr")
    assert str(error.value).startswith(f"cube {tmp_path / 'c.zarr'}: ")


@pytest.mark.parametrize(
    "said",
    [
        {"period": ["2020-11-01", "2021-10-31"]},
        {"year": None, "period": ["2020-11-14", "2021-10-30"]},
        {"s2_dates": SEASON, "s1_asc_dates": SEASON},
        # a day of the year that lies twice in a long period is the next one in time
        {"period": ["2020-06-01", "2022-05-31"]},
    ],
)
def test_a_season_over_new_year_keeps_its_dates(tmp_path: Path, said: dict[str, Any]) -> None:
    cube = write_cube(make_cube(**said), tmp_path / "c.zarr")
    for stack in ("s2", "s1_asc"):
        assert [day.isoformat() for day in dates_of(cube, stack)] == SEASON
    assert cube.year is None


def test_a_day_that_a_period_has_twice_is_taken_in_order_of_time() -> None:
    """From the second half of one year to the first of a leap year: day 182 is 1 July, and 30 June."""
    both = make_cube(["2019-07-01", "2019-12-31", "2020-06-30"], period=["2019-07-01", "2020-06-30"])
    assert [day.isoformat() for day in dates_of(both, "s2")] == ["2019-07-01", "2019-12-31", "2020-06-30"]
    last = make_cube(["2020-02-29", "2020-06-30"], period=["2019-07-01", "2020-06-30"])
    assert [day.isoformat() for day in dates_of(last, "s2")] == ["2020-02-29", "2020-06-30"]


def test_a_calendar_year_holds_its_days_in_order() -> None:
    cube = make_cube(["2021-01-01", "2021-01-01", "2021-12-31"], year=2021)
    assert [day.isoformat() for day in dates_of(cube, "s2")] == ["2021-01-01", "2021-01-01", "2021-12-31"]
    with pytest.raises(InputError, match="s2_doy goes from day 305 back to day 10, which does not fit the cube's year"):
        make_cube(["2021-11-01", "2021-01-10"], year=2021)


def test_a_dpixel_folder_is_given_its_time(tmp_path: Path) -> None:
    folder = export_dpixel(make_cube(period=["2020-11-01", "2021-10-31"]), tmp_path / "d")
    cube = open_dpixel(folder, period="2020-11/2021-10")
    assert [day.isoformat() for day in dates_of(cube, "s2")] == SEASON
    assert period_of(cube) == (dt.date(2020, 11, 1), dt.date(2021, 10, 31))
    dated = open_dpixel(folder, period="2019-06/2021-10", dates={"s2": [dt.date.fromisoformat(day) for day in SEASON]})
    assert [day.isoformat() for day in dates_of(dated, "s2")] == SEASON
    with pytest.raises(InputError, match=r"d-pixel folder .*: s2_doy .* the cube's year 2021"):
        open_dpixel(folder, year=2021)
    with pytest.raises(InputError, match="both a year and a period given"):
        open_dpixel(folder, year=2021, period="2020-11/2021-10")
    with pytest.raises(InputError, match="dates of 's3'; expected s2, s1_asc, s1_desc"):
        open_dpixel(folder, dates={"s3": []})
    with pytest.raises(InputError, match="s2_dates lists 1 dates for 4 observations"):
        open_dpixel(folder, dates={"s2": ["2020-11-14"]})


def test_import_and_info_over_new_year(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("rasterio")
    cube = make_cube(period=["2020-11-01", "2021-10-31"])
    write_cube(cube, tmp_path / "c.zarr")
    code, out, _ = run("cube", "export", tmp_path / "c.zarr", "-o", tmp_path / "d")
    assert code == 0
    assert "--period 2020-11-01/2021-10-31 --crs EPSG:32631" in out
    code, _, err = run("cube", "import", tmp_path / "d", "--year", 2021, "-o", tmp_path / "x.zarr")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "the cube's year 2021" in err
    assert not (tmp_path / "x.zarr").exists()
    for name, option in (
        ("a", ("--period", "2020-11..2021-10")),
        ("b", ("--from", "2020-11-01", "--to", "2021-10-31")),
    ):
        assert run("cube", "import", tmp_path / "d", *option, "-o", tmp_path / f"{name}.zarr")[0] == 0
        about = json.loads(run("cube", "info", tmp_path / f"{name}.zarr", "--json")[1])
        assert about["dates"]["s2"] == SEASON
        assert about["period"] == ["2020-11-01", "2021-10-31"]
    stacks = export_geotiff(open_cube(tmp_path / "c.zarr"), tmp_path / "s")
    assert run("cube", "import", stacks, "--period", "2020-12/2021-03", "-o", tmp_path / "g.zarr")[0] == 0
    assert json.loads(run("cube", "info", tmp_path / "g.zarr", "--json")[1])["dates"]["s2"] == SEASON[1:3]
    code, _, err = run("cube", "import", stacks, "--period", "2020-12/2021-03", "--year", 2021, "-o", tmp_path / "h")
    assert code == 2
    assert "--period beside --year, --from or --to given" in err
    assert import_geotiff(stacks, tmp_path / "all.zarr").provenance["period"] == [SEASON[0], SEASON[-1]]


def test_the_calendar_of_a_season_shows_its_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from tessera.cubes import picture

    shown: list[Any] = []
    original = picture._draw_calendar

    def draw(axes: Any, months: Any, *more: Any, **named: Any) -> None:
        shown.extend(months)
        original(axes, months, *more, **named)

    monkeypatch.setattr(picture, "_draw_calendar", draw)
    draw_cube(make_cube(period=["2020-11-01", "2021-10-31"]), tmp_path / "c.png")
    assert (shown[0], shown[-1]) == ((2020, 10), (2021, 9))
    assert len(shown) == 12


def test_a_part_of_a_cube_keeps_what_it_says() -> None:
    cube = make_cube(period=["2020-11-01", "2021-10-31"])
    assert dates_of(cube.window(0, 2), "s2") == dates_of(cube.crop(0, 1, 0, 2), "s2") == dates_of(cube, "s2")
    with pytest.raises(InputError, match="1 dates for 4"):
        replace(cube, provenance={"s2_dates": ["2020-11-14"]})
