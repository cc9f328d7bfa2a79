"""A cell is whole or not there, whatever happens to its writer."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_helpers import CELL, LAYOUT, MODEL, new_store, random_embeddings

from tessera.base import InputError, TesseraError, sha256_hex, write_atomic
from tessera.embeddings import Embeddings
from tessera.geo import Window
from tessera.store import Store, open_store, read_commit
from tessera.store.commits.commit import recover_all

WINDOW = CELL.window


def version(number: int, window: Window = WINDOW) -> Embeddings:
    """Embeddings whose every array tells the same number."""
    return Embeddings(
        np.full((*window.shape, 8), number % 100, np.int8),
        np.full(window.shape, (1 + number) / 1000, np.float32),
        np.full((*window.shape, 3), number, np.uint16),
        MODEL,
        window.grid,
        {"version": number},
    )


def number_of(store: Store, window: Window = WINDOW) -> int | None:
    """The one version that every pixel and array shows, None where the cell shows no data; anything else fails."""
    found = store.read_window(window, 2024)
    if np.isposinf(found.scales).all():
        return None
    numbers = np.unique(found.counts)
    assert len(numbers) == 1
    number = int(numbers[0])
    assert np.array_equal(found.codes, version(number).codes)
    assert np.array_equal(found.scales, version(number).scales)
    return number


def check_committed(store: Store) -> None:
    """The record names exactly the bytes that are there."""
    folder = store.objects.folder
    assert folder is not None
    record = read_commit(folder, 2024, CELL)
    assert record is not None
    for info in record.objects.values():
        data = (folder / info["key"]).read_bytes()
        assert (len(data), sha256_hex(data)) == (info["bytes"], info["sha256"])


class Killed(BaseException):
    """Stands for the process's death: no handler of ours may catch it and tidy up."""


OPERATIONS = ("replace", "unlink", "mkdir")


def run_until(monkeypatch: pytest.MonkeyPatch, store: Store, number: int, limit: int) -> bool:
    """Write a version, dying before file operation `limit`; whether it died."""
    count = 0

    def counting(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count > limit:
                raise Killed
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(Path, name, counting(getattr(Path, name)))
        patch.setattr("tessera.base.folder.shutil.rmtree", counting(__import__("shutil").rmtree))
        try:
            store.write(version(number), 2024)
        except Killed:
            return True
    return False


def test_dying_before_any_file_operation_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    died, limit = True, 0
    store = new_store(tmp_path / "s")
    store.write(version(1), 2024)
    current = 1
    outcomes = set()
    while died:
        died = run_until(monkeypatch, store, current + 1, limit)
        limit += 1
        shown = number_of(open_store(tmp_path / "s"))
        assert shown in (None, current, current + 1)
        outcomes.add("none" if shown is None else shown - current)
        recover_all(tmp_path / "s", LAYOUT)
        after = number_of(open_store(tmp_path / "s"))
        assert after in (current, current + 1)
        if shown == current + 1:
            assert after == shown
        check_committed(store)
        current = after
    assert limit > 12
    assert outcomes == {"none", 0, 1}


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    new_store(tmp_path / "s")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from test_store_commit import version; from tessera.store import open_store;"
        "store = open_store(sys.argv[1]); start = int(sys.argv[3])\n"
        "for number in range(start, start + 400):\n"
        "    store.write(version(number), 2024); print(number, flush=True)\n"
    )
    rng = random.Random(7)
    committed = 0
    for _ in range(8):
        command = [sys.executable, "-c", script, tmp_path / "s", Path(__file__).parent, str(committed + 1)]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(rng.uniform(0, 0.15))
            os.kill(child.pid, signal.SIGKILL)
            printed = child.stdout.read().split()
        last = int(printed[-1]) if printed else committed + 1
        shown = number_of(open_store(tmp_path / "s"))
        assert shown is None or shown >= last
        recover_all(tmp_path / "s", LAYOUT)
        store = open_store(tmp_path / "s")
        found = number_of(store)
        assert found is not None
        assert found >= last
        check_committed(store)
        committed = found
    leftovers = [path for path in (tmp_path / "s" / ".tessera" / "staging").rglob("*") if path.is_file()]
    store.write(version(committed + 1), 2024)
    assert number_of(store) == committed + 1
    assert [path for path in leftovers if path.exists()] == []


