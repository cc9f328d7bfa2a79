"""An area into a store: cells from cubes that are built when they are needed, and what is finished is left alone."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import area_tiny
import numpy as np
import pytest
import shapely
import torch
from area_tiny import CELLS, IDENTITY, STEPS, WINDOW, Builder, observed, take
from scale_tiny import BLOCK_PIXELS, YEAR, files_of, leftovers, make_encoder, make_model, make_store

from tessera.base import InputError, TesseraError, file_lock
from tessera.check import repair_store
from tessera.cubes import open_cube, write_cube
from tessera.geo import Window, parse_area, to_lonlat
from tessera.net import CorruptError, LoadError
from tessera.scale import CellOutcome, EmptyCellError, RefusedCellError, Workers, embed_cube, places_of
from tessera.store import Store

ENCODER = make_encoder()


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tessera.encode.row_blocks._BLOCK_PIXELS", BLOCK_PIXELS)
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", ENCODER)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a store that was written without a stop."""
    path = tmp_path_factory.mktemp("whole") / "s"
    assert take(make_store(path, ENCODER), Builder()).written == 4
    assert leftovers(path) == []
    return files_of(path)


def no_build(window: Window, out: Path, progress: Any) -> Any:
    raise AssertionError(f"{window} was built")


def test_the_store_holds_what_the_encoder_makes_of_the_whole_area(store: Store, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    told: list[tuple[CellOutcome, int, int]] = []
    building: list[tuple[int, int]] = []
    build = Builder()
    report = take(
        store,
        build,
        embedding=lambda done, total: seen.append((done, total)),
        reading=lambda done, total: building.append((done, total)),
        cell=lambda outcome, done, total: told.append((outcome, done, total)),
    )
    assert (report.written, report.skipped, report.empty, report.refused) == (4, 0, [], [])
    assert [(outcome.cell, done, total) for outcome, done, total in told] == [
        (cell, number, 4) for number, cell in enumerate(CELLS, 1)
    ]
    assert {outcome.what for outcome, _, _ in told} == {"written"}
    assert seen == sorted(seen)
    assert seen[-1] == (40 * 34, 40 * 34)
    assert len({done for done, _ in seen}) >= 8
    assert building == [(step, STEPS) for _ in CELLS for step in (1, 2, 3)]
    assert sum(window.height * window.width for window in build.windows) == 40 * 34
    found, wanted = store.read_window(WINDOW, YEAR), ENCODER.encode(observed(WINDOW))
    assert np.array_equal(np.isnan(found.scales), np.isnan(wanted.scales))
    assert np.abs(found.codes.astype(int) - wanted.codes).max() <= 1
    assert np.array_equal(found.counts, wanted.counts)
    record = store.commit(store.cells(YEAR)[0], YEAR)
    assert record is not None
    assert record.inputs[0]["provenance"]["source"] == "near,far"
    assert leftovers(tmp_path / "s") == []


def test_a_second_run_builds_nothing_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    take(store, Builder())
    before = files_of(tmp_path / "s")
    seen: list[int] = []
    report = take(store, no_build, embedding=lambda done, total: seen.append(done))
    assert (report.written, report.skipped) == (0, 4)
    assert [outcome.cell for outcome in report.outcomes] == list(CELLS)
    assert seen[-1] == 40 * 34
    assert files_of(tmp_path / "s") == before


@pytest.mark.parametrize(
    "other",
    [
        {"identity": IDENTITY | {"period": ["2023-04-01", "2023-09-29"]}},
        {"identity": IDENTITY | {"source": "far"}},
        {"identity": IDENTITY | {"recipe": {"day": "utc"}}},
        {"identity": IDENTITY | {"reader": "other"}},
        {"options": ENCODER.options(min_s2=1)},
        {"encoder": replace(ENCODER, precision="bf16")},
        {"year": YEAR + 1},
        {"area": replace(WINDOW, width=39)},
    ],
    ids=["period", "source", "recipe", "more", "options", "precision", "year", "window"],
)
def test_cells_of_another_identity_are_not_taken_for_finished(store: Store, other: dict[str, Any]) -> None:
    take(store, Builder())

    class AskedError(Exception):
        pass

    def build(window: Window, out: Path, progress: Any) -> Any:
        raise AskedError

    with pytest.raises(AskedError):
        take(store, build, **other)


def test_an_identity_is_compared_as_json_gives_it_back(store: Store) -> None:
    take(store, Builder())
    same = IDENTITY | {"period": ("2023-04-01", "2023-09-30")}
    assert take(store, no_build, identity=same).skipped == 4


def test_a_cell_that_a_cube_of_the_same_identity_gave_is_finished(store: Store) -> None:
    embed_cube(store, ENCODER, observed(WINDOW), YEAR, ENCODER.options())
    assert take(store, no_build).skipped == 4


def test_a_cell_whose_object_is_gone_is_made_again(store: Store, tmp_path: Path, whole: dict[str, bytes]) -> None:
    take(store, Builder())
    record = store.commit(store.cells(YEAR)[2], YEAR)
    assert record is not None
    next(iter((tmp_path / "s" / info["key"]) for info in record.objects.values())).unlink()
    build = Builder()
    with pytest.raises(CorruptError, match="tessera store repair"):
        take(store, build)
    repair_store(store)
    report = take(store, build)
    # the cube of the run that failed was still there
    assert (report.written, report.skipped, len(build.windows)) == (1, 3, 1)
    assert files_of(tmp_path / "s") == whole


def test_a_refresh_builds_all_and_writes_what_changed(store: Store, tmp_path: Path, whole: dict[str, bytes]) -> None:
    take(store, Builder())
    build = Builder()
    report = take(store, build, refresh=True)
    assert (report.written, report.skipped, len(build.windows)) == (0, 4, 4)
    assert files_of(tmp_path / "s") == whole
    report = take(store, Builder(seed=1), refresh=True)
    assert (report.written, report.skipped) == (4, 0)
    assert files_of(tmp_path / "s") != whole
    assert leftovers(tmp_path / "s") == []


def test_a_refresh_takes_nothing_that_was_begun(store: Store, tmp_path: Path, whole: dict[str, bytes]) -> None:
    build = Builder(seed=1, before=stop_at(0, 2))
    with pytest.raises(LoadError):
        take(store, build)
    assert len(leftovers(tmp_path / "s")) > 3
    build = Builder()
    take(store, build, refresh=True)
    assert build.steps == list(range(STEPS)) * 4
    assert files_of(tmp_path / "s") == whole


def stop_at(cell: int, step: int, error: type[BaseException] = LoadError) -> Any:
    """Fail at a step of a cell, once."""
    failed: list[int] = []

    def before(window: Window, now: int) -> None:
        if not failed and now == step and window == places_of(WINDOW, 32)[cell].window:
            failed.append(1)
            raise error("the provider does not answer")

    return before


@pytest.mark.parametrize(("cell", "step"), [(0, 0), (0, 2), (1, 1), (3, 2)])
def test_a_provider_that_fails_ends_the_run_and_what_is_finished_stays(
    store: Store, tmp_path: Path, whole: dict[str, bytes], cell: int, step: int
) -> None:
    build = Builder(before=stop_at(cell, step))
    with pytest.raises(LoadError, match="the provider does not answer"):
        take(store, build)
    # the cell at hand is written before the next one's trouble is told
    assert len(store.cells(YEAR)) == cell if store.years else cell == 0
    report = take(store, build)
    assert (report.written, report.skipped) == (4 - cell, cell)
    assert build.steps == list(range(STEPS)) * 4
    assert files_of(tmp_path / "s") == whole
    assert leftovers(tmp_path / "s") == []


def test_empty_and_refused_cells_do_not_stop_the_others(store: Store, tmp_path: Path) -> None:
    windows = [place.window for place in places_of(WINDOW, 32)]
    troubled = True

    def before(window: Window, step: int) -> None:
        if step == 1 and troubled and window == windows[0]:
            raise EmptyCellError("no item there")
        if step == 1 and troubled and window == windows[2]:
            raise RefusedCellError("2 scenes lost, 1 may be")

    build = Builder(before=before)
    report = take(store, build)
    assert (report.written, report.skipped) == (2, 0)
    assert report.empty == [(CELLS[0], "no item there")]
    assert report.refused == [(CELLS[2], "2 scenes lost, 1 may be")]
    # what was read of the refused one waits; nothing is left of the empty one
    assert [Path(path).name[:18] for path in leftovers(tmp_path / "s") if path.endswith(".part")] == [CELLS[2]]
    troubled = False
    build.steps.clear()
    report = take(store, build)
    assert (report.written, report.skipped, report.empty, report.refused) == (2, 2, [], [])
    assert build.steps == [0, 1, 2, 1, 2]
    assert leftovers(tmp_path / "s") == []


def test_the_next_cube_is_built_while_a_cell_is_embedded_and_no_more_than_that(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = threading.Semaphore(0)
    begun: list[Window] = []

    def before(window: Window, step: int) -> None:
        if step == 0:
            begun.append(window)
            built.release()

    most: list[tuple[int, int]] = []

    def slow(*args: Any, **more: Any) -> tuple[int, int]:
        number = len(most)
        # comes only if the next cell's build is begun without this one being done
        for _ in range(2 if number == 0 else number < 3):
            assert built.acquire(timeout=20)
        most.append((number, len(begun)))
        return embed_cube(*args, **more)

    monkeypatch.setattr("tessera.scale.area.embed_cube", slow)
    assert take(store, Builder(before=before)).written == 4
    assert most == [(0, 2), (1, 3), (2, 4), (3, 4)]


def test_an_interrupt_stops_the_build_that_is_ahead(
    store: Store, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, interrupted = threading.Event(), threading.Event()
    second = places_of(WINDOW, 32)[1].window

    def before(window: Window, step: int) -> None:
        if window == second and step == 1 and not interrupted.is_set():
            ahead.set()
            assert interrupted.wait(20)

    def interrupt(*args: Any, **more: Any) -> Any:
        assert ahead.wait(20)
        interrupted.set()
        raise KeyboardInterrupt

    build = Builder(before=before)
    with monkeypatch.context() as patch:
        patch.setattr("tessera.scale.area.embed_cube", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take(store, build)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tessera-cube")]
    assert build.steps[:4] == [0, 1, 2, 0]
    # no lock is left: a run in the same process goes on
    assert take(store, build).written == 4
    assert files_of(tmp_path / "s") == whole


def test_an_interrupt_does_not_wait_for_what_does_not_stop(
    store: Store, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, go_on = threading.Event(), threading.Event()
    second = places_of(WINDOW, 32)[1].window

    def before(window: Window, step: int) -> None:
        if window == second and step == 1 and not go_on.is_set():
            ahead.set()
            assert go_on.wait(20)

    def interrupt(*args: Any, **more: Any) -> Any:
        assert ahead.wait(20)
        raise KeyboardInterrupt

    build = Builder(before=before)
    with monkeypatch.context() as patch:
        patch.setattr("tessera.scale.cubes._PARTING", 0.0)
        patch.setattr("tessera.scale.area.embed_cube", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take(store, build)
    (left,) = [thread for thread in threading.enumerate() if thread.name == "tessera-cube"]
    # the process may end without it
    assert left.daemon
    assert left.is_alive()
    go_on.set()
    left.join(20)
    # and where it does not end, the cell is given up in the end
    assert take(store, build).written == 4
    assert files_of(tmp_path / "s") == whole


def test_a_full_disk_is_one_line(store: Store, tmp_path: Path, whole: dict[str, bytes]) -> None:
    def full(window: Window, out: Path, progress: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(out))

    with pytest.raises(TesseraError, match=r"No space left on device.*run the same command again") as caught:
        take(store, full)
    assert "\n" not in str(caught.value)
    take(store, Builder())
    assert files_of(tmp_path / "s") == whole


def test_a_cube_that_was_built_before_the_stop_is_taken_and_a_damaged_one_is_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tessera.scale.area.embed_cube", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take(store, Builder())
    cubes = sorted((tmp_path / "s" / ".tessera" / "work" / "cubes").glob(f"{CELLS[0]}*.zarr"))
    assert len(cubes) == 1
    build = Builder()
    take(store, build, keep_cubes=True)
    assert places_of(WINDOW, 32)[0].window not in build.windows
    kept = sorted((tmp_path / "s" / ".tessera" / "work" / "cubes").glob("*.zarr"))
    assert [path.name[:18] for path in kept] == sorted(CELLS)
    assert open_cube(kept[0]).provenance["scenes_found"] == 5
    # other options find the cubes; one with a flipped bit is built again
    chunk = max((path for path in (kept[1] / "s2").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    build = Builder()
    report = take(store, build, options=ENCODER.options(min_s2=1))
    assert (report.written, len(build.windows)) == (4, 1)
    assert leftovers(tmp_path / "s") == []


def test_what_a_killed_run_left_of_a_finished_cell_goes(store: Store, tmp_path: Path) -> None:
    take(store, Builder(), keep_cubes=True)
    cubes = tmp_path / "s" / ".tessera" / "work" / "cubes"
    first = sorted(cubes.glob("*.zarr"))[0]
    (cubes / f".{first.name}.host.99999999.part" / "x").mkdir(parents=True)
    assert take(store, no_build, keep_cubes=True).skipped == 4
    assert len(list(cubes.iterdir())) == 5
    assert take(store, no_build).skipped == 4
    assert leftovers(tmp_path / "s") == []


def test_blocks_of_a_cell_that_was_committed_before_the_stop_go(
    store: Store, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, **more: Any) -> None:
        if path.parent.name == "work":
            raise KeyboardInterrupt
        shutil.rmtree(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr("tessera.base.folder.shutil", SimpleNamespace(rmtree=stop))
        with pytest.raises(KeyboardInterrupt):
            take(store, Builder())
    blocks = [path for path in leftovers(tmp_path / "s") if path.endswith(".block")]
    assert (len(store.cells(YEAR)), bool(blocks)) == (1, True)
    report = take(store, Builder())
    assert (report.written, report.skipped) == (3, 1)
    assert leftovers(tmp_path / "s") == []
    assert files_of(tmp_path / "s") == whole


def test_what_was_asked_for_tells_cubes_of_one_identity_apart(store: Store, tmp_path: Path) -> None:
    take(store, Builder(), asked={"asked": "here"}, keep_cubes=True)
    assert take(store, no_build, asked={"asked": "here"}, keep_cubes=True).skipped == 4
    record = store.commit(store.cells(YEAR)[0], YEAR)
    assert record is not None
    assert record.inputs[0]["provenance"]["asked"] == "here"
    build = Builder(seed=1)
    report = take(store, build, asked={"asked": "there"})
    assert (report.written, len(build.windows)) == (4, 4)


def test_what_was_begun_from_other_scenes_is_not_taken_up(
    store: Store, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    build = Builder(before=stop_at(0, 2))
    with pytest.raises(LoadError):
        take(store, build, scenes="of yesterday")
    build = Builder()
    take(store, build, scenes="of today")
    assert build.steps == list(range(STEPS)) * 4
    assert files_of(tmp_path / "s") == whole
    assert leftovers(tmp_path / "s") == []
    assert take(store, no_build, scenes="of tomorrow").skipped == 4


def test_a_cell_that_another_process_is_at_is_waited_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "s" / ".tessera" / "locks"
    take(store, Builder())
    (held,) = locks.glob(f"cube-{CELLS[3]}*.lock")
    whole, other = files_of(tmp_path / "s"), make_store(tmp_path / "other", ENCODER)
    waiting = threading.Event()

    def look(event: threading.Event, seconds: float) -> bool:
        waiting.set()
        return threading.Event.wait(event, seconds)

    monkeypatch.setattr("tessera.scale.cubes._LOOK_AGAIN", 0.01)
    monkeypatch.setattr("tessera.scale.cubes._wait", look)
    build = Builder()
    done: list[Any] = []
    here = threading.Thread(target=lambda: done.append(take(other, build)))
    with file_lock(tmp_path / "other" / ".tessera" / "locks" / held.name):
        here.start()
        assert waiting.wait(20)
        assert len(build.windows) == 3
        # the other process writes it
        embed_cube(other, ENCODER, observed(places_of(WINDOW, 32)[3].window), YEAR, ENCODER.options())
    here.join(20)
    assert (done[0].written, done[0].skipped, len(build.windows)) == (3, 1, 3)
    assert files_of(tmp_path / "other") == whole


def test_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    from tessera.encode import load_encoder

    model = make_model(tmp_path / "tiny.safetensors")
    encoder = load_encoder(model, device="cpu", precision="fp32")
    area = replace(WINDOW, height=12, width=22)
    for name, workers in (("one", None), ("two", Workers(Path(), str(model), None, "fp32", ("cpu", "cpu")))):
        report = take(make_store(tmp_path / name, encoder), Builder(), area, encoder=encoder, workers=workers)
        assert report.written == 1
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_polygon_leaves_out_the_cells_that_it_does_not_touch() -> None:
    left, _, right, top = WINDOW.bounds
    x = np.array([left + 5, right - 5, left + 5])
    y = np.array([top - 5, top - 5, top - 240])
    triangle = shapely.Polygon(np.column_stack(to_lonlat(x, y, 31)))
    assert [place.cell.name for place in places_of(triangle, 32)] == list(CELLS[:3])
    assert sum(place.pixels for place in places_of(WINDOW, 32)) == 40 * 34
    named = places_of("utm31_e64_n548", 1024)
    assert [place.window for place in named] == [parse_area("utm31_e64_n548").parts()[0].window]


def test_an_area_over_two_zones_is_taken_zone_by_zone() -> None:
    places = places_of((5.99, 50.6, 6.01, 50.61), 1024)
    assert [place.cell.zone for place in places] == sorted(place.cell.zone for place in places)
    assert {place.cell.zone for place in places} == {31, 32}


def test_what_the_store_would_refuse_is_refused_before_anything_is_built(store: Store) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"encoder": make_encoder(1)}, "holds 16 dims of tiny"),
        ({"options": ENCODER.options(8)}, "given 8 of tiny"),
        ({"area": replace(WINDOW, zone=32)}, "lies in zone 32; .* has zone 31"),
        ({"identity": {}}, "an empty identity"),
        ({"year": 20230}, "20230"),
    ]
    for given, reason in wrong:
        with pytest.raises(InputError, match=reason):
            take(store, no_build, **given)
    assert store.years == ()


def test_a_cube_that_is_not_what_was_asked_for_is_not_embedded(store: Store) -> None:
    def other_window(window: Window, out: Path, progress: Any) -> Any:
        return write_cube(observed(replace(window, width=window.width - 1)), out)

    def other_source(window: Window, out: Path, progress: Any) -> Any:
        cube = observed(window)
        return write_cube(replace(cube, provenance=cube.provenance | {"source": "far"}), out)

    with pytest.raises(InputError, match="built of another window"):
        take(store, other_window)
    with pytest.raises(InputError, match="built of another source"):
        take(store, other_source)
    assert store.years == ()


def run_killed(path: Path, *numbers: int) -> list[int]:
    """How the runs ended that it took until one came to its end."""
    make_store(path, ENCODER)
    command = [sys.executable, area_tiny.__file__, str(path), *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "Traceback" not in done.stderr
    return [int(line) for line in done.stdout.split()]


def test_dying_before_any_file_operation_ends_with_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    ended = run_killed(tmp_path / "s", 0, 19)
    assert ended == [-9] * (len(ended) - 1) + [0]
    assert len(ended) > 4
    assert files_of(tmp_path / "s") == whole


def test_dying_at_any_time_ends_with_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    ended = run_killed(tmp_path / "s")
    assert ended[-1] == 0
    assert ended.count(-9) >= 1
    assert files_of(tmp_path / "s") == whole


def test_an_area_is_whatever_parse_area_reads(store: Store) -> None:
    with pytest.raises(InputError, match=r"bbox 'a,b'; expected four numbers, west,south"):
        take(store, no_build, "a,b")
