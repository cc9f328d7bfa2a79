from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from maps_helpers import WINDOW, YEAR, FakeTrust, files_of, make_head, make_store

from tessera.base import Folder, InputError, TesseraError
from tessera.geo import Window
from tessera.maps import _strips as strips_module
from tessera.testing import random_embeddings

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from maps_helpers import WINDOW, FakeTrust, make_head
from tessera.base import TesseraError, spool
from tessera.maps import _strips
from tessera.store import open_store
_strips.ROWS = 32
put = spool.Spool.put
def slow(self, name, arrays):
    time.sleep(float(sys.argv[4]))
    put(self, name, arrays)
spool.Spool.put = slow
print("ready", flush=True)
try:
    make_head(trust=FakeTrust()).map(
        open_store(sys.argv[2]), WINDOW, out=Path(sys.argv[3]), probabilities=True, uncertainty=True, png=False
    )
except TesseraError as error:
    print(error)
    sys.exit(2)
"""


def start(store: Path, out: Path, pause: float = 0.02, **kwargs: Any) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", RUN, str(Path(__file__).parent), str(store), str(out), str(pause)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)


@pytest.fixture(autouse=True)
def _thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips_module, "ROWS", 32)


def stopped_after(rows: int) -> Any:
    def stop(done: int, total: int) -> None:
        if done > rows:
            raise KeyboardInterrupt

    return stop


def test_a_stopped_map_goes_on_and_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, head = make_store(tmp_path / "s.zarr"), make_head(trust=FakeTrust())
    options: dict[str, Any] = {"probabilities": True, "uncertainty": True}
    (tmp_path / "a").mkdir()
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif", **options)
    with pytest.raises(KeyboardInterrupt):
        head.map(store, WINDOW, out=tmp_path / "b" / "map.tif", **options, progress=stopped_after(100))
    assert [path.name for path in (tmp_path / "b").iterdir()] == [".map.tif.spool"]
    read: list[Window] = []
    iter_codes = type(store).iter_codes

    def watched(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["within"])
        return iter_codes(*args, **kwargs)

    monkeypatch.setattr(type(store), "iter_codes", watched)
    head.map(store, WINDOW, out=tmp_path / "b" / "map.tif", **options)
    assert sum(window.height for window in {w for w in read if w.west == WINDOW.west}) < WINDOW.height - 90
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def change_head(store: Any, head: Any) -> tuple[Any, Any]:
    return store, make_head(7)


def change_trust(store: Any, head: Any) -> tuple[Any, Any]:
    trust = FakeTrust()
    trust.threshold = 0.9
    return store, make_head(trust=trust)


def change_store(store: Any, head: Any) -> tuple[Any, Any]:
    store.write(random_embeddings(WINDOW, 3, 0.0), YEAR)
    return store, head


def change_year(store: Any, head: Any) -> tuple[Any, Any]:
    store.write(random_embeddings(WINDOW, 4, 0.0), YEAR + 1)
    return store, make_head(years=(YEAR + 1,), trust=FakeTrust())


@pytest.mark.parametrize("change", [change_head, change_trust, change_store, change_year])
def test_strips_of_another_head_year_or_state_are_never_used(tmp_path: Path, change: Any) -> None:
    store, head = make_store(tmp_path / "s.zarr"), make_head(trust=FakeTrust())
    with pytest.raises(KeyboardInterrupt):
        head.map(store, WINDOW, out=tmp_path / "b" / "map.tif", progress=stopped_after(150))
    store, head = change(store, head)
    head.map(store, WINDOW, out=tmp_path / "b" / "map.tif")
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_a_store_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    store, head = make_store(tmp_path / "s.zarr"), make_head()

    def write(done: int, total: int) -> None:
        if done == WINDOW.height:
            store.write(random_embeddings(WINDOW, 3, 0.0), YEAR)

    with pytest.raises(TesseraError, match="the store was written to while it was read; run the same command again"):
        head.map(store, WINDOW, out=tmp_path / "b" / "map.tif", progress=write)
    head.map(store, WINDOW, out=tmp_path / "b" / "map.tif")
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_a_damaged_strip_is_made_anew(tmp_path: Path) -> None:
    store, head = make_store(tmp_path / "s.zarr"), make_head()
    with pytest.raises(KeyboardInterrupt):
        head.map(store, WINDOW, out=tmp_path / "map.tif", progress=stopped_after(100))
    part = sorted((tmp_path / ".map.tif.spool").glob("*.part"))[0]
    part.write_bytes(part.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(TesseraError, match="is damaged; run the same command again"):
        head.map(store, WINDOW, out=tmp_path / "map.tif")
    head.map(store, WINDOW, out=tmp_path / "map.tif")
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as one, rasterio.open(tmp_path / "a" / "map.tif") as other:
        np.testing.assert_array_equal(one.read(), other.read())


def test_killed_maps_end_with_the_same_bytes(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr")
    head = make_head(trust=FakeTrust())
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif", probabilities=True, uncertainty=True, png=False)
    draw, killed = random.Random(4), 0
    for count in range(60):
        process = start(tmp_path / "s.zarr", tmp_path / "b" / "map.tif")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(0.05 + 0.15 * count * draw.random())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.stdout.close()
        if process.wait() == 0:
            break
    assert killed >= 2
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


@pytest.mark.parametrize("step", range(6))
def test_a_kill_while_files_are_put_in_place_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Stopped before each file operation of the commit, over an older map with more files beside it."""
    store, head = make_store(tmp_path / "s.zarr"), make_head()
    out = tmp_path / "b" / "map.tif"
    make_head(3).map(store, WINDOW, out=out, probabilities=True)
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif")
    left, move, remove = [step], Folder.move, Folder.remove

    def once(act: Any) -> Any:
        def count(self: Any, *args: Any) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return act(self, *args)

        return count

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "move", once(move))
        patch.setattr(Folder, "remove", once(remove))
        with pytest.raises(KeyboardInterrupt):
            head.map(store, WINDOW, out=out)
    if (out.parent / ".map.tif.spool" / "files" / "intent.json").exists() and out.exists():
        with rasterio.open(out) as raster:
            assert raster.tags()["TESSERA_HEAD_SHA256"]
    head.map(store, WINDOW, out=out)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_four_starts_at_once_give_one_whole_map_and_say_who_works(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr")
    head = make_head(trust=FakeTrust())
    head.map(store, WINDOW, out=tmp_path / "a" / "map.tif", probabilities=True, uncertainty=True, png=False)
    (tmp_path / "b").mkdir()
    runs = [start(tmp_path / "s.zarr", tmp_path / "b" / "map.tif", 0.1) for _ in range(4)]
    ends = [(run.communicate(timeout=120)[0].strip().splitlines()[-1], run.returncode) for run in runs]
    codes = sorted(code for _, code in ends)
    assert codes[0] == 0
    assert set(codes) <= {0, 2}
    pids = {str(run.pid) for run in runs}
    for said, code in ends:
        if code == 2:
            assert "is being written by another process (process " in said
            assert said.partition("(process ")[2].partition(" ")[0] in pids
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def second_user() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs a second user")
def test_a_second_user_is_told_whose_work_lies_there(open_path: Path) -> None:
    store, head = make_store(open_path / "s.zarr"), make_head(trust=FakeTrust())
    out = open_path / "b" / "map.tif"
    with pytest.raises(KeyboardInterrupt):
        head.map(store, WINDOW, out=out, progress=stopped_after(100))
    out.parent.chmod(0o777)
    with second_user(), pytest.raises(InputError, match=r"was begun by user root, whose unfinished work in .* you may"):
        head.map(store, WINDOW, out=out)
    # one at work is named too
    run = start(open_path / "s.zarr", out, 1.0)
    holder = out.parent / ".map.tif.spool" / "holder.json"
    for _ in range(1000):
        if f'"process": {run.pid},' in holder.read_text():
            break
        time.sleep(0.02)
    with second_user(), pytest.raises(InputError, match=rf"by another process .process {run.pid} of user root.$"):
        head.map(store, WINDOW, out=out)
    run.kill()
    run.communicate()


def test_files_of_an_earlier_map_that_would_be_wrong_go(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr")
    out = tmp_path / "b" / "map.tif"
    make_head(trust=FakeTrust()).map(store, WINDOW, out=out, probabilities=True, uncertainty=True)
    (tmp_path / "b" / "notes.txt").write_text("mine")
    make_head(1).map(store, WINDOW, out=out, png=False)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        *("map.classes.csv", "map.qml", "map.tif", "map.tif.aux.xml", "notes.txt")
    ]
    (tmp_path / "b" / "map.probabilities.tif").write_bytes(b"mine too")
    make_head(1).map(store, WINDOW, out=out, png=False)
    assert (tmp_path / "b" / "map.probabilities.tif").read_bytes() == b"mine too"
    with pytest.raises(InputError, match=r"raster of probabilities .* exists"):
        make_head(1).map(store, WINDOW, out=out, probabilities=True)
