"""Writing to an object store: whole or not there, whenever a writer dies, dawdles or is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pytest
import zarr
from fake_s3 import Bucket, serving_s3
from numpy.typing import NDArray
from obstore.store import LocalStore, MemoryStore
from store_helpers import ACROSS, BASE, CELL, LAYOUT, MODEL, equal, new_store, random_embeddings
from test_store_commit import Killed, version

from tessera.base import InputError, sha256_hex
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window
from tessera.net import CorruptError, LoadError, ObjectsWriter, open_writer, writer_of
from tessera.net._host import Host
from tessera.shards import MOST_YEARS, Header, Layout
from tessera.store import Store, create_store, open_store
from tessera.store.commits._remote import RemoteBackend
from tessera.store.commits._remote_commit import CellCommits, CellObjects
from tessera.store.commits._remote_years import _years_of, create_remote

URL = "s3://bucket/some/where"
ROOT = URL.removeprefix("s3://")
HEADER = Header(MODEL, LAYOUT, (2024,), (31,))
LEFT = replace(BASE, width=64)
RIGHT = replace(BASE, west=BASE.west + 64, width=64)
Result = TypeVar("Result")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    monkeypatch.setattr("tessera.net._host.DELAYS", (0.0,) * 5)
    monkeypatch.setattr("tessera.store.commits._remote_commit.PATIENCE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving_s3() as (bucket, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        # until reading, too, takes the endpoint's scheme as it is given
        monkeypatch.setattr("tessera.net.objects._CLIENT", {"allow_http": True})
        yield bucket


class StagedHost(Host):
    """Lets requests pass until one is due, then does what the test wants of it."""

    def __init__(self, due: int, what: Callable[[], None]) -> None:
        super().__init__()
        self.count, self._due, self._what, self._guard = 0, due, what, threading.Lock()

    def ask(self, request: Callable[[], Result], delays: Sequence[float] | None = None) -> Result:
        with self._guard:
            self.count += 1
            reached = self.count > self._due
        if reached:
            self._what()
        return super().ask(request, delays)


def die() -> None:
    raise Killed


def backend(due: int = 10**9, what: Callable[[], None] = die) -> tuple[RemoteBackend, StagedHost]:
    """A writer of its own that does something before request number `due`, counted from 0, and each that follows."""
    host = StagedHost(due, what)
    return RemoteBackend(replace(open_writer(URL), _host=host)), host


def write(on: RemoteBackend, number: int, window: Window = BASE) -> None:
    on.write_cell(HEADER, CELL, 2024, version(number, window), window)


def numbers() -> NDArray[np.int_]:
    """Which version each pixel shows, -1 where there is no data; each array must tell the same."""
    store = open_store(URL, cache=False)
    found = store.read_window(BASE, 2024)
    shown = np.where(np.isposinf(found.scales), -1, found.counts[..., 0].astype(int))
    for number in np.unique(shown[shown >= 0]).tolist():
        expected = version(number)
        here = shown == number
        assert np.array_equal(found.codes[here], expected.codes[here])
        assert np.array_equal(found.scales[here], expected.scales[here])
        assert np.array_equal(found.counts[here], expected.counts[here])
    return shown


def shown_number() -> int:
    """The one version that the whole cell shows, -1 for no data; a mixture fails."""
    found = np.unique(numbers())
    assert len(found) == 1, found
    return int(found[0])


def check_committed(bucket: Bucket) -> None:
    """The record names exactly the bytes that are there, and nothing is staged."""
    record = json.loads(bucket.objects[f"{ROOT}/commits/2024/{CELL.name}.json"].data)
    for info in record["objects"].values():
        data = bucket.objects[f"{ROOT}/{info['key']}"].data
        assert (len(data), sha256_hex(data)) == (info["bytes"], info["sha256"])


def staged(bucket: Bucket) -> list[str]:
    return [key for key in bucket.objects if "/staging/" in key]


def new_remote(layout: Layout = LAYOUT) -> Store:
    return create_store(URL, 8, MODEL, zones=(31,), layout=layout)


def started(bucket: Bucket, number: int = 1) -> None:
    """A store whose cell shows a version."""
    create_remote(open_writer(URL), replace(HEADER, years=()))
    backend()[0].ensure_year(2024)
    write(backend()[0], number)


def snapshot(bucket: Bucket) -> dict[str, tuple[str, datetime]]:
    return {key: (item.etag, item.modified) for key, item in bucket.objects.items()}


def unpack(bucket: Bucket, folder: Path) -> Path:
    """The store as files, as a sync command would bring it."""
    for key, item in bucket.objects.items():
        path = folder / key.removeprefix(f"{ROOT}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.data)
    return folder


@pytest.mark.parametrize("geometry", ["pixels", "published"])
def test_what_is_written_to_s3_is_read_by_us_and_by_stock_zarr(
    bucket: Bucket, tmp_path: Path, geometry: Literal["pixels", "published"]
) -> None:
    layout = replace(LAYOUT, geometry=geometry)
    store = new_remote(layout)
    given = random_embeddings(ACROSS, 4)
    written = store.write(given, 2024)
    assert len(written) == 4
    assert equal(store.read_window(ACROSS, 2024), given)
    again = open_store(URL, cache=False)
    assert equal(again.read_window(ACROSS, 2024), given)
    assert again.cells(2024) == sorted(written, key=lambda cell: cell.name)
    assert again.holds(ACROSS, 2024, {})
    assert not again.holds(ACROSS, 2024, {"cube_sha256": "other"})
    assert again.commit(CELL, 2024) is not None
    assert staged(bucket) == []
    group = zarr.open_group(unpack(bucket, tmp_path / "s"), mode="r")["utm31"]
    assert isinstance(group, zarr.Group)
    top, left = 911 * 1024 + 1024 - ACROSS.north, ACROSS.west - 15 * 1024
    rows, cols = slice(top, top + ACROSS.height), slice(left, left + ACROSS.width)
    scales, codes = group["scales"], group["embeddings"]
    assert isinstance(scales, zarr.Array)
    assert isinstance(codes, zarr.Array)
    assert np.array_equal(np.asarray(scales[0, rows, cols]), given.scales, equal_nan=True)
    valid = np.isfinite(given.scales)
    assert np.array_equal(np.moveaxis(np.asarray(codes[0, :, rows, cols]), 0, -1)[valid], given.codes[valid])
    local = open_store(tmp_path / "s")
    assert equal(local.read_window(ACROSS, 2024), given)
    assert local.holds(ACROSS, 2024, {})


def test_writing_the_same_again_changes_no_object(bucket: Bucket) -> None:
    store = new_remote()
    for seed, window in enumerate((BASE, ACROSS)):
        store.write(random_embeddings(window, seed), 2024)
    before = snapshot(bucket)
    open_store(URL).write(random_embeddings(ACROSS, 1), 2024)
    assert snapshot(bucket) == before
    store.write(random_embeddings(ACROSS, 2), 2024)
    changed = {key for key, value in snapshot(bucket).items() if before.get(key) != value}
    assert changed
    assert all("/c/" in key or "/commits/" in key for key in changed)


def test_a_store_that_was_copied_up_is_written_on(bucket: Bucket, tmp_path: Path) -> None:
    local = new_store(tmp_path / "s")
    local.write(version(1), 2024)
    for path in (tmp_path / "s").rglob("*"):
        if path.is_file() and ".tessera" not in path.parts:
            bucket.put(f"{ROOT}/{path.relative_to(tmp_path / 's').as_posix()}", path.read_bytes())
    before = snapshot(bucket)
    store = open_store(URL)
    store.write(version(1), 2024)
    assert snapshot(bucket) == before
    store.write(version(2, LEFT), 2024)
    assert (numbers()[:, :64] == 2).all()
    assert (numbers()[:, 64:] == 1).all()
    check_committed(bucket)


def test_pixels_without_data_and_cells_without_pixels(bucket: Bucket) -> None:
    store = new_remote()
    store.write(random_embeddings(BASE, no_data=1.1), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert set(record.objects) == {"scales", "observation_counts"}
    assert np.isnan(store.read_window(BASE, 2024).scales).all()
    blank = replace(random_embeddings(BASE), scales=np.full(BASE.shape, np.inf, np.float32))
    store.write(blank, 2025)
    assert np.isposinf(store.read_window(BASE, 2025).scales).all()
    before = snapshot(bucket)
    store.write(blank, 2025)
    assert snapshot(bucket) == before
    store.write(version(3, LEFT), 2025)
    assert int(np.isfinite(store.read_window(BASE, 2025).scales).sum()) == 128 * 64


def test_dying_before_any_request_loses_nothing(bucket: Bucket) -> None:
    started(bucket)
    current, due, died = 1, 0, True
    outcomes = set()
    while died:
        on, host = backend(due)
        try:
            write(on, current + 1)
            died = False
        except Killed:
            pass
        assert died == (host.count > due)
        due += 1
        shown = shown_number()
        assert shown in (-1, current, current + 1)
        outcomes.add("none" if shown == -1 else shown - current)
        # the next writer writes a part of the cell, and must find all the rest of it
        write(backend()[0], 900 + due, LEFT)
        found = numbers()
        assert (found[:, :64] == 900 + due).all()
        rest = np.unique(found[:, 64:])
        assert len(rest) == 1
        assert rest[0] in (current, current + 1)
        if shown == current + 1:
            assert rest[0] == shown
        check_committed(bucket)
        current += 2
        write(backend()[0], current)
        assert shown_number() == current
    assert due > 18
    assert outcomes == {"none", 0, 1}


def test_whoever_finishes_for_another_may_die_too(bucket: Bucket) -> None:
    started(bucket)
    due, died = 0, True
    while died:
        # 11 requests on, the register is pending and the codes are not in place
        with pytest.raises(Killed):
            write(backend(11)[0], 100 + due)
        assert shown_number() == -1
        on, _ = backend(due)
        try:
            write(on, 300 + due, LEFT)
            died = False
        except Killed:
            pass
        write(backend()[0], 500 + due, RIGHT)
        found = numbers()
        assert (found[:, 64:] == 500 + due).all()
        left = np.unique(found[:, :64])
        assert len(left) == 1
        assert left[0] == (100 + due if died and left[0] < 300 else 300 + due)
        check_committed(bucket)
        due += 1
    assert due > 25


@pytest.mark.parametrize("slow", ["owner", "helper"])
def test_a_request_that_arrives_after_all_is_over_does_no_harm(bucket: Bucket, slow: str) -> None:
    """Each request of a writer, or of one that finishes another's commit, in turn is under way for very long."""
    started(bucket)
    number, due, waited = 10, 0, True
    while waited:
        waiting, go = threading.Event(), threading.Event()

        def dawdle(waiting: threading.Event = waiting, go: threading.Event = go) -> None:
            if not waiting.is_set():
                waiting.set()
                assert go.wait(30)

        on, _ = backend(due, dawdle)
        work = partial(write, on, number, LEFT)
        if slow == "helper":
            with pytest.raises(Killed):
                write(backend(11)[0], number)
            place = CellObjects.of(HEADER, CELL, 2024)
            attempt = CellCommits(open_writer(URL)).look(place).attempt
            assert attempt is not None
            # a writer would put right in the end what it did wrong: this one goes when it has helped
            work = partial(CellCommits(on.writer).finish_left, place, attempt)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while not waiting.wait(0.002) and thread.is_alive():
            pass
        waited = waiting.is_set()
        # meanwhile others write the cell twice, and leave
        write(backend()[0], number + 2, RIGHT)
        write(backend()[0], number + 3, RIGHT)
        check_committed(bucket)
        go.set()
        thread.join(30)
        assert not thread.is_alive()
        # the windows do not overlap: nobody may have lost anything
        found = numbers()
        assert (found[:, :64] == number).all()
        assert (found[:, 64:] == number + 3).all()
        check_committed(bucket)
        assert [key for key in staged(bucket) if "intent" in key] == []
        number, due = number + 10, due + 1
    assert due > 18