def test_two_writers_of_one_cell_leave_one_of_them_whole(tmp_path: Path) -> None:
    new_store(tmp_path / "s").write(version(0), 2024)
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from test_store_commit import version; from tessera.store import open_store;"
        "store = open_store(sys.argv[1])\n"
        "for number in range(int(sys.argv[3]), int(sys.argv[3]) + 12): store.write(version(number), 2024)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "s"), str(Path(__file__).parent), str(start)])
        for start in (100, 200)
    ]
    assert [child.wait() for child in children] == [0, 0]
    store = open_store(tmp_path / "s")
    assert number_of(store) in (111, 211)
    check_committed(store)


def test_two_writers_of_two_years_keep_both(tmp_path: Path) -> None:
    new_store(tmp_path / "s")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from test_store_commit import version; from tessera.store import open_store;"
        "open_store(sys.argv[1]).write(version(3), int(sys.argv[3]))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "s"), str(Path(__file__).parent), str(year)])
        for year in (2020, 2021, 2022)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    store = open_store(tmp_path / "s")
    assert sorted(store.years) == [2020, 2021, 2022]
    for year in store.years:
        assert (store.read_window(WINDOW, year).counts == 3).all()


def test_a_killed_new_year_is_finished_by_the_next_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write_atomic
    for limit in range(8):
        store = new_store(tmp_path / f"s{limit}")
        store.write(version(1), 2024)
        count = 0

        def dying(path: Path, data: Any) -> None:
            nonlocal count
            count += 1
            if count > limit:  # noqa: B023 - called within this turn only
                raise Killed
            original(path, data)

        with monkeypatch.context() as patch:
            patch.setattr("tessera.base.folder.write_atomic", dying)
            with pytest.raises(Killed):
                store.write(version(2), 2025)
        assert number_of(open_store(tmp_path / f"s{limit}")) == 1
        store = open_store(tmp_path / f"s{limit}")
        store.write(version(2), 2025)
        root = json.loads((tmp_path / f"s{limit}" / "zarr.json").read_text())
        assert root["attributes"]["tessera:years"] == [2024, 2025]
        assert store.read_window(WINDOW, 2025).counts.max() == 2


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "s")
    store.write(version(1), 2024)
    original = write_atomic

    def full(path: Path, data: Any) -> None:
        if path.name == "scales":
            raise OSError(28, "No space left on device")
        original(path, data)

    with monkeypatch.context() as patch:
        patch.setattr("tessera.base.folder.write_atomic", full)
        with pytest.raises(TesseraError, match=r"No space left on device.*as it was before"):
            store.write(version(2), 2024)
    assert number_of(store) == 1
    check_committed(store)
    assert not list((tmp_path / "s" / ".tessera" / "staging").rglob("*.part"))


DISK = ("replace", "mkdir", "open")


