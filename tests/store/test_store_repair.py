"""`store repair` drops what is broken and nothing else, and a repair that is killed is finished by the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_damage import CODES, PREFIX, RIGHT, SCALES, change_record, flip, lose, object_path, record_path, sign
from store_helpers import ACROSS, BASE, CELL, LAYOUT, equal, new_store, random_embeddings
from test_store_commit import Killed, number_of, version

from tessera.base import file_lock, write_atomic
from tessera.check import check_store, repair_store
from tessera.net import CorruptError
from tessera.shards import COUNTS, Header
from tessera.store import Store, cell_lock_path, is_pending, open_store
from tessera.store.commits._writer import ensure_year

BROKEN = ((2024, CELL.name),)
STAGED = Path(".tessera") / "staging" / "2024" / CELL.name


def root_of(store: Store) -> Path:
    assert store.objects.folder is not None
    return store.objects.folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two cells, of which tests break the first."""
    made = new_store(tmp_path / "s")
    made.write(version(1), 2024)
    made.write(random_embeddings(RIGHT.window, 5), 2024)
    return made


def other_is_untouched(store: Store) -> bool:
    return equal(store.read_window(RIGHT.window, 2024), random_embeddings(RIGHT.window, 5))


HARMS: list[Callable[[Path], object]] = [
    lambda root: object_path(root, CODES).unlink(),
    lambda root: object_path(root, SCALES).unlink(),
    lambda root: flip(object_path(root, PREFIX), 900),
    lambda root: (flip(object_path(root, CODES), 9000), sign(root)),
    lambda root: object_path(root, COUNTS).write_bytes(b""),
    lambda root: record_path(root).write_text("{"),
    lambda root: record_path(root).unlink(),
    lambda root: change_record(root, model="cd" * 32),
    lambda root: lose(object_path(root, SCALES), record_path(root)),
]


@pytest.mark.parametrize("harm", HARMS, ids=[str(number) for number in range(len(HARMS))])
def test_a_broken_cell_is_dropped_and_can_be_written_again(store: Store, harm: Callable[[Path], object]) -> None:
    root = root_of(store)
    harm(root)
    assert repair_store(store, dry_run=True).dropped == BROKEN
    assert check_store(store).broken == BROKEN
    done = repair_store(store)
    assert (done.dropped, done.left, done.restored) == (BROKEN, (), ())
    assert check_store(store).problems == ()
    assert number_of(open_store(root)) is None
    assert not any(object_path(root, spec).exists() for spec in LAYOUT.arrays)
    assert not store.holds(BASE, 2024, {"version": 1})
    assert [cell.name for cell in store.cells(2024)] == [RIGHT.name]
    assert other_is_untouched(store)
    corner = replace(BASE, width=5, height=5)
    store.write(random_embeddings(corner), 2024)
    assert equal(store.read_window(corner, 2024), random_embeddings(corner))
    assert check_store(store).sound
    assert repair_store(store).dropped == ()


def test_an_old_report_is_not_believed(store: Store) -> None:
    root = root_of(store)
    object_path(root, CODES).unlink()
    report = check_store(store)
    store.write(version(7), 2024)
    done = repair_store(store, report)
    assert (done.dropped, done.left) == ((), ())
    assert number_of(store) == 7


def test_only_the_year_or_area_that_was_asked_for_is_repaired(store: Store) -> None:
    root = root_of(store)
    store.write(version(2), 2025)
    for index in (0, 1):
        object_path(root, CODES, index=index).unlink()
    assert repair_store(store, year=2025).dropped == ((2025, CELL.name),)
    assert check_store(store).broken == BROKEN
    assert repair_store(store, area=(100.0, 10.0, 100.1, 10.1)).dropped == ()
    assert repair_store(store).dropped == BROKEN


def test_a_cell_that_somebody_writes_is_left(store: Store) -> None:
    root = root_of(store)
    record_path(root).unlink()
    report = check_store(store)
    assert [problem.kind for problem in report.problems] == ["orphan"]
    with file_lock(cell_lock_path(root, 2024, CELL)):
        done = repair_store(store, report)
    assert done.dropped == ()
    assert done.left == (f"2024 {CELL.name}: somebody is at work on it",)
    assert object_path(root, CODES).exists()


