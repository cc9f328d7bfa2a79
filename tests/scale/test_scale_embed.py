"""`tessera.embed` in Python: the shell's bytes after any stop, the guard, reports, and each mistake in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import embed_tiny
import pytest
from embed_tiny import AREA, SCENES, YEAR, embed
from scale_tiny import files_of, make_model

import tessera
from tessera.base import InputError, Progress, silent
from tessera.scale import Reporter, forecast_embed, forecast_embed_cubes
from tessera.scenes import read_scenes, search_scenes

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed")
    make_model(folder / "tiny.safetensors")
    return tessera.simulate(folder / "scenes", SCENES, YEAR, s2_dates=3, s1_dates=2).path


@pytest.fixture(scope="module")
def model(scenes: Path) -> Path:
    return scenes.parent / "tiny.safetensors"


@pytest.fixture(scope="module")
def shell(scenes: Path, model: Path) -> Path:
    """The store of the command, which nobody stopped."""
    out = scenes.parent / "shell.zarr"
    command = ["embed", "--bbox", ",".join(map(str, AREA)), "--year", YEAR, "--source", scenes, "-o", out]
    command += ["--model", model, "--device", "cpu", "--precision", "fp32"]
    subprocess.run([sys.executable, "-m", "tessera", *map(str, command)], check=True, capture_output=True, timeout=240)
    return out


def test_stopped_at_any_moment_and_started_at_once_it_ends_with_the_bytes_of_the_shell(
    scenes: Path, model: Path, shell: Path, tmp_path: Path
) -> None:
    ways = {"killed": "killed", "armed": "armed:173", "together": "together:4"}
    stores = [f"{tmp_path / name}={how}" for name, how in ways.items()]
    command = [sys.executable, embed_tiny.__file__, scenes, model, *stores]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=600)
    assert "Traceback" not in done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    ended = {name: [int(how) for store, how in said if store == name] for name in ways}
    assert ended["together"] == [0] * 4
    for name in ("killed", "armed"):
        assert ended[name] == [-9] * (len(ended[name]) - 1) + [0], name
        assert len(ended[name]) > 1, name
    for name in ways:
        assert files_of(tmp_path / name) == files_of(shell), name


def test_a_report_has_the_store_and_what_became_of_each_cell(scenes: Path, model: Path, tmp_path: Path) -> None:
    pixels: list[tuple[int, int]] = []
    told: list[tuple[str, int, int]] = []
    found: list[tuple[str, bool]] = []
    steps: list[str] = []

    @contextmanager
    def step(title: str, unit: str) -> Iterator[Progress]:
        steps.append(title + unit)
        yield silent

    reporter = Reporter(
        step=step,
        found=lambda line, known: found.append((line, known)),
        cell=lambda outcome, done, total: told.append((outcome.what, done, total)),
    )
    more = {"reporter": reporter, "progress": lambda done, total: pixels.append((done, total))}
    report = embed(scenes, model, tmp_path / "s", keep_cubes=True, min_s2=1, **more)
    assert (report.written, report.skipped, report.empty, report.refused) == (4, 0, [], [])
    assert isinstance(report, tessera.EmbedReport)
    assert report.store.years == (YEAR,)
    assert report.store.coverage(AREA, YEAR) > 0.5
    assert told == [("written", number, 4) for number in (1, 2, 3, 4)]
    assert pixels[-1][0] == pixels[-1][1] >= 100
    assert steps == ["Searching scenes"]
    assert (tmp_path / "s" / "manifest.parquet").is_file()
    assert len(list((report.store.scratch() / "cubes").iterdir())) == 4
    again = embed(scenes, model, tmp_path / "s", min_s2=1, **more)
    assert (again.written, again.skipped) == (0, 4)
    assert [known for _, known in found] == [False, True]
    assert found[0][0] == found[1][0]
    assert "3 Sentinel-2 and 4 Sentinel-1 scenes of 2021" in found[0][0]


def test_another_question_replaces_nothing_unless_it_is_told_to(
    run: Run, scenes: Path, model: Path, shell: Path, tmp_path: Path
) -> None:
    before = files_of(shell)
    season = "2021-02-01/2021-11-30"
    table = search_scenes(SCENES, YEAR, str(scenes))
    table.write(tmp_path / "t.parquet")
    for given, reason in (
        ({"period": season}, f"from 2021; asked for {season}; give --replace (replace=True in Python)"),
        ({"recipe": tessera.Recipe.published()}, "from default rules; asked for published rules"),
        ({"reader": "odc"}, "from reader ranges; asked for reader odc"),
        ({"source": tmp_path / "t.parquet"}, "another catalogue or table of source"),
        ({"source": read_scenes(tmp_path / "t.parquet")}, "another catalogue or table of source"),
    ):
        with pytest.raises(InputError) as caught:
            embed(scenes, model, shell, **given)
        assert reason in str(caught.value)
        wanted: dict[str, Any] = {"source": str(scenes), "out": shell, "model": str(model), **given}
        with pytest.raises(InputError) as caught:
            forecast_embed(AREA, YEAR, **wanted)
        assert reason in str(caught.value)
    assert files_of(shell) == before
    out = tmp_path / "s"
    assert embed(scenes, model, out).written == 4
    assert embed(scenes, model, out, period=season, replace=True).written == 4
    assert embed(scenes, model, out, period=season).skipped == 4
    # the command takes up what Python wrote
    command = ["embed", "--bbox", ",".join(map(str, AREA)), "--year", YEAR, "--source", scenes, "-o", out]
    code, _, err = run(*command, "--model", model, "--device", "cpu", "--precision", "fp32")
    assert (code, f"from {season}; asked for 2021; give --replace" in err) == (2, True)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"area": (5, 6)}, "has 2 numbers; expected four"),
        ({"area": (50.68, 190.2, 50.7, 190.3)}, "expected"),
        ({"year": 1900}, "1900"),
        ({"year": "2021-04-01/2021-09-30"}, "is no calendar year; give it as period, with the year under which"),
        ({"year": 2019, "period": "2021-04-01/2021-09-30"}, "year 2019 with a period of 2021-04-01/2021-09-30"),
        ({"year": "x", "period": "2021-04-01/2021-09-30"}, "year 'x'"),
        ({"period": "spring"}, "period 'spring'"),
        ({"source": "nowhere"}, "nowhere"),
        ({"source": None}, "expected"),
        ({"out": 3}, "out 3 of embed; expected str or Path"),
        ({"out": ""}, "store '' is no name of its own"),
        ({"out": "n" * 300}, "longer than 255 bytes"),
        ({"model": "n" * 300}, "no model"),
        ({"area": 3}, "'3' of type int; expected a vector file"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"model": 3}, "model 3 of embed"),
        ({"recipe": {"day": "utc"}}, "recipe"),
        ({"reader": "gdal"}, "reader 'gdal'; expected ranges or odc"),
        ({"max_lost": -1}, "max_lost -1; expected 0 or more"),
        ({"statistics": "landsat", "model": "v1.1"}, "landsat"),
        ({"dims": 17}, "17 dims"),
        ({"device": "abacus"}, "abacus"),
        ({"precision": "fp8"}, "fp8"),
        ({"workers": 0}, "0 workers; expected 1 to 64"),
        ({"min_s2": -1}, "min_s2 -1"),
        ({"min_s1": "one"}, "min_s1 'one' of embed; expected int"),
        ({"seed": -1}, "seed -1; expected 0 to 2**32 - 1"),
        ({"refresh": "yes"}, "refresh 'yes' of embed; expected bool"),
        ({"reporter": print}, "reporter"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_makes_nothing(
    given: dict[str, Any], reason: str, scenes: Path, model: Path, tmp_path: Path
) -> None:
    plain: dict[str, Any] = {"area": AREA, "year": YEAR, "source": str(scenes), "out": tmp_path / "s"}
    plain |= {"model": str(model), "device": "cpu"}
    with pytest.raises(InputError) as caught:
        tessera.embed(**plain | given)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_an_encoder_that_is_loaded_embeds_and_takes_no_other_way_to_load_it(
    scenes: Path, model: Path, shell: Path, tmp_path: Path
) -> None:
    encoder = tessera.load_encoder(model, device="cpu", precision="fp32")
    report = tessera.embed(AREA, YEAR, source=scenes, out=tmp_path / "s", model=encoder)
    assert report.written == 4
    assert files_of(tmp_path / "s") == files_of(shell)
    more: tuple[tuple[str, Any], ...] = (
        ("device", "cpu"),
        ("precision", "fp32"),
        ("statistics", "mpc"),
        ("workers", 2),
    )
    for name, value in more:
        with pytest.raises(InputError, match=f"{name} given with an Encoder"):
            tessera.embed(AREA, YEAR, source=scenes, out=tmp_path / "s", model=encoder, **{name: value})


def test_a_box_with_latitudes_first_gets_the_hint_of_the_shell(scenes: Path, model: Path, tmp_path: Path) -> None:
    west, south, east, north = AREA
    with pytest.raises(InputError, match=f"latitude seems to come first in the bbox: {west},{south},{east},{north}"):
        tessera.embed((south, west, north, east), YEAR, source=scenes, out=tmp_path / "s", model=model, device="cpu")
    assert not (tmp_path / "s").exists()


def test_a_forecast_of_cubes_checks_what_a_run_checks(tmp_path: Path, model: Path) -> None:
    with pytest.raises(InputError, match=r"c\.zarr"):
        forecast_embed_cubes([tmp_path / "c.zarr"], out=tmp_path / "s", model=model)
    with pytest.raises(InputError, match="min_s2 True of Setup"):
        forecast_embed_cubes([tmp_path / "c.zarr"], out=tmp_path / "s", min_s2=True)


@pytest.mark.parametrize(
    ("given", "old"),
    [(["--bbox", "0,0,0.01,0.01", "--year", 2021, "--source", "x", "--weights"], "--weights"), (["c", "--source"], "")],
)
def test_the_old_names_of_statistics_work_with_one_line(run: Run, tmp_path: Path, given: list[Any], old: str) -> None:
    old = old or "--source of cubes"
    code, out, err = run("embed", *given, "aws", "-o", tmp_path / "s")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"{old} is deprecated; tessera 0.3 removes it; give --statistics aws"
    assert len(err.splitlines()) == 2
    code, _, err = run("embed", *given, "aws", "--statistics", "mpc", "-o", tmp_path / "s")
    assert (code, err) == (2, f"tessera: both --statistics and {old} given; expected --statistics alone\n")


def test_a_reporter_of_what_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="cell None of Reporter; expected Callable"):
        Reporter(cell=None)  # type: ignore[arg-type]
