"""A forecast against the run: cells, scenes, requests, bytes; time is measured by benchmarks/dry_run.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tessera.cubes import PixelCube
from tessera.geo import Cell, Window
from tessera.scale import forecast, measure_pace
from tessera.scenes import _files
from tessera.simulator import simulate
from tessera.store import open_store
from tessera.testing import serve_scenes

Run = Callable[..., tuple[int, str, str]]
_CORNER = Cell(31, 64, 548).window
SCENES = Window(31, _CORNER.west - 24, _CORNER.north + 36, 64, 72)
INNER = Window(31, SCENES.west + 6, SCENES.north - 6, 52, 60)
"""Over the corner of four cells."""


@dataclass
class Counts:
    requests: int = 0
    bytes: int = 0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is not what is tested."""
    monkeypatch.setattr(forecast, "_BUDGET", 0.02)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More days than are sized, so that most of them are estimated."""
    folder = tmp_path_factory.mktemp("forecast") / "scenes"
    return simulate(folder, SCENES, 2023, s2_dates=20, s1_dates=8).path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """What is read of local files of scenes."""
    counts, plain = Counts(), _files.LocalFile.read

    def read(self: Any, start: int, stop: int) -> bytes:
        data = plain(self, start, stop)
        counts.requests += 1
        counts.bytes += len(data)
        return data

    monkeypatch.setattr(_files.LocalFile, "read", read)
    return counts


def _area(window: Window = INNER) -> list[object]:
    west, south, east, north = window.lonlat_bounds
    return ["--bbox", f"{west:.5f},{south:.5f},{east:.5f},{north:.5f}", "--year", 2023]


def _forecast(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, err = run("embed", *arguments, "--dry-run", "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def _near(forecast: float, actual: float) -> bool:
    return actual > 0 and abs(forecast / actual - 1) < 0.3


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_forecast_of_an_area_is_what_its_run_takes(run: Run, scenes: Path, reads: Counts, tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    said = _forecast(run, *_area(), "--source", scenes, "-o", out)
    assert not out.exists()
    assert (said["cells"], said["cells_done"], said["cells_empty"], said["scenes"]) == (4, 0, 0, 36)
    assert said["seconds"] > 0
    assert said["pixels_per_second"] > 0
    assert said["night_is_enough"]
    assert reads.bytes < said["bytes_read"] / 3
    reads.requests = reads.bytes = 0
    code, _, err = run("embed", *_area(), "--source", scenes, "-o", out)
    assert code == 0, err
    assert _near(said["requests"], reads.requests)
    assert _near(said["bytes_read"], reads.bytes)
    assert _near(said["bytes_written"], _size(out))
    written = open_store(out)
    records = [written.commit(cell, 2023) for cell in written.cells(2023)]
    assert said["pixels"] == sum(
        part["window"][2] * part["window"][3] for record in records if record for part in record.inputs
    )
    again = _forecast(run, *_area(), "--source", scenes, "-o", out)
    assert (again["cells"], again["cells_done"], again["pixels"], again["seconds"]) == (4, 4, 0, 0.0)
    assert again["said"].startswith("Nothing to do")


def test_a_forecast_from_a_provider_counts_its_requests(run: Run, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    with serve_scenes(scenes, style="stac") as provider:
        said = _forecast(run, *_area(), "--source", provider.source, "-o", out)
        asked, taken = provider.count(".tif"), provider.bytes(".tif")
        code, _, err = run("embed", *_area(), "--source", provider.source, "-o", out)
        assert code == 0, err
        assert _near(said["requests"], provider.count(".tif") - asked)
        assert _near(said["bytes_read"], provider.bytes(".tif") - taken)
    assert said["cells"] == 4


def test_a_forecast_of_cubes_leaves_out_what_is_done(run: Run, scenes: Path, tmp_path: Path) -> None:
    cubes = [tmp_path / f"{name}.zarr" for name in ("one", "two")]
    for cube, west in zip(cubes, (INNER.west, INNER.west + 24), strict=True):
        window = Window(31, west, INNER.north, 20, 20)
        assert run("cube", "build", *_area(window), "--source", scenes, "-o", cube)[0] == 0
    out = tmp_path / "store.zarr"
    said = _forecast(run, *cubes, "-o", out)
    assert not out.exists()
    assert said["scenes"] == said["requests"] == 0
    assert said["bytes_read"] == sum(map(_size, cubes))
    assert run("embed", cubes[0], "-o", out)[0] == 0
    rest = _forecast(run, *cubes, "-o", out)
    assert rest["cells"] == said["cells"]
    assert 0 < rest["cells_done"] < said["cells"]
    assert rest["pixels"] < said["pixels"]
    before = _size(out)
    assert run("embed", *cubes, "-o", out)[0] == 0
    assert _near(rest["bytes_written"], _size(out) - before) or rest["bytes_written"] > _size(out) - before


def test_a_forecast_is_refused_as_its_run_would_be(run: Run, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "store.zarr"
    code, _, err = run(
        "embed", "--bbox", "15,50,15.01,50.01", "--year", 2023, "--source", scenes, "-o", out, "--dry-run"
    )
    assert code == 2
    assert "covers" in err
    code, _, err = run("embed", *_area(), "--source", scenes, "-o", out, "--json")
    assert code == 2
    assert "--dry-run" in err
    assert not out.exists()


def test_the_table_and_its_sentence(run: Run, scenes: Path, tmp_path: Path) -> None:
    code, out, _ = run("embed", *_area(), "--source", scenes, "-o", tmp_path / "store.zarr", "--dry-run")
    assert code == 0
    first = [line.split("  ")[0] for line in out.splitlines()]
    assert first[:-1] == ["cells", "to embed", "scenes", "requests", "read", "written", "disk", "reading", "embedding"]
    assert out.splitlines()[-1].startswith("About ")
    assert "on this machine" in out


@pytest.mark.parametrize(
    ("rate", "said"), [(1063.2, "1,060"), (99_960.0, "100,000"), (847.6, "848"), (61.07, "61.1"), (0.52, "0.52")]
)
def test_a_pace_is_told_in_three_digits_and_no_power_of_ten(rate: float, said: str) -> None:
    from tessera.cli._forecast import _pace

    assert _pace(rate) == said


def test_a_night_is_enough_or_not() -> None:
    from tessera.cli._forecast import sentence
    from tessera.scale import Forecast

    def said(seconds: float) -> str:
        numbers = dict.fromkeys(("scenes", "requests", "bytes_read", "bytes_written", "disk_peak", "pixels_timed"), 1)
        return sentence(
            Forecast(
                cells=300,
                cells_done=10,
                cells_empty=10,
                pixels=280,
                **numbers,
                reading_seconds=1.0,
                embedding_seconds=1.0,
                seconds=seconds,
                processor_seconds=1.0,
                pixels_per_second=1.0,
                device="cpu",
                precision="fp32",
                processes=1,
            )
        )

    assert said(50.0) == "About 50 seconds on this machine."
    assert said(3 * 3600.0) == "About 3 hours on this machine: tonight is enough."
    assert said(3 * 86400.0).startswith(
        "About 3 days on this machine: tonight is not enough, a night of 10 hours does 38 of 280 cells."
    )


def test_cells_are_read_while_others_are_embedded() -> None:
    from tessera.scale.forecast import _in_turn, _Work

    assert _in_turn([]) == 0.0
    assert _in_turn([_Work(2.0, 0.0, 5.0, 0.0)]) == 7.0
    assert _in_turn([_Work(2.0, 0.0, 5.0, 0.0)] * 3) == 2.0 + 5.0 + 5.0 + 5.0
    assert _in_turn([_Work(7.0, 0.0, 5.0, 0.0)] * 3) == 7.0 + 7.0 + 7.0 + 5.0


def test_many_days_are_sampled_from_clear_to_clouded(scenes: Path) -> None:
    from tessera.geo import parse_period
    from tessera.scenes import search_scenes, survey_scenes

    period = parse_period(2023)
    table = search_scenes(INNER, period, str(scenes))
    first, second = (survey_scenes(table, [INNER], period) for _ in range(2))
    assert first.sized == 20 + 12
    assert first.timed == 8 + 4
    assert first.windows[0] is not None
    assert second.windows[0] is not None
    assert (first.windows[0].requests, first.windows[0].bytes) == (second.windows[0].requests, second.windows[0].bytes)
    assert first.sample.shape == (64, 64)
    assert np.asarray(first.sample.s1_asc).shape[0] == 8


def test_processes_on_a_cpu_are_timed_by_the_work_of_all_of_them_on_all_cores() -> None:
    threads: set[int] = set()
    embedded: list[int] = []

    class Encoder:
        device = "cpu"

        def blocks(self, part: PixelCube, _: Any, groups: list[list[tuple[int, int]]]) -> list[None]:
            threads.add(threading.get_ident())
            embedded.append(sum(stop - start for rows in groups for start, stop in rows) * part.shape[1])
            return []

    empty, days = np.zeros((0, 8, 4, 2), dtype=np.int16), np.zeros(0, dtype=np.int16)
    optical = np.zeros((0, 8, 4, 10), dtype=np.uint16)
    sample = PixelCube(optical, np.zeros((0, 8, 4), dtype=np.uint8), days, empty, days, empty, days)
    made: Any = Encoder()
    found = measure_pace(made, sample, cast("Any", None), ("cpu", "cpu", "cpu"), budget=0.0)
    # torch keeps one crew of threads of a size: callers side by side would share it, and leave cores idle
    assert threads == {threading.get_ident()}
    assert embedded == [2 * 4, 3 * 2 * 4]
    assert found.pixels == 3 * 2 * 4