@pytest.mark.parametrize("fault", [503, "cut", "late"])
def test_a_fault_at_any_request_is_got_over(bucket: Bucket, fault: int | str) -> None:
    started(bucket)
    bucket.log.clear()
    write(backend()[0], 2)
    total = len(bucket.log)
    for due in range(total):
        count = 0

        def hook(method: str, key: str, due: int = due) -> int | str | None:
            nonlocal count
            count += 1
            return fault if count == due + 1 else None

        bucket.hook = hook
        write(backend()[0], 100 + due)
        bucket.hook = None
        assert shown_number() == 100 + due
        check_committed(bucket)


def test_a_server_that_stays_away_is_one_line_and_the_next_write_goes_on(bucket: Bucket) -> None:
    started(bucket)
    bucket.hook = lambda method, key: 503 if method == "PUT" and "/embeddings/c/" in key else None
    with pytest.raises(LoadError, match="embeddings"):
        write(backend()[0], 5)
    bucket.hook = None
    assert shown_number() == -1
    store = open_store(URL)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert not store.holds(BASE, 2024, {"version": 1})
    write(backend()[0], 6, LEFT)
    assert set(np.unique(numbers())) == {5, 6}
    bucket.hook = lambda method, key: 403 if method == "PUT" else None
    with pytest.raises(Exception, match="refused"):
        write(backend()[0], 7)