def test_a_disk_that_is_full_at_any_operation_loses_nothing_and_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each making of a folder, opening for writing and renaming in turn finds no room, and so do all that follow."""
    store = new_store(tmp_path / "s")
    store.write(version(1), 2024)
    failed, limit, current, outcomes = True, 0, 1, set()
    while failed:
        count = 0

        def filling(original: Any) -> Any:
            def call(path: Path, *args: Any, **kwargs: Any) -> Any:
                nonlocal count
                if original.__name__ != "open" or "w" in (args[0] if args else kwargs.get("mode", "r")):
                    count += 1
                    if count > limit:  # noqa: B023 - called within this turn only
                        raise OSError(28, "No space left on device")
                return original(path, *args, **kwargs)

            return call

        year = 2024 if limit % 2 else 2025 + limit
        with monkeypatch.context() as patch:
            for name in DISK:
                patch.setattr(Path, name, filling(getattr(Path, name)))
            try:
                store.write(version(current + 1), 2024)
                store.write(version(current + 1), year)
                failed = False
            except TesseraError as error:
                assert "No space left on device" in str(error)  # noqa: PT017 - raised or not
        shown = number_of(open_store(tmp_path / "s"))
        outcomes.add(None if shown is None else shown - current)
        assert shown in (None, current, current + 1)
        store.write(version(500, Window(31, WINDOW.west, WINDOW.north, 1, 1)), 2024)
        found = np.unique(open_store(tmp_path / "s").read_window(WINDOW, 2024).counts[1:])
        assert len(found) == 1
        assert found[0] in (current, current + 1)
        current += 2
        store.write(version(current), 2024)
        assert number_of(store) == current
        check_committed(store)
        limit += 1
    assert limit > 12
    assert outcomes >= {None, 0, 1}


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(version(1), 2024)
    script = (
        "import resource, sys; sys.path.insert(0, sys.argv[2]);"
        "from test_store_commit import version; from tessera.store import open_store;"
        "from tessera.base import TesseraError;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: open_store(sys.argv[1]).write(version(2), 2024)\n"
        "except TesseraError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "s"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert "as it was before" in done.stdout
    assert number_of(store) == 1
    check_committed(store)
    store.write(version(2), 2024)
    assert number_of(store) == 2


def test_writing_the_same_again_touches_no_file_and_heals_damage(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(WINDOW, no_data=0), 2024)

    def state() -> dict[Path, tuple[int, int, bytes]]:
        files = [path for path in (tmp_path / "s").rglob("*") if path.is_file() and ".tessera" not in path.parts]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    open_store(tmp_path / "s").write(random_embeddings(WINDOW, no_data=0), 2024)
    assert state() == before
    for spec in LAYOUT.arrays:
        path = tmp_path / "s" / LAYOUT.key(spec, CELL, 0)
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        store.write(random_embeddings(WINDOW, no_data=0), 2024)
        assert path.read_bytes() == whole


def test_a_staged_object_that_was_changed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "s")

    def dying(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("tessera.base.Journal.finish", dying)
        with pytest.raises(Killed):
            store.write(version(1), 2024)
    staged = tmp_path / "s" / ".tessera" / "staging" / "2024" / CELL.name
    whole = (staged / "embeddings").read_bytes()
    (staged / "embeddings").write_bytes(whole[:-1])
    with pytest.raises(TesseraError, match="not the one intended"):
        store.write(version(2), 2024)
    (staged / "embeddings").write_bytes(whole)
    (tmp_path / "s" / ".tessera" / "staging" / "2024" / ".DS_Store").write_text("x")
    (tmp_path / "s" / ".tessera" / "staging" / "old" / "x").mkdir(parents=True)
    (staged / "embeddings").write_bytes(whole[:-1])
    elsewhere = Window(31, WINDOW.west + 128, WINDOW.north, 4, 4)
    assert len(store.write(version(3, elsewhere), 2024)) == 1
    (staged / "embeddings").write_bytes(whole)
    intent = json.loads((staged / "intent.json").read_text())
    intent["keys"]["embeddings"] = "../../outside"
    (staged / "intent.json").write_text(json.dumps(intent))
    with pytest.raises(InputError, match="outside the store"):
        store.write(version(2), 2024)


def test_the_record_tells_chunks_pixels_and_inputs(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    corner = Window(31, WINDOW.west, WINDOW.north, 40, 20)
    store.write(random_embeddings(corner, cube_sha256="x"), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert record.chunks == "c000"
    assert record.pixels["not_written"] == 128 * 128 - 800
    written = {"window": [corner.west, corner.north, 40, 20], "provenance": {"cube_sha256": "x"}, "intact": True}
    assert record.inputs == (written,)
    store.write(random_embeddings(WINDOW, 2, 0, cube_sha256="y"), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert record.chunks == "ffff"
    assert record.pixels == {"valid": 128 * 128, "no_data": 0, "not_written": 0}
    assert [part["intact"] for part in record.inputs] == [False, True]


def test_pixels_without_data_take_no_codes(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(WINDOW, no_data=1.1), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert set(record.objects) == {"scales", "observation_counts"}
    assert np.isnan(store.read_window(WINDOW, 2024).scales).all()
    assert np.isnan(store.read_region(WINDOW, 2024).values).all()
