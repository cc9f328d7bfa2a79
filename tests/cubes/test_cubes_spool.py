from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool_tiny import ABOUT, DATES, GRID, NOTHING, PROVENANCE, SHAPE, build, files_of, images_of, in_memory

from tessera.base import InputError, TesseraError
from tessera.cubes import CubeSpool, open_cube, open_spool, sweep_spool, write_cube

KEYS = [(stack, day) for stack, days in DATES.items() for day in days]
DAY = DATES["s2"][0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "cube.zarr"
    write_cube(in_memory(), folder)
    return files_of(folder)


def put_all(spool: CubeSpool) -> None:
    for key in KEYS:
        if spool.record(*key) is None:
            spool.put(*key, images_of(*key), {})


def test_a_spool_gives_the_bytes_of_write_cube(tmp_path: Path, whole: dict[str, bytes]) -> None:
    build(tmp_path / "cube.zarr", 3)
    assert files_of(tmp_path / "cube.zarr") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["cube.zarr"]
    cube = open_cube(tmp_path / "cube.zarr")
    assert cube.sha256 == in_memory().sha256
    assert (cube.grid, cube.provenance, cube.s2_doy.tolist()) == (GRID, PROVENANCE, [5, 60, 365])


@settings(max_examples=8)
@given(st.permutations(KEYS), st.data())
def test_any_interleaving_of_puts_and_reopenings_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, whole: dict[str, bytes], keys: list[tuple[str, dt.date]], data: Any
) -> None:
    target = tmp_path_factory.mktemp("spool") / "cube.zarr"
    for position, key in enumerate(keys):
        with open_spool(target, ABOUT, SHAPE) as spool:
            done = {key for key in KEYS if spool.record(*key) is not None}
            assert done == set(keys[:position])
            if data.draw(st.booleans(), label="another version first"):
                spool.put(*key, data.draw(st.sampled_from([None, images_of(*key, 1)])), {"version": 1})
            spool.put(*key, images_of(*key), {"place": position})
            assert spool.record(*key) == {"place": position}
    with open_spool(target, ABOUT, SHAPE) as spool:
        assert spool.finish(GRID, PROVENANCE).sha256
    assert files_of(target) == whole


def test_threads_may_put_dates(tmp_path: Path, whole: dict[str, bytes]) -> None:
    with open_spool(tmp_path / "cube.zarr", ABOUT, SHAPE) as spool, ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(spool.put, *key, images_of(*key), {}) for key in KEYS * 3]
        for job in jobs:
            job.result()
        spool.finish(GRID, PROVENANCE)
    assert files_of(tmp_path / "cube.zarr") == whole


