"""A build that is stopped at any moment goes on when it is run again, and ends with the same bytes."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resume_tiny
from resume_tiny import WINDOW, YEAR, day_of, finished
from scenes_helpers import Catalog, assert_same, digest

from tessera.base import InputError
from tessera.cubes import open_cube
from tessera.geo import Window
from tessera.scenes import Recipe, build_cube
from tessera.simulator import simulate
from tessera.testing import At, Faults, serve_scenes
from tessera.testing.provider import _layouts as layouts

SEARCHES = 28
"""Of a stac API: two collections, thirteen months and a day at both ends."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of scenes."""
    path = tmp_path_factory.mktemp("resume") / "scenes"
    simulate(path, Window(31, 64 * 1024, 548 * 1024, 40, 40), YEAR, s2_dates=6, s1_dates=2)
    return path


@pytest.fixture(scope="module")
def provider(folder: Path) -> Iterator[Any]:
    with serve_scenes(folder) as serving:
        yield serving


@pytest.fixture(scope="module")
def whole(provider: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build gives that nobody stopped."""
    target = tmp_path_factory.mktemp("resume") / "whole"
    build_cube(WINDOW, YEAR, source=f"stac:{provider.url}", out=target)
    assert provider.count("/search") == SEARCHES
    return target


@pytest.fixture
def fresh(provider: Any) -> Any:
    provider.change(Faults())
    provider.forget()
    return provider


def runs(target: Path, provider: Any, what: str, *numbers: int) -> list[dict[str, Any]]:
    """What the runs told that it took until one came to its end."""
    command = [sys.executable, resume_tiny.__file__, str(target), f"stac:{provider.url}", what, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("what", "first", "step"), [("files", 3, 61), ("reads", 1, 13), ("timed", 0, 1)])
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    whole: Path, fresh: Any, tmp_path: Path, what: str, first: int, step: int
) -> None:
    told = runs(tmp_path / "cube", fresh, what, first, step)
    assert digest(tmp_path / "cube") == digest(whole)
    if (tmp_path / "cube.part").exists():
        # it died after the cube had appeared; whoever comes next tidies up
        with pytest.raises(InputError, match="cube exists"):
            build_cube(WINDOW, YEAR, source=f"stac:{fresh.url}", out=tmp_path / "cube")
        assert not (tmp_path / "cube.part").exists()
    assert [run["again"] for run in told] == [[]] * len(told)
    assert {run["ended"] for run in told[:-1]} == {-signal.SIGKILL}
    if what != "timed":
        # it was stopped with a part of the days done; by the clock it may be before the first or after the last
        assert any(0 < run["finished"] < 10 for run in told)
        assert len(told) > 4


def test_the_next_run_asks_for_nothing_that_it_has(whole: Path, fresh: Any, tmp_path: Path) -> None:
    target = tmp_path / "cube"
    (told,) = runs(target, fresh, "reads", 45)
    assert told["ended"] == -signal.SIGKILL
    there = finished(target)
    assert 0 < len(there) < 10
    assert fresh.count("/search") == SEARCHES
    fresh.forget()
    (told,) = runs(target, fresh, "whole")
    assert (told["ended"], told["finished"]) == (0, len(there))
    assert fresh.count("/search") == 0
    read = {day_of(seen.path) for seen in fresh.matching(".tif")}
    assert read == {day.isoformat() for day in days_of(whole)} - there
    assert digest(target) == digest(whole)


def days_of(cube: Path) -> list[dt.date]:
    told = open_cube(cube).provenance
    return [dt.date.fromisoformat(day) for name in ("s2", "s1_asc", "s1_desc") for day in told[f"{name}_dates"]]


def build_in_a_process(provider: Any, target: Path) -> subprocess.Popen[str]:
    """The command; a background job's children ignore interrupts, which this one must not."""
    west, south, east, north = WINDOW.lonlat_bounds
    box = f"{west + 1e-4},{south + 1e-4},{east - 1e-4},{north - 1e-4}"
    command = [sys.executable, "-c", _COMMAND, "cube", "build", "--bbox", box, "--year", str(YEAR)]
    command += ["--source", f"stac:{provider.url}", "-o", str(target)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


_COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from tessera.cli import main
main()
"""

HANGING = {
    "slow bodies": Faults(slow=At(r"B0.*\.tif", skip=20), slow_piece=16, slow_pause=0.3),
    "asked to wait for a minute": Faults(busy=At(r"B0.*\.tif", skip=20), retry_after=60),
}


@pytest.mark.parametrize("name", HANGING)
def test_an_interrupt_ends_within_seconds_whatever_the_server_does(
    whole: Path, fresh: Any, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "cube"
    fresh.change(HANGING[name])
    child = build_in_a_process(fresh, target)
    try:
        patience = time.monotonic() + 30
        # a day is finished, another one hangs
        while not (finished(target) and fresh.switches._met) and time.monotonic() < patience:
            time.sleep(0.02)
        if name == "slow bodies":
            # meanwhile nobody else may work there
            with pytest.raises(InputError, match="another process works in") as second:
                build_cube(WINDOW, YEAR, source=f"stac:{fresh.url}", out=target)
            assert "\n" not in str(second.value)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        took = time.monotonic() - began
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, out, err) == (
        130,
        "",
        "tessera: interrupted; finished work is kept, run the same command again to continue\n",
    )
    assert took < 6
    there = finished(target)
    assert there
    fresh.change(Faults())
    fresh.forget()
    cube = build_cube(WINDOW, YEAR, source=f"stac:{fresh.url}", out=target)
    assert not there & {day_of(seen.path) for seen in fresh.matching(".tif")}
    assert_same(cube, open_cube(whole))


OTHERS: dict[str, dict[str, Any]] = {
    "area": {"aoi": Window(31, WINDOW.west + 2, WINDOW.north, *reversed(WINDOW.shape))},
    "time": {"year": "2021-01-01/2021-08-31"},
    "rule": {"recipe": Recipe(coarse="nearest")},
}


def begin(source: Any, target: Path) -> None:
    """A build that is interrupted at its last day."""

    def stop(done: int, total: int) -> None:
        # two days may end at once
        if done >= total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cube(WINDOW, YEAR, source=source, out=target, progress=stop)
    assert finished(target)


@pytest.mark.parametrize("name", OTHERS)
def test_another_cube_in_its_place_begins_anew(fresh: Any, tmp_path: Path, name: str) -> None:
    target, source = tmp_path / "cube", f"stac:{fresh.url}"
    begin(source, target)
    given: dict[str, Any] = {"aoi": WINDOW, "year": YEAR} | OTHERS[name]
    cube = build_cube(**given, source=source, out=target)
    want = build_cube(**given, source=source)
    assert_same(cube, want)
    assert cube.provenance == want.provenance


def test_another_catalogue_of_the_same_name_begins_anew(folder: Path, tmp_path: Path) -> None:
    other = layouts.drop_polarisation(folder, tmp_path / "other")
    target = tmp_path / "cube"

    begin(folder, target)
    cube = build_cube(WINDOW, YEAR, source=other, out=target)
    want = build_cube(WINDOW, YEAR, source=other)
    assert_same(cube, want)
    assert np.asarray(want.s1_asc[:])[..., 0].any()
    assert not np.asarray(want.s1_asc[:])[..., 1].any()


_MEASURED = """
import sys
from pathlib import Path
from tessera.geo import Window
from tessera.scenes import build_cube
build_cube(Window(31, 65536, 561152, 512, 512), 2021, source=sys.argv[1], out=sys.argv[2])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the most memory held")
def test_memory_does_not_grow_with_the_number_of_days(tmp_path: Path) -> None:
    window = Window(31, 64 * 1024, 548 * 1024, 512, 512)
    held = []
    for days in (10, 40):
        catalog = Catalog(tmp_path / f"{days}")
        catalog.root.mkdir()
        noise = np.random.default_rng(0).integers(1001, 9000, window.shape, dtype=np.uint16)
        catalog.s2("first", "2021-01-01T10:40:00Z", dn=noise, window=window)
        item = json.loads((catalog.root / "first" / "item.json").read_text())
        for asset in item["assets"].values():
            asset["href"] = f"../first/{asset['href'].removeprefix('./')}"
        for number in range(1, days):
            moment = dt.datetime(2021, 1, 1, 10, 40) + dt.timedelta(days=9 * number)
            item["properties"]["datetime"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
            catalog.add(item | {"id": f"day{number}"})
        arguments = [sys.executable, "-c", _MEASURED, str(catalog.root), str(tmp_path / f"cube{days}")]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=100)
        held.append(int(done.stdout) / 1024)
        assert open_cube(tmp_path / f"cube{days}").s2.shape[0] == days
    # thirty days more have 157 MB of observations
    assert held[1] - held[0] < 60
