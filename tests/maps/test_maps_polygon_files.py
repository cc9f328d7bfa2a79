"""Polygons beside a map: the same bytes at any time, and never those of another map."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from maps_helpers import files_of, make_head, make_store

from tessera.base import InputError
from tessera.geo import Window
from tessera.maps import polygons as polygons_module

WINDOW = Window(31, 64400, 561100, 60, 50)
SUFFIXES = (".gpkg", ".parquet", ".fgb")

KILLED = """
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from maps_helpers import make_head
from tessera.geo import Window
from tessera.store import open_store
area = Window(31, 64400, 561100, 60, 50)
base, store, folder, left = Path(sys.argv[2]), sys.argv[3], sys.argv[4], 0

def forked(act):
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def make(at, seed):
    made = base / at
    make_head(seed).map(
        open_store(store), area, out=made / "b" / "map.tif", polygons=made / folder / "p.parquet", png=False
    )

def killed(at):
    count = 0
    def dies(act):
        def counted(self, *args, **kwargs):
            nonlocal count
            # files that a user sees, and the intent
            places = [Path(one) for one in (self, *args)]
            if any(one.parent in (base / at / "b", base / at / folder) or one.name == "intent.json" for one in places):
                if count == left:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            return act(self, *args, **kwargs)
        return counted
    Path.replace, Path.unlink = dies(Path.replace), dies(Path.unlink)
    make(at, 1)

assert forked(lambda: make("old", 0)) == 0
assert forked(lambda: make("whole", 1)) == 0
for left in range(60):
    shutil.copytree(base / "old", base / f"killed{left}")
    ended = forked(lambda: killed(f"killed{left}"))
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    shutil.copytree(base / f"killed{left}", base / f"mended{left}")
    assert forked(lambda: make(f"mended{left}", 1)) == 0
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_map_has_polygons_of_the_same_bytes_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    store, head = make_store(tmp_path / "s.zarr"), make_head()
    found = []
    for number, clock in enumerate(("2001-02-03T04:05:06.000Z", None)):
        out = tmp_path / str(number) / "map.tif"
        if clock:
            monkeypatch.setenv("OGR_CURRENT_DATE", clock)
        head.map(store, WINDOW, out=out, polygons=out.with_name(f"p{suffix}"), png=False)
        monkeypatch.delenv("OGR_CURRENT_DATE", raising=False)
        found.append(files_of(out.parent))
    assert found[0] == found[1]


def test_a_geopackage_holds_the_year_of_the_map_as_its_date(tmp_path: Path) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "map.tif"
    make_head().map(store, WINDOW, out=out, polygons=tmp_path / "p.gpkg", png=False)
    with closing(sqlite3.connect(tmp_path / "p.gpkg")) as base:
        dates = base.execute("SELECT last_change FROM gpkg_contents").fetchall()
        styled = base.execute("SELECT update_time FROM layer_styles").fetchall()
    assert {*dates, *styled} == {("2024-12-31T00:00:00.000Z",)}


def about(path: Path) -> str | None:
    """SHA-256 of the head of a map or its polygons; None where there is none."""
    import pyarrow.parquet as pq
    import rasterio

    if not path.exists():
        return None
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            return str(raster.tags()["TESSERA_HEAD_SHA256"])
    return str(pq.read_schema(path).metadata[b"TESSERA_HEAD_SHA256"].decode())


@pytest.mark.parametrize("folder", ["b", "elsewhere"])
def test_a_kill_at_each_rename_leaves_no_pair_of_two_maps_and_is_mended(tmp_path: Path, folder: str) -> None:
    make_store(tmp_path / "s.zarr")
    base = tmp_path / "made"
    arguments = [str(Path(__file__).parent), str(base), str(tmp_path / "s.zarr"), folder]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    names = {path.name for path in base.iterdir()}
    number = len([name for name in names if name.startswith("mended")])
    assert number >= 8
    want = files_of(base / "whole")
    assert {Path(name).name for name in want} >= {"map.tif", "p.parquet", "p.qml"}
    for left in range(number):
        killed = base / f"killed{left}"
        # the two never contradict each other
        assert len({about(killed / "b" / "map.tif"), about(killed / folder / "p.parquet")} - {None}) <= 1, left
        assert files_of(base / f"mended{left}") == want, left
    assert files_of(base / f"killed{number}") == want