def dying(target: Path, *numbers: int) -> list[int]:
    command = [sys.executable, str(Path(__file__).with_name("spool_tiny.py")), str(target), *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("steps", [(0, 3), (30, 7), ()])
def test_a_cube_killed_again_and_again_ends_with_the_same_bytes(
    tmp_path: Path, whole: dict[str, bytes], steps: tuple[int, ...]
) -> None:
    ended = dying(tmp_path / "cube.zarr", *steps)
    assert ended.count(-signal.SIGKILL) >= (3 if steps else 1)
    assert files_of(tmp_path / "cube.zarr") == whole
    with pytest.raises(InputError, match="exists; expected a new path"):
        build(tmp_path / "cube.zarr", 0)
    # what a death after the cube had appeared left beside it goes when somebody looks
    assert [path.name for path in tmp_path.iterdir()] == ["cube.zarr"]


@pytest.mark.parametrize("operation", ["rename", "mkdir", "unlink"])
def test_finish_stopped_at_any_operation_is_completed_by_the_next(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    target = tmp_path / "cube.zarr"
    with open_spool(target, ABOUT, SHAPE) as spool:
        put_all(spool)
    original, stops = getattr(Path, operation), 0

    def stop_at(limit: int) -> None:
        count = 0

        def call(self: Path, *args: Any, **kwargs: Any) -> Any:
            nonlocal count, stops
            # zarr's own threads would not get over an interrupt
            count += threading.current_thread() is threading.main_thread()
            if count == limit:
                count += 1
                stops += 1
                raise KeyboardInterrupt
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Path, operation, call)

    for limit in range(1, 60):
        with open_spool(target, ABOUT, SHAPE) as spool:
            assert all(spool.record(*key) is not None for key in KEYS)
            stop_at(limit)
            try:
                spool.finish(GRID, PROVENANCE)
            except KeyboardInterrupt:
                assert not target.exists()
            monkeypatch.undo()
            if spool.finished:
                break
    assert stops >= 2
    assert files_of(target) == whole


def test_a_date_put_after_a_stopped_finish_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "cube.zarr"
    with open_spool(target, ABOUT, SHAPE) as spool:
        put_all(spool)
        with monkeypatch.context() as patch:
            patch.setattr("tessera.cubes.spool.open_cube", interrupt)
            with pytest.raises(KeyboardInterrupt):
                spool.finish(GRID, PROVENANCE)
        spool.put("s2", DAY, images_of("s2", DAY, 1), {})
        spool.put("s2", DATES["s2"][1], None, {})
        cube = spool.finish(GRID, PROVENANCE)
    assert np.array_equal(cube.s2[0], images_of("s2", DAY, 1)["s2"])
    assert cube.s2_doy.tolist() == [5, 365]


def test_what_another_work_left_is_thrown_away(tmp_path: Path, whole: dict[str, bytes]) -> None:
    target = tmp_path / "cube.zarr"
    for about, shape in (({"what": "another"}, SHAPE), (ABOUT, (7, 9)), (ABOUT, SHAPE)):
        with open_spool(target, about, shape) as spool:
            assert spool.record("s2", DAY) is None
            assert list((spool.folder / "notes").iterdir()) == []
            (spool.folder / "notes" / "small.txt").write_text("mine")
            spool.put("s2", DAY, None, {"of": [about, 1.5]})
            assert spool.record("s2", DAY) == {"of": [about, 1.5]}
    build_on = dict(reversed(ABOUT.items()))
    with open_spool(target, build_on, SHAPE) as spool:
        assert (spool.folder / "notes" / "small.txt").read_text() == "mine"
        assert spool.record("s2", DAY) == {"of": [ABOUT, 1.5]}
        for key in KEYS:
            spool.put(*key, images_of(*key), {})
        spool.put(*NOTHING, None, {})
        spool.finish(GRID, PROVENANCE)
    assert files_of(target) == whole


def test_a_date_that_lost_a_chunk_or_its_record_is_not_finished(tmp_path: Path, whole: dict[str, bytes]) -> None:
    target = tmp_path / "cube.zarr"
    with open_spool(target, ABOUT, SHAPE) as spool:
        put_all(spool)
        dates = spool.folder / "dates"
    next(path for path in (dates / "s2" / "2023-01-05" / "s2_mask").rglob("*") if path.is_file()).unlink()
    (dates / "s1_asc" / "2023-02-02" / "record.json").write_text('{"given": true}')
    (dates / "s1_desc" / "2023-07-01" / "record.json").unlink()
    with open_spool(target, ABOUT, SHAPE) as spool:
        missing = [key for key in KEYS if spool.record(*key) is None]
        assert [day.isoformat() for _, day in missing] == ["2023-01-05", "2023-02-02", "2023-07-01"]
        put_all(spool)
        spool.finish(GRID, PROVENANCE)
    assert files_of(target) == whole


def test_the_cube_gone_after_it_appeared_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "cube.zarr"

    def finish() -> None:
        with open_spool(target, ABOUT, SHAPE) as spool:
            put_all(spool)
            spool.finish(GRID, PROVENANCE)

    with open_spool(target, ABOUT, SHAPE) as spool:
        spool.put(*NOTHING, None, {})
    with monkeypatch.context() as patch:
        patch.setattr("tessera.cubes.spool.empty", interrupt)
        with pytest.raises(KeyboardInterrupt):
            finish()
    assert (tmp_path / "cube.zarr.part" / "order.json").exists()
    target.rename(tmp_path / "elsewhere")
    with open_spool(target, ABOUT, SHAPE) as spool:
        assert all(spool.record(*key) is None for key in KEYS)


def test_what_a_death_after_the_cube_left_is_swept_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, part = tmp_path / "cube.zarr", tmp_path / "cube.zarr.part"
    sweep_spool(target)
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patch, open_spool(target, ABOUT, SHAPE) as spool:
        put_all(spool)
        sweep_spool(target)
        spool.finish(GRID, PROVENANCE)
        # it is held still
        sweep_spool(target)
        patch.setattr("tessera.cubes.spool.empty", lambda _: None)
        patch.setattr("tessera.cubes.spool.drop", lambda _: None)
        spool.finished = False
    assert (part / "order.json").exists()
    (part / "order.json").rename(part / "kept.json")
    sweep_spool(target)
    assert part.is_dir()
    (part / "kept.json").rename(part / "order.json")
    sweep_spool(target)
    assert [path.name for path in tmp_path.iterdir()] == ["cube.zarr"]
    part.mkdir()
    (part / "thesis.txt").write_text("all of it")
    sweep_spool(target)
    assert files_of(part) == {"thesis.txt": b"all of it"}


def interrupt(path: Path) -> None:
    raise KeyboardInterrupt


def test_one_process_at_a_time(tmp_path: Path) -> None:
    target = tmp_path / "cube.zarr"
    with (
        open_spool(target, ABOUT, SHAPE) as spool,
        pytest.raises(InputError, match="another process works in") as caught,
        open_spool(target, ABOUT, SHAPE),
    ):
        pass
    assert "\n" not in str(caught.value)
    with open_spool(target, ABOUT, SHAPE):
        assert spool.folder == tmp_path / "cube.zarr.part"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "cube.zarr.part"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="is no work folder"), open_spool(tmp_path / "cube.zarr", ABOUT, SHAPE):
        pass
    assert files_of(mine) == {"thesis.txt": b"all of it"}
    (tmp_path / "b.zarr.part").symlink_to(mine, target_is_directory=True)
    with pytest.raises(InputError, match="is no folder"), open_spool(tmp_path / "b.zarr", ABOUT, SHAPE):
        pass
    assert files_of(mine) == {"thesis.txt": b"all of it"}