def test_what_was_staged_and_is_gone_costs_the_cell_only_what_it_must(bucket: Bucket) -> None:
    started(bucket)
    with pytest.raises(Killed):
        write(backend(11)[0], 2)
    lost = next(key for key in staged(bucket) if key.endswith("/embeddings"))
    whole = bucket.objects[lost]
    for harm in (None, b"x" + whole.data[1:], whole.data + b"x"):
        bucket.objects.pop(lost, None)
        if harm is not None:
            bucket.put(lost, harm)
        with pytest.raises(CorruptError, match="write data to all of it"):
            write(backend()[0], 3, LEFT)
        assert shown_number() == -1
        assert backend()[0].sweep_all(HEADER) == 0
    bucket.objects[lost] = whole
    intent = next(key for key in staged(bucket) if key.endswith("/intent.json"))
    said = json.loads(bucket.objects[intent].data)
    for key, message in (
        ("../elsewhere", "outside the store"),
        ("utm31/scales/c/0/0/0", "another cell, year or layout"),
    ):
        said["record"]["objects"]["embeddings"]["key"] = key
        bucket.put(intent, json.dumps(said).encode())
        with pytest.raises(CorruptError, match=message):
            write(backend()[0], 3, LEFT)
    write(backend()[0], 4)
    assert shown_number() == 4
    check_committed(bucket)