def die_at(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], limit: int) -> bool:
    """Do something, dying before file operation `limit`; whether it died."""
    count = 0

    def counting(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count > limit:
                raise Killed
            return original(*args, **kwargs)

        return call

    def removing(folder: Path, ignore_errors: bool = False) -> None:
        # a tree goes file by file, and a kill may come between any two
        for path in sorted(folder.rglob("*"), reverse=True):
            counting(Path.rmdir if path.is_dir() else original_unlink)(path)
        if folder.exists():
            counting(Path.rmdir)(folder)

    original_unlink = Path.unlink
    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "mkdir"):
            patch.setattr(Path, name, counting(getattr(Path, name)))
        patch.setattr(shutil, "rmtree", removing)
        try:
            act()
        except Killed:
            return True
    return False


def pending(store: Store, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Leave a commit of a version pending, of which nothing is moved yet."""
    with monkeypatch.context() as patch:

        def dying(*args: Any) -> None:
            raise Killed

        patch.setattr("tessera.base.Journal.finish", dying)
        with pytest.raises(Killed):
            store.write(version(number), 2024)


@pytest.mark.parametrize("kind", ["codes", "record", "orphan", "staged", "pending"])
def test_a_repair_killed_before_any_file_operation_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    made = new_store(tmp_path / "s")
    made.write(version(1), 2024)
    (tmp_path / "s" / "utm31" / "x" / "zarr.json").unlink()
    if kind in ("staged", "pending"):
        pending(made, monkeypatch, 2)
    if kind == "staged":
        (tmp_path / "s" / STAGED / "embeddings").write_bytes(b"x")
    if kind in ("codes", "staged"):
        flip(object_path(tmp_path / "s", CODES), 9000)
    if kind == "record":
        record_path(tmp_path / "s").write_text("{")
    if kind == "orphan":
        record_path(tmp_path / "s").unlink()
    died, limit = True, 0
    while died:
        shutil.copytree(tmp_path / "s", tmp_path / str(limit))
        store = open_store(tmp_path / str(limit))
        report = check_store(store)
        died = die_at(monkeypatch, lambda: repair_store(store, report), limit)  # noqa: B023 - called at once
        try:
            shown = number_of(open_store(tmp_path / str(limit)))
        except CorruptError:
            assert kind in ("codes", "staged")
        else:
            assert shown in (None, 1, 2)
        repair_store(store)
        assert check_store(store).problems == ()
        assert number_of(store) == (2 if kind == "pending" else None)
        store.write(version(3), 2024)
        assert number_of(store) == 3
        limit += 1
    assert limit > 6


def test_a_pending_commit_is_reported_as_such_and_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_of(store)
    died = set()
    for limit in range(8, 40, 2):
        if not die_at(monkeypatch, lambda: store.write(version(limit), 2024), limit):  # noqa: B023 - called at once
            break
        report = check_store(store)
        assert report.sound
        assert {problem.kind for problem in report.problems} <= {"pending"}
        done = repair_store(store, report)
        died.add("finished" if done.finished else "swept" if done.swept else "nothing")
        assert (done.dropped, done.left) == ((), ())
        assert check_store(store).problems == ()
        assert not is_pending(root, 2024, CELL)
        assert not (root / STAGED).exists()
        number_of(store)
    assert died >= {"finished", "swept"}


def test_a_pending_commit_that_cannot_be_finished_costs_only_itself(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_of(store)
    pending(store, monkeypatch, 2)
    (root / STAGED / "embeddings").write_bytes(b"x")
    report = check_store(store)
    assert report.broken == BROKEN
    assert "what a killed writer left cannot be finished" in report.problems[0].text
    done = repair_store(store, report)
    assert (done.dropped, done.swept) == ((), BROKEN)
    assert number_of(store) == 1
    assert check_store(store).problems == ()


def test_a_pending_commit_that_cannot_be_finished_any_more_drops_the_cell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_of(store)
    pending(store, monkeypatch, 2)
    object_path(root, SCALES).unlink()
    (root / STAGED / "scales").unlink()
    done = repair_store(store)
    assert done.dropped == BROKEN
    assert check_store(store).problems == ()
    assert other_is_untouched(store)


def test_a_record_that_was_being_written_is_swept(store: Store) -> None:
    root = root_of(store)
    part = record_path(root).with_name(f".{CELL.name}.json.12345.part")
    part.write_text("{")
    report = check_store(store)
    assert [(problem.kind, problem.severity) for problem in report.problems] == [("pending", "note")]
    assert repair_store(store, report).swept == BROKEN
    assert not part.exists()
    assert number_of(store) == 1


def test_damaged_documents_are_written_again(store: Store) -> None:
    root = root_of(store)
    store.write(version(4), 2025)
    whole = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".tessera" not in path.parts}
    (root / "zarr.json").write_text("{")
    (root / "utm31" / "zarr.json").unlink()
    shutil.rmtree(root / "utm31" / "time")
    (root / "utm31" / "y" / "c" / "0").write_bytes(b"")
    said = repair_store(store, dry_run=True)
    assert not (root / "utm31" / "zarr.json").exists()
    done = repair_store(store)
    assert (
        set(done.restored)
        == set(said.restored)
        == {
            "zarr.json",
            "utm31/zarr.json",
            "utm31/time/zarr.json",
            "utm31/time/c/0",
            "utm31/y/c/0",
        }
    )
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".tessera" not in path.parts}
    assert after == whole
    assert done.left == ()


def test_a_year_that_was_being_added_is_taken_back_and_can_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_of(store)
    for limit in range(12):
        count = 0

        def dying(path: Path, data: Any) -> None:
            nonlocal count
            count += 1
            if count > limit:  # noqa: B023 - called within this turn only
                raise Killed
            write_atomic(path, data)

        with monkeypatch.context() as patch:
            patch.setattr("tessera.base.folder.write_atomic", dying)
            killed = False
            try:
                ensure_year(root, 2030 + limit)
            except Killed:
                killed = True
        if killed:
            repair_store(store)
        assert check_store(store).problems == ()
    assert number_of(store) == 1


def test_a_year_that_came_since_is_not_taken_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = root_of(store)
    (root / "zarr.json").write_text("{")
    original = file_lock

    def late(path: Path, *, wait: bool = True) -> Any:
        if path.name == "years.lock":
            monkeypatch.setattr("tessera.base.folder.file_lock", original)
            ensure_year(root, 2031)
        return original(path, wait=wait)

    monkeypatch.setattr("tessera.base.folder.file_lock", late)
    repair_store(store)
    assert Header.decode((root / "tessera.json").read_bytes(), "x").years == (2024, 2031)
    assert check_store(store).problems == ()


def test_what_belongs_to_no_cell_is_left_and_said(store: Store) -> None:
    root = root_of(store)
    path = root / "commits" / "2024" / "utm40_e500_n4300.json"
    path.write_text("{}")
    beyond = object_path(root, CODES, index=5)
    beyond.parent.mkdir(parents=True)
    beyond.write_bytes(b"x")
    done = repair_store(store)
    assert done.dropped == ()
    assert len(done.left) == 2
    assert path.exists()
    assert beyond.exists()


def test_the_command_repairs_and_says_so(store: Store, run: Callable[..., tuple[int, str, str]]) -> None:
    root = root_of(store)
    object_path(root, CODES).unlink()
    code, out, _ = run("store", "repair", root, "--dry-run")
    assert (code, out) == (0, f"2024 {CELL.name}: would be dropped\n")
    assert run("store", "check", root)[0] == 1
    code, out, _ = run("store", "repair", root, "--json")
    assert code == 0
    assert json.loads(out)["dropped"] == [{"year": 2024, "cell": CELL.name}]
    assert run("store", "check", root)[0] == 0
    code, out, _ = run("store", "repair", root)
    assert (code, out) == (0, f"{root}: nothing to repair\n")


def test_whole_cells_survive_a_repair_byte_by_byte(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS), 2024)
    before = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}
    done = repair_store(store)
    assert (done.dropped, done.finished, done.swept, done.restored, done.left) == ((), (), (), (), ())
    assert {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()} == before
    assert np.isfinite(store.read_window(ACROSS, 2024).values()).any()