def test_a_planted_intent_moves_nothing_out_of_the_folder(tmp_path: Path) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "b" / "map.tif"
    staging = out.parent / ".map.tif.spool" / "files"
    (staging / "elsewhere").mkdir(parents=True)
    (staging / "elsewhere" / "p.parquet").write_text("planted")
    steps = [["../../p.parquet", "p.parquet"], ["map.tif", "map.tif"]]
    (staging / "intent.json").write_text(json.dumps({"request": "", "steps": steps, "elsewhere": True}))
    (tmp_path / "p.parquet").write_text("mine")
    make_head().map(store, WINDOW, out=out, png=False)
    assert (tmp_path / "p.parquet").read_text() == "mine"
    assert not list(out.parent.glob(".*"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_polygons_of_an_earlier_map_go_with_it(tmp_path: Path, suffix: str) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "b" / "map.tif"
    one, other = (out.with_name(f"{name}{suffix}") for name in "pq")
    make_head().map(store, WINDOW, out=out, polygons=one, png=False)
    make_head().map(store, WINDOW, out=out, polygons=other, png=False)
    assert {path.name for path in out.parent.iterdir()} >= {other.name, "q.qml"}
    assert not one.exists()
    assert not one.with_suffix(".qml").exists()
    make_head(1).map(store, WINDOW, out=out, png=False)
    assert not other.exists()
    assert not other.with_suffix(".qml").exists()


def test_polygons_that_are_no_longer_those_of_the_map_stay(tmp_path: Path) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "b" / "map.tif"
    polygons = out.with_name("p.gpkg")
    make_head().map(store, WINDOW, out=out, polygons=polygons, png=False)
    # another map in the folder took the file
    make_head(1).map(store, WINDOW, out=out.with_name("other.tif"), polygons=polygons, png=False)
    before = polygons.read_bytes()
    make_head().map(store, WINDOW, out=out, png=False)
    assert polygons.read_bytes() == before
    # and polygons in another folder are not those of this one
    far = tmp_path / "far" / "p.gpkg"
    make_head().map(store, WINDOW, out=out, polygons=far, png=False)
    make_head().map(store, WINDOW, out=out, png=False)
    assert far.is_file()
    assert polygons.read_bytes() == before


def test_simplification_can_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "b" / "map.tif"
    waited: list[Any] = []

    class Interrupted:
        def __init__(self, size: int, name: str) -> None:
            waited.append((size, name))

        def submit(self, *args: Any) -> Any:
            raise KeyboardInterrupt

        def dismiss(self, patience: float | None) -> None:
            waited.append(patience)

    with monkeypatch.context() as patch:
        patch.setattr(polygons_module, "Crew", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_head().map(store, WINDOW, out=out, polygons=out.with_name("p.parquet"), png=False)
    # not waited for
    assert waited == [(1, "simplify"), 0.0]
    make_head().map(store, WINDOW, out=out, polygons=out.with_name("p.parquet"), png=False)


def test_another_file_in_the_place_of_polygons_is_kept(tmp_path: Path) -> None:
    store, out = make_store(tmp_path / "s.zarr"), tmp_path / "b" / "map.tif"
    (tmp_path / "p.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"map polygons .* exists and is no earlier map polygons"):
        make_head().map(store, WINDOW, out=out, polygons=tmp_path / "p.parquet", png=False)
    assert (tmp_path / "p.parquet").read_bytes() == b"mine"