def test_a_damaged_cell_is_replaced_only_whole(bucket: Bucket) -> None:
    started(bucket)
    key = f"{ROOT}/{LAYOUT.key(LAYOUT.codes, CELL, 0)}"
    whole = bucket.objects[key].data
    for harm in (None, whole[:-7], whole[:-60] + bytes(8) + whole[-52:]):
        bucket.objects.pop(key)
        if harm is not None:
            bucket.put(key, harm)
        with pytest.raises(CorruptError, match=r"to write cell .* anew"):
            write(backend()[0], 5, LEFT)
        write(backend()[0], 6)
        assert shown_number() == 6
        check_committed(bucket)
    bucket.put(f"{ROOT}/commits/2024/{CELL.name}.json", b"{")
    write(backend()[0], 7, LEFT)
    assert set(np.unique(numbers())) == {6, 7}


def test_garbage_of_dead_writers_goes_after_a_day_and_pending_cells_are_finished(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(bucket)
    with pytest.raises(Killed):
        write(backend(9)[0], 2)
    assert shown_number() == 1
    left = staged(bucket)
    assert left
    assert backend()[0].sweep_all(HEADER) == 0
    assert staged(bucket) == left
    for key in left:
        bucket.objects[key].modified = datetime.now(UTC) - timedelta(hours=25)
    assert backend()[0].sweep_all(HEADER) == 0
    assert staged(bucket) == []
    with pytest.raises(Killed):
        write(backend(11)[0], 3)
    bucket.put(f"{ROOT}/.tessera/staging/x/y/z/strange", b"")
    assert backend()[0].sweep_all(HEADER) == 0
    for key in staged(bucket):
        bucket.objects[key].modified = datetime.now(UTC) - timedelta(minutes=11)
    assert backend()[0].sweep_all(HEADER) == 1
    assert shown_number() == 3
    # a writer that was away for too long begins again rather than rely on what it staged
    clock = iter([0.0, 30_000.0])
    monkeypatch.setattr("tessera.store.commits._remote_commit.time.time", lambda: next(clock, 30_000.0))
    write(backend()[0], 4)
    assert shown_number() == 4


def test_years_are_appended_by_all_who_race_and_by_whoever_comes_after_the_dead(bucket: Bucket) -> None:
    create_remote(open_writer(URL), replace(HEADER, years=()))
    due, died, year = 0, True, 1980
    while died:
        on, _ = backend(due)
        try:
            on.ensure_year(year)
            died = False
        except Killed:
            pass
        if due % 8 == 0 or not died:
            backend()[0].ensure_year(1975)
            check_years(bucket)
            year += 1
        due += 1
    assert due > 20
    before = open_store(URL, cache=False).years
    new = range(2100, 2106)
    threads = [threading.Thread(target=backend()[0].ensure_year, args=(year,)) for year in new]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = open_store(URL, cache=False).years
    assert after[: len(before)] == before
    assert sorted(after[len(before) :]) == list(new)
    check_years(bucket)
    years = tuple(range(2000, 2000 + MOST_YEARS))
    bucket.put(f"{ROOT}/tessera.json", replace(HEADER, years=years).encode())
    with pytest.raises(InputError, match="64 years already"):
        backend()[0].ensure_year(1999)


def check_years(bucket: Bucket) -> None:
    """Every document has the years of tessera.json."""
    years = Header.decode(bucket.objects[f"{ROOT}/tessera.json"].data, "x").years
    grown = 0
    for key, item in bucket.objects.items():
        node = key.removeprefix(f"{ROOT}/")
        if node == "zarr.json":
            assert json.loads(item.data)["attributes"]["tessera:years"] == list(years)
        if node in ("zarr.json", "utm31/time/c/0") or "/scales/z" in node or "/embeddings/z" in node:
            assert _years_of(node, item.data) == len(years)
            grown += 1
    assert grown == 4


def test_a_document_that_cannot_be_read_is_put_again(bucket: Bucket) -> None:
    started(bucket)
    whole = {key: bucket.objects[f"{ROOT}/{key}"].data for key in ("zarr.json", "utm31/time/c/0")}
    bucket.put(f"{ROOT}/utm31/time/c/0", b"\x02\x01\x11\x04" + b"\xff" * 12)
    bucket.put(f"{ROOT}/zarr.json", b"{")
    backend()[0].ensure_year(2024)
    assert {key: bucket.objects[f"{ROOT}/{key}"].data for key in whole} == whole


def test_creating_is_finished_by_the_same_call_and_by_no_other(bucket: Bucket) -> None:
    header = replace(HEADER, years=())
    other = replace(header, zones=(32,))
    due, died = 0, True
    while died:
        bucket.objects.clear()
        try:
            create_remote(replace(open_writer(URL), _host=StagedHost(due, die)), header)
            died = False
        except Killed:
            pass
        if f"{ROOT}/tessera.json" not in bucket.objects:
            with pytest.raises(InputError, match="is no store"):
                open_store(URL)
        if f"{ROOT}/.tessera/create.json" in bucket.objects:
            with pytest.raises(InputError, match="begun as another store"):
                create_remote(open_writer(URL), other)
            create_remote(open_writer(URL), header)
        elif died:
            create_remote(open_writer(URL), header)
        assert open_store(URL).zones == (31,)
        assert f"{ROOT}/zarr.json" in bucket.objects
        with pytest.raises(InputError, match="exists; expected a new URL"):
            new_remote()
        due += 1
    assert due > 20
    assert not any("/.tessera/" in key for key in bucket.objects)
    bucket.objects.clear()
    bucket.put(f"{ROOT}/holiday.jpg", b"x")
    with pytest.raises(InputError, match="exists; expected a new URL"):
        new_remote()


def test_a_store_without_conditional_put_is_refused_unless_one_answers_for_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket.conditions = False
    with pytest.raises(InputError, match=r"no conditional put.*single_writer=True"):
        new_remote()
    assert bucket.objects == {}
    store = create_store(URL, 8, MODEL, zones=(31,), layout=LAYOUT, single_writer=True)
    store.write(version(1), 2024)
    with pytest.raises(Killed):
        write(RemoteBackend(replace(open_writer(URL, single_writer=True), _host=StagedHost(14, die))), 2)
    open_store(URL, single_writer=True).write(version(3, LEFT), 2024)
    assert set(np.unique(numbers())) == {2, 3}
    with pytest.raises(InputError, match="single_writer"):
        open_store(URL).write(version(4), 2024)
    bucket.conditions = True
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    with pytest.raises(InputError, match="no conditional put"):
        open_store(URL).write(version(4), 2024)
    with pytest.raises(InputError, match="no conditional put"):
        create_remote(writer_of(LocalStore(tmp_path), "folder"), HEADER)


def test_any_store_of_obstores_with_conditions_will_do() -> None:
    writer = writer_of(MemoryStore(), "memory")
    create_remote(writer, replace(HEADER, years=()))
    on = RemoteBackend(writer)
    on.ensure_year(2024)
    write(on, 1)
    write(on, 2, LEFT)
    record = on.read_commit(CELL, 2024)
    assert record is not None
    assert on.is_whole(HEADER, CELL, record)
    assert list(on.cells(2024, LAYOUT)) == [CELL]


def test_where_one_cannot_write_is_said_in_one_line(tmp_path: Path) -> None:
    for url in ("https://example.org/s", "ftp://example.org/s"):
        with pytest.raises(InputError, match="can only be read"):
            create_store(url, 8, MODEL, layout=LAYOUT)
    writer: ObjectsWriter = writer_of(MemoryStore(), "memory")
    with pytest.raises(InputError, match="is no store"):
        RemoteBackend(writer).read_header()


def test_scratch_lies_on_this_machine(bucket: Bucket, tmp_path: Path) -> None:
    scratch = new_remote().scratch()
    assert scratch.is_relative_to(tmp_path / "cache" / "tessera" / "work")
    assert scratch == open_store(URL).scratch()


def test_another_models_embeddings_are_refused(bucket: Bucket) -> None:
    store = new_remote()
    given = version(1)
    other = Embeddings(
        given.codes, given.scales, given.counts, ModelIdentity("other", "cd" * 32, 8, (2, 8)), BASE.grid, {}
    )
    with pytest.raises(InputError, match="a store holds one model"):
        store.write(other, 2024)