def test_a_full_disk_is_one_line_and_what_is_finished_stays(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = tmp_path / "cube.zarr"
    with open_spool(target, ABOUT, SHAPE) as spool:
        spool.put(*KEYS[0], images_of(*KEYS[0]), {"kept": True})
    for step in ("put", "finish"):
        with open_spool(target, ABOUT, SHAPE) as spool, monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            work: dict[str, Callable[[], object]] = {
                "put": partial(spool.put, *KEYS[1], images_of(*KEYS[1]), {}),
                "finish": partial(spool.finish, GRID, PROVENANCE),
            }
            with pytest.raises(TesseraError, match="No space left on device; what is finished") as caught:
                work[step]()
            assert "\n" not in str(caught.value)
            assert list((spool.folder / "parts").iterdir()) == []
    with open_spool(target, ABOUT, SHAPE) as spool:
        assert spool.record(*KEYS[0]) == {"kept": True}
        assert spool.record(*KEYS[1]) is None
        put_all(spool)
        spool.finish(GRID, PROVENANCE)
    assert files_of(target) == whole


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    good = images_of("s2", DAY)
    with open_spool(tmp_path / "cube.zarr", ABOUT, SHAPE) as spool:
        for stack, images, record, reason in (
            ("s3", good, {}, "stack 's3'; expected s2, s1_asc, s1_desc"),
            ("s2", {"s2": good["s2"]}, {}, "images s2 of s2; expected s2, s2_mask"),
            ("s1_asc", good, {}, "expected s1_asc"),
            ("s2", {**good, "s2": good["s2"][:-1]}, {}, r"s2 is uint16 \(139, 6, 10\); expected uint16 \(140, 6, 10\)"),
            ("s2", {**good, "s2_mask": good["s2_mask"].astype(bool)}, {}, "s2_mask is bool"),
            ("s2", good, {"when": DAY}, "not plain"),
            ("s2", good, {"share": float("nan")}, "not plain"),
        ):
            with pytest.raises(InputError, match=reason) as caught:
                spool.put(stack, DAY, images, record)
            assert "\n" not in str(caught.value)
        put_all(spool)
        with pytest.raises(InputError, match="grid of 139 x 6 for a cube of 140 x 6"):
            spool.finish(GRID.rows(0, 139), PROVENANCE)
        with pytest.raises(InputError, match="provenance 'a' holds nan"):
            spool.finish(GRID, {"a": float("nan")})
        assert not (tmp_path / "cube.zarr").exists()


def test_a_cube_is_of_the_dates_that_are_asked_for(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """What an earlier run finished of a date that is not wanted any more does not enter."""
    target = tmp_path / "cube.zarr"
    with open_spool(target, ABOUT, SHAPE) as spool:
        put_all(spool)
        for stack, day in (("s2", dt.date(2023, 1, 6)), ("s1_desc", dt.date(2022, 12, 31))):
            spool.put(stack, day, images_of(stack, day), {})
        with pytest.raises(InputError, match="2023-02-01 of s2 is not finished; expected every date of the cube"):
            spool.finish(GRID, PROVENANCE, [*KEYS, NOTHING])
        spool.put(*NOTHING, None, {})
        spool.finish(GRID, PROVENANCE, [NOTHING, *reversed(KEYS)])
    assert files_of(target) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["cube.zarr"]


@pytest.mark.parametrize("error", [InputError("nothing there"), KeyboardInterrupt(), None])
def test_a_folder_without_a_date_and_a_note_does_not_stay(tmp_path: Path, error: BaseException | None) -> None:
    target = tmp_path / "cube.zarr"

    def run(*, note: bool = False, date: bool = False, gone: bool = False) -> list[str]:
        try:
            with open_spool(target, ABOUT, SHAPE) as spool:
                if note:
                    (spool.folder / "notes" / "small.txt").write_text("mine")
                if date:
                    spool.put(*NOTHING, None, {})
                if gone:
                    shutil.rmtree(spool.folder)
                if error is not None:
                    raise error
        except (InputError, KeyboardInterrupt):
            assert error is not None
        return [path.name for path in tmp_path.iterdir()]

    assert run() == []
    assert run(gone=True) == []
    assert run(note=True) == ["cube.zarr.part"]
    (tmp_path / "cube.zarr.part" / "notes" / "small.txt").unlink()
    assert run() == []
    assert run(date=True) == ["cube.zarr.part"]
    assert run() == ["cube.zarr.part"]


def test_an_empty_cube_is_a_cube(tmp_path: Path) -> None:
    with open_spool(tmp_path / "a.zarr", ABOUT, SHAPE) as spool:
        cube = spool.finish(None, {})
    assert (cube.s2.shape, cube.s1_asc.shape) == ((0, *SHAPE, 10), (0, *SHAPE, 2))
    write_cube(cube, tmp_path / "b.zarr")
    assert files_of(tmp_path / "a.zarr") == files_of(tmp_path / "b.zarr")


def test_dates_of_two_years_keep_their_order(tmp_path: Path) -> None:
    days = [dt.date(2021, 11, 1), dt.date(2022, 2, 1)]
    with open_spool(tmp_path / "a.zarr", ABOUT, SHAPE) as spool:
        for day in reversed(days):
            spool.put("s1_asc", day, images_of("s1_asc", day), {})
        cube = spool.finish(GRID, {"period": ["2021-11-01", "2022-02-28"]})
    assert cube.s1_asc_doy.tolist() == [305, 32]
    assert json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["provenance"]["period"]


@pytest.mark.parametrize("place", ["dates", "dates/s2", "notes", "parts", "cube", ""])
def test_a_link_out_of_a_work_folder_is_refused_and_nothing_is_written_there(tmp_path: Path, place: str) -> None:
    target, outside = tmp_path / "cube.zarr", tmp_path / "outside"
    with open_spool(target, ABOUT, SHAPE) as spool:
        # a note keeps the folder
        (spool.folder / "notes" / "mine").touch()
    folder = tmp_path / "cube.zarr.part" / place
    (folder if folder.exists() else folder.parent).rename(outside)
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to(outside, target_is_directory=True)
    if place == "cube":
        (tmp_path / "cube.zarr.part" / "spool.lock").touch()
        shutil.copy(outside / "work.json", folder.parent)
    before = sorted(outside.rglob("*"))
    with (
        pytest.raises(InputError, match=r"symbolic link|is no folder"),
        open_spool(target, ABOUT, SHAPE),
    ):
        pass
    assert sorted(outside.rglob("*")) == before
